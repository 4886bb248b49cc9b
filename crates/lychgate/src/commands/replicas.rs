//! `lychgate replicas`: the replicas of all control planes.

use super::listing::{ListArgs, Listing};
use super::name_or_id;
use crate::client::credentials::{ServerArgs, connect};
use crate::config::Environment;
use crate::failure::Outcome;
use crate::terminal::output::{Field, Format, FormatArgs, note, record};
use crate::terminal::plain::plain;
use crate::terminal::prompt::{YesArgs, confirm};
use clap::Subcommand;
use serde_json::{Value, json};

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
        Field("clock", "clock"),
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
    Field("clock", "clock"),
];

const PATH: &str = "ai-gateway/replicas";

/// Runs the command.
pub(crate) async fn run(args: ReplicasArgs, environment: &Environment) -> Outcome {
    let api = connect(&args.server, environment)?;
    match args.command {
        ReplicasCommand::List { key, state, list } => {
            let explained = async |mut replicas: Vec<Value>| {
                replicas.iter_mut().for_each(explain);
                warn_of_clocks(&replicas);
                Ok(replicas)
            };
            let filters = vec![("key", key), ("state", state)];
            LISTING.print_with(&api, filters, list, explained).await
        }
        ReplicasCommand::Show { id, format } => {
            let mut answer = api.get(&format!("{PATH}/{}", name_or_id(&id)?)).await?;
            if format.output == Format::Table {
                explain(&mut answer);
                warn_of_clocks(std::slice::from_ref(&answer));
            }
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

/// Adds the column that is made for people: how far the clock is from the control plane's.
fn explain(replica: &mut Value) {
    let seconds = replica["clock_skew_ms"].as_i64().map(|ms| ms / 1000);
    replica["clock"] = match seconds {
        None => Value::Null,
        Some(0) => "right".into(),
        Some(ahead @ 1..) => format!("{ahead} s ahead").into(),
        Some(behind) => format!("{} s behind", behind.unsigned_abs()).into(),
    };
}

fn warn_of_clocks(replicas: &[Value]) {
    let off = replicas.iter().filter(|replica| replica["clock_is_off"] == true);
    let off: Vec<_> = off
        .map(|replica| {
            let text = |field: &str| plain(replica[field].as_str().unwrap_or_default());
            format!("{} is {}", text("name"), text("clock"))
        })
        .collect();
    if !off.is_empty() {
        note(&format!(
            "warning: the clocks of replicas and control plane disagree; check time synchronisation on both: {}",
            off.join(", ")
        ));
    }
}

#[cfg(test)]
mod tests {
    use super::explain;
    use serde_json::{Value, json};

    #[test]
    fn a_clock_is_told_in_words() {
        let told = |skew: Value| {
            let mut replica = json!({ "clock_skew_ms": skew });
            explain(&mut replica);
            replica["clock"].clone()
        };
        assert_eq!(told(json!(-999)), "right");
        assert_eq!(told(json!(45_900)), "45 s ahead");
        assert_eq!(told(json!(i64::MIN)), "9223372036854775 s behind");
        assert_eq!(told(Value::Null), Value::Null);
    }
}
