//! `lychgate users`: the users.

use super::listing::{ListArgs, Listing};
use super::username_or_id;
use crate::client::credentials::{ServerArgs, connect};
use crate::config::Environment;
use crate::failure::{Failure, Outcome};
use crate::terminal::output::{Field, FormatArgs, note, record};
use crate::terminal::prompt::{YesArgs, confirm};
use clap::Subcommand;
use lychgate_authz::Role;
use serde_json::json;

/// `lychgate users …`.
#[derive(Debug, clap::Args)]
pub(crate) struct UsersArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: UsersCommand,
}

#[derive(Debug, Subcommand)]
enum UsersCommand {
    /// Create a user; then create a token with `lychgate tokens create --user NAME`.
    Create {
        /// 1 to 200 letters, digits and . _ + @ - between them; stored in lower case. An e-mail address can be one
        name: String,
        /// owner (manages the deployment), auditor (reads everything) or member (uses the gateway)
        #[arg(long, default_value = "member")]
        role: Role,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// List users, oldest first.
    List {
        /// Only users whose name contains this text
        #[arg(short, long, value_name = "TEXT")]
        query: Option<String>,
        /// List deleted users instead, whose ids find their records
        #[arg(long)]
        deleted: bool,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show a user.
    Show {
        /// Name or id of the user
        name: String,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Change a user's role, display name or e-mail address.
    Update {
        /// Name or id of the user
        name: String,
        /// owner (manages the deployment), auditor (reads everything) or member (uses the gateway)
        #[arg(long)]
        role: Option<Role>,
        /// What people call the user; an empty text removes it
        #[arg(long, value_name = "TEXT")]
        display_name: Option<String>,
        /// Where the user is reached; an empty text removes it
        #[arg(long, value_name = "ADDRESS")]
        email: Option<String>,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Suspend a user: all their tokens stop working at once.
    Suspend {
        /// Name or id of the user
        name: String,
    },
    /// Activate a suspended user; their tokens work again.
    Activate {
        /// Name or id of the user
        name: String,
    },
    /// Delete a user and their tokens; records of their requests stay.
    Delete {
        /// Name or id of the user
        name: String,
        #[command(flatten)]
        yes: YesArgs,
    },
}

const FIELDS: &[Field] = &[
    Field("id", "id"),
    Field("name", "username"),
    Field("display name", "display_name"),
    Field("e-mail", "email"),
    Field("role", "role"),
    Field("state", "state"),
    Field("created", "created_at"),
];

const COLUMNS: &[Field] = &[
    Field("name", "username"),
    Field("role", "role"),
    Field("state", "state"),
    Field("id", "id"),
    Field("created", "created_at"),
];

const DELETED_COLUMNS: &[Field] = &[
    Field("name", "username"),
    Field("deleted", "deleted_at"),
    Field("id", "id"),
    Field("role", "role"),
    Field("created", "created_at"),
];

/// Runs the command.
pub(crate) async fn run(args: UsersArgs, environment: &Environment) -> Outcome {
    let api = connect(&args.server, environment)?;
    match args.command {
        UsersCommand::Create { name, role, format } => {
            let answer = api.post("users", &json!({ "username": name, "role": role })).await?;
            record(format.output, &answer, FIELDS)
        }
        UsersCommand::List { query, deleted, list } => {
            let filters = vec![("q", query), ("deleted", deleted.then(|| "true".to_owned()))];
            let columns = if deleted { DELETED_COLUMNS } else { COLUMNS };
            let listing = Listing {
                path: "users",
                entries: "users",
                columns,
                more: &[Field("display name", "display_name"), Field("e-mail", "email")],
            };
            listing.print(&api, filters, list).await
        }
        UsersCommand::Show { name, format } => {
            let answer = api.get(&format!("users/{}", username_or_id(&name)?)).await?;
            record(format.output, &answer, FIELDS)
        }
        UsersCommand::Update {
            name,
            role,
            display_name,
            email,
            format,
        } => {
            let path = format!("users/{}", username_or_id(&name)?);
            let mut patch = serde_json::Map::new();
            patch.extend(role.map(|role| ("role".to_owned(), json!(role))));
            for (field, text) in [("display_name", display_name), ("email", email)] {
                // An empty text is none.
                patch.extend(text.map(|text| (field.to_owned(), json!((!text.is_empty()).then_some(text)))));
            }
            if patch.is_empty() {
                let error = "nothing to change: give at least one of --role, --display-name and --email";
                return Err(Failure::Usage(error.to_owned()));
            }
            let answer = api.patch(&path, &patch.into()).await?;
            record(format.output, &answer, FIELDS)
        }
        UsersCommand::Suspend { name } => {
            api.post_empty(&format!("users/{}/suspend", username_or_id(&name)?))
                .await?;
            note(&format!("suspended user {name}"));
            Ok(())
        }
        UsersCommand::Activate { name } => {
            api.post_empty(&format!("users/{}/activate", username_or_id(&name)?))
                .await?;
            note(&format!("activated user {name}"));
            Ok(())
        }
        UsersCommand::Delete { name, yes } => {
            let path = format!("users/{}", username_or_id(&name)?);
            confirm(&yes, &format!("Delete user {name} and all their tokens?"))?;
            api.delete(&path).await?;
            note(&format!("deleted user {name}"));
            Ok(())
        }
    }
}
