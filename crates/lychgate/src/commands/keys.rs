//! `lychgate keys`: gateway keys.

mod bounds;
mod shown;

use super::{Done, OutArgs, PageArgs, name_or_id};
use crate::client::credentials::{ServerArgs, connect};
use crate::config::Environment;
use crate::failure::{Failure, Outcome};
use crate::terminal::output::{FormatArgs, note};
use crate::terminal::prompt::{YesArgs, confirm};
use bounds::{BoundsArgs, UnboundArgs, grace};
use clap::Subcommand;
use lychgate_types::Ambient;
use serde_json::{Value, json};
use std::time::Duration;

/// `lychgate keys …`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a gateway key; its secret is shown once, or written to --out.
    Create {
        /// 1 to 64 letters, digits and single dashes; kept in lower case
        name: String,
        #[command(flatten)]
        bounds: BoundsArgs,
        #[command(flatten)]
        out: OutArgs,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// List the gateway keys, oldest first.
    List {
        /// Only those whose name contains this
        #[arg(short, long, value_name = "TEXT")]
        query: Option<String>,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Show one.
    Show {
        /// Its name or id
        name: String,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Give one a new secret, which is shown once or written to --out; the old one works on for a while.
    Rotate {
        /// Its name or id
        name: String,
        /// How long the old secret works beside the new one, for example 1h; 0: it stops at once [default: 24h]
        #[arg(long, value_name = "TIME", value_parser = grace)]
        grace: Option<Duration>,
        /// Rotate though the secret before the present one still works; that one stops at once
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        out: OutArgs,
        /// Let --out take the place of an existing file, whole and at once; a replica that reads it follows by itself
        #[arg(long, requires = "out")]
        replace: bool,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Change one; what is not named stays as it is.
    Update {
        /// Its name or id
        name: String,
        #[command(flatten)]
        bounds: BoundsArgs,
        #[command(flatten)]
        unbound: UnboundArgs,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Let its replicas in again.
    Enable {
        /// Its name or id
        name: String,
    },
    /// Let its replicas take no new request, until it is enabled again.
    Disable {
        /// Its name or id
        name: String,
    },
    /// Delete one: its replicas take no new request from then on.
    Delete {
        /// Its name or id
        name: String,
        #[command(flatten)]
        yes: YesArgs,
    },
}

const PATH: &str = "ai-gateway/keys";

/// Runs the command.
pub(crate) async fn run(args: Args, environment: &Environment) -> Outcome {
    let api = connect(&args.server, environment)?;
    let path = |name: &str| Ok::<_, Failure>(format!("{PATH}/{}", name_or_id(name)?));
    match args.verb {
        Verb::Create {
            name,
            bounds,
            out,
            format,
        } => {
            let mut body = bounds.members(&Ambient::system())?;
            body.insert("name".to_owned(), name.as_str().into());
            let place = out.reserve()?;
            let answer = api.post(PATH, &body.into()).await?;
            let what = called(&answer, &name);
            place.put(format.output, answer, "key", &Done::made(&what))
        }
        Verb::List { query, page, format } => {
            let answer = api.get_with(PATH, &page.query(vec![("q", query)])).await?;
            shown::list(format.output, answer)
        }
        Verb::Show { name, format } => {
            let answer = api.get(&path(&name)?).await?;
            shown::one(format.output, answer)
        }
        Verb::Rotate {
            name,
            grace,
            force,
            out,
            replace,
            format,
        } => {
            let path = format!("{}/rotate", path(&name)?);
            let mut body = json!({ "force": force });
            if let Some(grace) = grace {
                body["grace_seconds"] = grace.as_secs().into();
            }
            let place = if replace { out.reserve_over()? } else { out.reserve()? };
            let answer = api.post(&path, &body).await?;
            let what = called(&answer, &name);
            let until = answer["previous_valid_until"].as_str();
            let became = until.map_or_else(
                || "was rotated, and its old secret works no longer".to_owned(),
                |until| format!("was rotated, and its old secret works until {until}"),
            );
            let done = Done {
                what: &what,
                became: &became,
                if_lost: "rotate it again, with --force",
            };
            place.put(format.output, answer, "key", &done)
        }
        Verb::Update {
            name,
            bounds,
            unbound,
            format,
        } => {
            let path = path(&name)?;
            let patch = unbound.patch(bounds, &Ambient::system())?;
            let answer = api.patch(&path, &patch).await?;
            shown::one(format.output, answer)
        }
        Verb::Enable { name } => {
            api.patch(&path(&name)?, &json!({ "disabled": false })).await?;
            note(&format!("gateway key {name} is enabled"));
            Ok(())
        }
        Verb::Disable { name } => {
            api.patch(&path(&name)?, &json!({ "disabled": true })).await?;
            note(&format!(
                "gateway key {name} is disabled; its replicas take no new request"
            ));
            Ok(())
        }
        Verb::Delete { name, yes } => {
            let path = path(&name)?;
            confirm(
                &yes,
                &format!("Delete gateway key {name}? Its replicas will take no new request."),
            )?;
            api.delete(&path).await?;
            note(&format!("gateway key {name} was deleted"));
            Ok(())
        }
    }
}

/// The key as the server calls it.
fn called(answer: &Value, name: &str) -> String {
    format!("gateway key {}", answer["name"].as_str().unwrap_or(name))
}
