//! `lychgate keys`: gateway keys.

use super::{OutArgs, PageArgs, name_or_id};
use crate::config::Environment;
use crate::credentials::{ServerArgs, connect};
use crate::failure::Outcome;
use crate::output::{Field, Format, FormatArgs, listing, note, record, table, write};
use crate::prompt::{YesArgs, confirm};
use clap::Subcommand;
use lychgate_types::Timestamp;
use serde_json::json;

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
        /// What it is for
        #[arg(long, value_name = "TEXT")]
        description: Option<String>,
        /// When it stops letting replicas in, for example 2027-01-31T00:00:00Z
        #[arg(long, value_name = "TIME")]
        expires_at: Option<Timestamp>,
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
    /// Delete one: its replicas take no new request from then on.
    Delete {
        /// Its name or id
        name: String,
        #[command(flatten)]
        yes: YesArgs,
    },
}

const COLUMNS: &[Field] = &[
    Field("name", "name"),
    Field("key", "key_prefix"),
    Field("state", "state"),
    Field("replicas", "live_replicas"),
    Field("created", "created_at"),
    Field("last used", "last_used_at"),
    Field("expires", "expires_at"),
    Field("description", "description"),
];

const FIELDS: &[Field] = &[
    Field("id", "id"),
    Field("name", "name"),
    Field("key", "key_prefix"),
    Field("state", "state"),
    Field("description", "description"),
    Field("created", "created_at"),
    Field("created by", "created_by.username"),
    Field("last used", "last_used_at"),
    Field("expires", "expires_at"),
    Field("live replicas", "live_replicas"),
];

const REPLICA_COLUMNS: &[Field] = &[
    Field("replica", "name"),
    Field("address", "address"),
    Field("version", "version"),
    Field("connected", "connected_since"),
    Field("in flight", "in_flight"),
    Field("undelivered", "spool_depth"),
    Field("id", "id"),
];

const PATH: &str = "ai-gateway/keys";

/// Runs the command.
pub(crate) async fn run(args: Args, environment: &Environment) -> Outcome {
    let api = connect(&args.server, environment)?;
    match args.verb {
        Verb::Create {
            name,
            description,
            expires_at,
            out,
            format,
        } => {
            let place = out.reserve()?;
            let mut body = json!({ "name": name });
            if let Some(description) = description {
                body["description"] = description.into();
            }
            if let Some(at) = expires_at {
                body["expires_at"] = at.to_string().into();
            }
            let answer = api.post(PATH, &body).await?;
            let what = format!("gateway key {}", answer["name"].as_str().unwrap_or(&name));
            place.put(format.output, answer, "key", &what)
        }
        Verb::List { query, page, format } => {
            let answer = api.get_with(PATH, &page.query(vec![("q", query)])).await?;
            listing(format.output, &answer, "keys", COLUMNS)
        }
        Verb::Show { name, format } => {
            let answer = api.get(&format!("{PATH}/{}", name_or_id(&name)?)).await?;
            record(format.output, &answer, FIELDS)?;
            match answer["replicas"].as_array() {
                Some(replicas) if format.output == Format::Table && !replicas.is_empty() => {
                    write(&format!("\n{}", table(replicas, REPLICA_COLUMNS)))
                }
                _ => Ok(()),
            }
        }
        Verb::Delete { name, yes } => {
            let path = format!("{PATH}/{}", name_or_id(&name)?);
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
