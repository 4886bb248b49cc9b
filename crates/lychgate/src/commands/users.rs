//! `lychgate users`.

use super::{PageArgs, name_or_id};
use crate::client::credentials::{ServerArgs, connect};
use crate::config::Environment;
use crate::failure::Outcome;
use crate::terminal::output::{Field, FormatArgs, listing, note, record};
use crate::terminal::prompt::{YesArgs, confirm};
use clap::Subcommand;
use lychgate_authz::Role;
use serde_json::json;

/// `lychgate users …`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make a user; then make a token with `lychgate tokens create --user NAME`.
    Create {
        /// 1 to 64 letters, digits and single dashes; kept in lower case
        name: String,
        /// owner (runs the deployment), auditor (sees everything, changes nothing) or member (uses the gateway)
        #[arg(long, default_value = "member")]
        role: Role,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// List the users.
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
        /// The user's name or id
        name: String,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Stop a user's tokens from working, at once.
    Suspend {
        /// The user's name or id
        name: String,
    },
    /// Let a suspended user's tokens work again.
    Activate {
        /// The user's name or id
        name: String,
    },
    /// Delete a user; what was recorded of them stays.
    Delete {
        /// The user's name or id
        name: String,
        #[command(flatten)]
        yes: YesArgs,
    },
}

const FIELDS: &[Field] = &[
    Field("id", "id"),
    Field("name", "username"),
    Field("role", "role"),
    Field("state", "state"),
    Field("created", "created_at"),
];

/// Runs the command.
pub(crate) async fn run(args: Args, environment: &Environment) -> Outcome {
    let api = connect(&args.server, environment)?;
    match args.verb {
        Verb::Create { name, role, format } => {
            let answer = api.post("users", &json!({ "username": name, "role": role })).await?;
            record(format.output, &answer, FIELDS)
        }
        Verb::List { query, page, format } => {
            let answer = api.get_with("users", &page.query(vec![("q", query)])).await?;
            listing(format.output, &answer, "users", FIELDS)
        }
        Verb::Show { name, format } => {
            let answer = api.get(&format!("users/{}", name_or_id(&name)?)).await?;
            record(format.output, &answer, FIELDS)
        }
        Verb::Suspend { name } => {
            api.post_empty(&format!("users/{}/suspend", name_or_id(&name)?)).await?;
            note(&format!("user {name} was suspended"));
            Ok(())
        }
        Verb::Activate { name } => {
            api.post_empty(&format!("users/{}/activate", name_or_id(&name)?))
                .await?;
            note(&format!("user {name} is active"));
            Ok(())
        }
        Verb::Delete { name, yes } => {
            let path = format!("users/{}", name_or_id(&name)?);
            confirm(&yes, &format!("Delete user {name} and all their tokens?"))?;
            api.delete(&path).await?;
            note(&format!("user {name} was deleted"));
            Ok(())
        }
    }
}
