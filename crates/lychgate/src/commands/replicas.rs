//! `lychgate replicas`: the replicas of all control planes.

use super::listing::{ListArgs, Listing};
use super::name_or_id;
use crate::client::credentials::{ServerArgs, connect};
use crate::config::Environment;
use crate::failure::Outcome;
use crate::terminal::output::{Field, FormatArgs, note, record};
use crate::terminal::prompt::{YesArgs, confirm};
use clap::Subcommand;
use serde_json::json;

/// `lychgate replicas …`.
#[derive(Debug, clap::Args)]
pub(crate) struct ReplicasArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: ReplicasCommand,
}

#[derive(Debug, Subcommand)]
enum ReplicasCommand {
    /// List replicas, oldest first; one that is gone stays listed for a week.
    List {
        /// Only replicas of this gateway key, by name or id
        #[arg(long, value_name = "KEY")]
        key: Option<String>,
        /// Only replicas in this state: attached, draining, detached or lost
        #[arg(long)]
        state: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show a replica.
    Show {
        /// Id of the replica
        id: String,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Stop a replica from accepting new requests, so that its process can be stopped without disturbing clients. This can't be undone.
    Drain {
        /// Id of the replica
        id: String,
        #[command(flatten)]
        yes: YesArgs,
    },
}

const LISTING: Listing = Listing {
    path: PATH,
    entries: "replicas",
    columns: &[
        Field("replica", "name"),
        Field("key", "key.name"),
        Field("state", "state"),
        Field("in flight", "in_flight"),
        Field("undelivered", "spool_depth"),
        Field("id", "id"),
    ],
    more: &[
        Field("last heartbeat", "last_heartbeat_at"),
        Field("set aside", "set_aside"),
        Field("address", "address"),
        Field("version", "version"),
        Field("connected", "connected_since"),
    ],
};

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
    Field("last heartbeat", "last_heartbeat_at"),
    Field("in flight", "in_flight"),
    Field("undelivered", "spool_depth"),
    Field("set aside", "set_aside"),
    Field("configuration", "configuration_version"),
];

const PATH: &str = "ai-gateway/replicas";

/// Runs the command.
pub(crate) async fn run(args: ReplicasArgs, environment: &Environment) -> Outcome {
    let api = connect(&args.server, environment)?;
    match args.command {
        ReplicasCommand::List { key, state, list } => {
            LISTING.print(&api, vec![("key", key), ("state", state)], list).await
        }
        ReplicasCommand::Show { id, format } => {
            let answer = api.get(&format!("{PATH}/{}", name_or_id(&id)?)).await?;
            record(format.output, &answer, FIELDS)
        }
        ReplicasCommand::Drain { id, yes } => {
            let path = format!("{PATH}/{}/drain", name_or_id(&id)?);
            confirm(
                &yes,
                &format!("Drain replica {id}? It accepts no new requests until its process is restarted."),
            )?;
            let answer = api.post(&path, &json!({})).await?;
            let name = answer["name"].as_str().unwrap_or(&id);
            note(&format!(
                "replica {name} accepts no new requests; stop its process when `lychgate replicas show {id}` has 0 in flight"
            ));
            Ok(())
        }
    }
}
