//! `lychgate audit`: the audit log.

use super::listing::{ListArgs, Listing};
use super::range::RangeArgs;
use crate::client::credentials::{ServerArgs, connect};
use crate::config::Environment;
use crate::failure::Outcome;
use crate::terminal::output::Field;
use clap::Subcommand;
use serde_json::Value;
use std::collections::BTreeSet;

/// `lychgate audit …`.
#[derive(Debug, clap::Args)]
pub(crate) struct AuditArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: AuditCommand,
}

#[derive(Debug, Subcommand)]
enum AuditCommand {
    /// List audit entries, newest first.
    List {
        /// Only entries about this type of resource, for example ai_gateway_key
        #[arg(long, value_name = "TYPE")]
        resource_type: Option<String>,
        /// Only entries with this action, for example create
        #[arg(long)]
        action: Option<String>,
        /// Only actions of this user or gateway key, by name or id, or control_plane
        #[arg(long, value_name = "ACTOR")]
        actor: Option<String>,
        #[command(flatten)]
        range: RangeArgs,
        #[command(flatten)]
        list: ListArgs,
    },
}

const LISTING: Listing = Listing {
    path: "audit-entries",
    entries: "audit_entries",
    columns: &[
        Field("time", "created_at"),
        Field("actor", "actor_name"),
        Field("action", "action"),
        Field("resource", "resource_type"),
        Field("target", "target_name"),
        Field("outcome", "outcome"),
        Field("changes", "changes"),
    ],
    more: &[Field("target id", "target_id"), Field("request", "request_id")],
};

/// Runs the command.
pub(crate) async fn run(args: AuditArgs, environment: &Environment) -> Outcome {
    let api = connect(&args.server, environment)?;
    let AuditCommand::List {
        resource_type,
        action,
        actor,
        range,
        list,
    } = args.command;
    let mut filters = vec![("resource_type", resource_type), ("action", action), ("actor", actor)];
    range.add_to(&mut filters);
    let explained = async |mut entries: Vec<Value>| {
        for entry in &mut entries {
            name_actor(entry);
            entry["changes"] = changes(entry).into();
        }
        Ok(entries)
    };
    LISTING.print_with(&api, filters, list, explained).await
}

/// The control plane has no name: the kind of actor is shown instead.
fn name_actor(entry: &mut Value) {
    let actor = &entry["actor"];
    let name = if actor["name"].is_null() {
        &actor["kind"]
    } else {
        &actor["name"]
    };
    entry["actor_name"] = name.clone();
}

/// What an action changed, and what else is known: `enabled: true → false; policy.http2: false → true`.
fn changes(entry: &Value) -> String {
    let empty = serde_json::Map::new();
    let fields = |side: &str| entry[side].as_object().unwrap_or(&empty).clone();
    let (before, after) = (fields("before"), fields("after"));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let text = |value: Option<&Value>| value.and_then(Value::as_str).unwrap_or("-").to_owned();
    let mut parts: Vec<String> = names
        .into_iter()
        .map(|name| match (before.get(name), after.get(name)) {
            (None, made) => format!("{name}: {}", text(made)),
            (was, is) => format!("{name}: {} → {}", text(was), text(is)),
        })
        .collect();
    parts.extend(entry["detail"].as_str().map(str::to_owned));
    parts.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn an_actor_without_a_name_is_shown_by_its_kind() {
        let named = |actor: Value| {
            let mut entry = json!({ "actor": actor });
            name_actor(&mut entry);
            entry["actor_name"].clone()
        };
        assert_eq!(named(json!({ "kind": "user", "name": "ada" })), "ada");
        assert_eq!(named(json!({ "kind": "control_plane", "name": null })), "control_plane");
    }

    #[test]
    fn changes_are_told_in_one_line() {
        let entry = json!({ "detail": "more", "before": { "enabled": "true", "email": "a@b" }, "after": { "enabled": "false", "name": "x" } });
        assert_eq!(changes(&entry), "email: a@b → -; enabled: true → false; name: x; more");
        assert_eq!(changes(&json!({ "detail": null, "before": {}, "after": {} })), "");
    }
}
