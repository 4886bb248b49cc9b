//! `lychgate audit`.

use super::PageArgs;
use crate::config::Environment;
use crate::credentials::{ServerArgs, connect};
use crate::failure::Outcome;
use crate::output::{Field, FormatArgs, listing};
use clap::Subcommand;
use lychgate_types::Timestamp;

/// `lychgate audit …`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the audit entries, newest first.
    List {
        /// Only about this kind of thing, for example ai_gateway_key
        #[arg(long, value_name = "TYPE")]
        resource_type: Option<String>,
        /// Only this action, for example create
        #[arg(long)]
        action: Option<String>,
        /// Only by this user, by name or id
        #[arg(long, value_name = "USER")]
        actor: Option<String>,
        /// Only from this time on
        #[arg(long, value_name = "TIME")]
        since: Option<Timestamp>,
        /// Only before this time
        #[arg(long, value_name = "TIME")]
        until: Option<Timestamp>,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        format: FormatArgs,
    },
}

const COLUMNS: &[Field] = &[
    Field("time", "created_at"),
    Field("actor", "actor.name"),
    Field("action", "action"),
    Field("resource", "resource_type"),
    Field("target", "target_name"),
    Field("outcome", "outcome"),
    Field("request", "request_id"),
];

/// Runs the command.
pub(crate) async fn run(args: Args, environment: &Environment) -> Outcome {
    let api = connect(&args.server, environment)?;
    let Verb::List {
        resource_type,
        action,
        actor,
        since,
        until,
        page,
        format,
    } = args.verb;
    let filters = vec![
        ("resource_type", resource_type),
        ("action", action),
        ("actor", actor),
        ("since", since.map(|at| at.to_string())),
        ("until", until.map(|at| at.to_string())),
    ];
    let answer = api.get_with("audit-entries", &page.query(filters)).await?;
    listing(format.output, &answer, "audit_entries", COLUMNS)
}
