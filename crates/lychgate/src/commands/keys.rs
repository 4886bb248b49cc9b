//! `lychgate keys`: gateway keys.

mod bounds;
mod shown;

use super::listing::ListArgs;
use super::{Done, OutArgs, name_or_id};
use crate::client::credentials::{ServerArgs, connect};
use crate::config::Environment;
use crate::failure::{Failure, Outcome};
use crate::terminal::output::{FormatArgs, note};
use crate::terminal::plain::plain;
use crate::terminal::prompt::{YesArgs, confirm};
use bounds::{BoundsArgs, UnboundArgs, grace};
use clap::Subcommand;
use lychgate_types::Ambient;
use serde_json::{Value, json};
use std::time::Duration;

/// `lychgate keys …`.
#[derive(Debug, clap::Args)]
pub(crate) struct KeysArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: KeysCommand,
}

#[derive(Debug, Subcommand)]
enum KeysCommand {
    /// Create a gateway key; its secret is shown once, or written to --out.
    Create {
        /// 1 to 64 letters, digits and single dashes; stored in lower case
        name: String,
        #[command(flatten)]
        bounds: BoundsArgs,
        /// Name or id of a gateway key that this one replaces, also a deleted one: replicas with the new key deliver what those with the old one left in --spool-dir
        #[arg(long, value_name = "KEY")]
        replaces: Option<String>,
        #[command(flatten)]
        out: OutArgs,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// List gateway keys, oldest first.
    List {
        /// Only keys whose name contains this text
        #[arg(short, long, value_name = "TEXT")]
        query: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show a gateway key and its attached replicas.
    Show {
        /// Name or id of the key
        name: String,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Replace the secret of a gateway key; the old secret keeps working for a grace period, in which replicas pick up the new one from their --key-file.
    Rotate {
        /// Name or id of the key
        name: String,
        /// Grace period in which the old secret keeps working, for example 1h, or 0 to stop it at once [default: 24h]
        #[arg(long, value_name = "DURATION", value_parser = grace)]
        grace: Option<Duration>,
        /// Rotate even if an older secret is still in its grace period; that one stops working at once
        #[arg(long)]
        force: bool,
        #[command(flatten)]
        out: OutArgs,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Change a gateway key; settings that are not given stay as they are.
    Update {
        /// Name or id of the key
        name: String,
        #[command(flatten)]
        bounds: BoundsArgs,
        #[command(flatten)]
        unbound: UnboundArgs,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Enable a disabled gateway key.
    Enable {
        /// Name or id of the key
        name: String,
    },
    /// Disable a gateway key: its replicas accept no new requests until it is enabled again.
    Disable {
        /// Name or id of the key
        name: String,
    },
    /// Delete a gateway key: its replicas accept no new requests from then on.
    Delete {
        /// Name or id of the key
        name: String,
        #[command(flatten)]
        yes: YesArgs,
    },
}

const PATH: &str = "ai-gateway/keys";

/// Runs the command.
pub(crate) async fn run(args: KeysArgs, environment: &Environment) -> Outcome {
    let api = connect(&args.server, environment)?;
    let path = |name: &str| Ok::<_, Failure>(format!("{PATH}/{}", name_or_id(name)?));
    match args.command {
        KeysCommand::Create {
            name,
            bounds,
            replaces,
            out,
            format,
        } => {
            let mut body = bounds.members(&Ambient::system())?;
            body.insert("name".to_owned(), name.as_str().into());
            body.extend(replaces.map(|old| ("replaces".to_owned(), old.into())));
            let place = out.reserve()?;
            let answer = api.post_for_secret(PATH, &body.into()).await?;
            let what = described(&answer, &name);
            place.put(format.output, answer, "key", &Done::created(&what))
        }
        KeysCommand::List { query, list } => shown::list(&api, vec![("q", query)], list).await,
        KeysCommand::Show { name, format } => {
            let answer = api.get(&path(&name)?).await?;
            shown::one(format.output, answer)
        }
        KeysCommand::Rotate {
            name,
            grace,
            force,
            out,
            format,
        } => {
            let path = format!("{}/rotate", path(&name)?);
            let mut body = json!({ "force": force });
            if let Some(grace) = grace {
                body["grace_seconds"] = grace.as_secs().into();
            }
            let place = out.reserve()?;
            let answer = api.post_for_secret(&path, &body).await?;
            let what = described(&answer, &name);
            let until = answer["previous_valid_until"].as_str();
            let became = until.map_or_else(
                || "was rotated; its old secret no longer works".to_owned(),
                |until| format!("was rotated; its old secret works until {until}"),
            );
            let done = Done {
                what: &what,
                became: &became,
                if_lost: "rotate it again with --force",
            };
            place.put(format.output, answer, "key", &done)
        }
        KeysCommand::Update {
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
        KeysCommand::Enable { name } => {
            api.patch(&path(&name)?, &json!({ "disabled": false })).await?;
            note(&format!("gateway key {name} is enabled"));
            Ok(())
        }
        KeysCommand::Disable { name } => {
            api.patch(&path(&name)?, &json!({ "disabled": true })).await?;
            note(&format!(
                "gateway key {name} is disabled; its replicas accept no new requests"
            ));
            Ok(())
        }
        KeysCommand::Delete { name, yes } => {
            let path = path(&name)?;
            let key = api.get(&path).await?;
            let left = shown::left_behind(&key);
            let and = left.as_ref().map_or_else(String::new, |left| format!(" {left}."));
            confirm(
                &yes,
                &format!("Delete gateway key {name}? Its replicas will accept no new requests.{and}"),
            )?;
            api.delete(&path).await?;
            note(&format!("deleted gateway key {name}"));
            if let Some(left) = left {
                let id = key["id"].as_str().unwrap_or_default();
                note(&format!(
                    "{left}; `lychgate replicas list --key {}` shows what each reported last",
                    plain(id)
                ));
            }
            Ok(())
        }
    }
}

/// The key by the name that the server knows it by.
fn described(answer: &Value, name: &str) -> String {
    format!("gateway key {}", answer["name"].as_str().unwrap_or(name))
}
