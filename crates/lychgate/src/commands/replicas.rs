//! `lychgate replicas`: the replicas of all control planes.

use super::{PageArgs, name_or_id};
use crate::client::credentials::{ServerArgs, connect};
use crate::config::Environment;
use crate::failure::Outcome;
use crate::terminal::output::{Field, FormatArgs, listing, note, record};
use crate::terminal::prompt::{YesArgs, confirm};
use clap::Subcommand;
use serde_json::json;

/// `lychgate replicas …`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the replicas, those that came first, first; one that is gone is listed for a week.
    List {
        /// Only those that came in by this gateway key, by name or id
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// Only those in this state: attached, draining, detached or lost
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Show one.
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Let one take no new requests, so that its process can be ended without a client noticing. It can't be undone.
    Drain {
        /// Its id
        id: String,
        #[command(flatten)]
        yes: YesArgs,
    },
}

const COLUMNS: &[Field] = &[
    Field("replica", "name"),
    Field("key", "key.name"),
    Field("state", "state"),
    Field("address", "address"),
    Field("version", "version"),
    Field("connected", "connected_since"),
    Field("heard", "last_heartbeat_at"),
    Field("in flight", "in_flight"),
    Field("undelivered", "spool_depth"),
    Field("set aside", "set_aside"),
    Field("id", "id"),
];

const FIELDS: &[Field] = &[
    Field("id", "id"),
    Field("name", "name"),
    Field("key", "key.name"),
    Field("state", "state"),
    Field("address", "address"),
    Field("version", "version"),
    Field("labels", "labels"),
    Field("control plane", "control_plane_id"),
    Field("connected", "connected_since"),
    Field("heard", "last_heartbeat_at"),
    Field("in flight", "in_flight"),
    Field("undelivered", "spool_depth"),
    Field("set aside", "set_aside"),
    Field("configuration", "configuration_version"),
];

const PATH: &str = "ai-gateway/replicas";

/// Runs the command.
pub(crate) async fn run(args: Args, environment: &Environment) -> Outcome {
    let api = connect(&args.server, environment)?;
    match args.verb {
        Verb::List {
            key,
            state,
            page,
            format,
        } => {
            let filters = vec![("key", key), ("state", state)];
            let answer = api.get_with(PATH, &page.query(filters)).await?;
            listing(format.output, &answer, "replicas", COLUMNS)
        }
        Verb::Show { id, format } => {
            let answer = api.get(&format!("{PATH}/{}", name_or_id(&id)?)).await?;
            record(format.output, &answer, FIELDS)
        }
        Verb::Drain { id, yes } => {
            let path = format!("{PATH}/{}/drain", name_or_id(&id)?);
            confirm(
                &yes,
                &format!("Drain replica {id}? It takes no new request until it is started again."),
            )?;
            let answer = api.post(&path, &json!({})).await?;
            let name = answer["name"].as_str().unwrap_or(&id);
            note(&format!(
                "replica {name} takes no new requests; `replicas show` tells when nothing is left in flight"
            ));
            Ok(())
        }
    }
}
