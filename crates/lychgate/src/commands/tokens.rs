//! `lychgate tokens`: user tokens.

use super::listing::{ListArgs, Listing};
use super::{Done, OutArgs, name_or_id, username_or_id};
use crate::client::credentials::{ServerArgs, connect};
use crate::config::Environment;
use crate::config::duration;
use crate::failure::Outcome;
use crate::terminal::output::{Field, FormatArgs, note, record};
use crate::terminal::plain::plain;
use crate::terminal::prompt::{YesArgs, confirm};
use clap::Subcommand;
use serde_json::{Value, json};
use std::time::Duration;

/// `lychgate tokens …`.
#[derive(Debug, clap::Args)]
pub(crate) struct TokensArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: TokensCommand,
}

#[derive(Debug, Subcommand)]
enum TokensCommand {
    /// Create a user token; it is shown once, or written to --out.
    Create {
        /// User that the token is for, by name or id [default: yourself]
        #[arg(long, value_name = "USER")]
        user: Option<String>,
        /// Name of the token: 1 to 64 letters, digits and single dashes
        #[arg(long, default_value = "cli")]
        name: String,
        /// What the token may do: RESOURCE:ACTION or RESOURCE:*, with :own only for what belongs to its user, or '*' for all that its user may do (to use this command line, for example); repeatable [default: ai_request:create and interception:read:own]
        #[arg(long, value_name = "SCOPE")]
        scope: Vec<String>,
        /// How long the token is valid, for example 30d; at most 365d [default: 90d]
        #[arg(long, value_name = "DURATION", value_parser = duration::parse)]
        lifetime: Option<Duration>,
        #[command(flatten)]
        out: OutArgs,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// List user tokens, oldest first.
    List {
        /// Only tokens of this user, by name or id
        #[arg(long, value_name = "USER")]
        user: Option<String>,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show a token, without its secret.
    Show {
        /// Id of the token
        id: String,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Revoke a token; it stops working at once.
    #[command(alias = "delete")]
    Revoke {
        /// Id of the token
        id: String,
        #[command(flatten)]
        yes: YesArgs,
    },
}

const FIELDS: &[Field] = &[
    Field("id", "id"),
    Field("user", "user.username"),
    Field("name", "name"),
    Field("token", "token_prefix"),
    Field("scopes", "scopes"),
    Field("state", "state"),
    Field("created", "created_at"),
    Field("last used", "last_used_at"),
    Field("expires", "expires_at"),
];

const LISTING: Listing = Listing {
    path: "tokens",
    entries: "tokens",
    columns: &[
        Field("id", "id"),
        Field("user", "user.username"),
        Field("name", "name"),
        Field("state", "state"),
        Field("expires", "expires_at"),
    ],
    more: &[
        Field("token", "token_prefix"),
        Field("last used", "last_used_at"),
        Field("created", "created_at"),
        Field("scopes", "scopes"),
    ],
};

/// Runs the command.
pub(crate) async fn run(args: TokensArgs, environment: &Environment) -> Outcome {
    let api = connect(&args.server, environment)?;
    match args.command {
        TokensCommand::Create {
            user,
            name,
            scope,
            lifetime,
            out,
            format,
        } => {
            let mut body = json!({ "name": name });
            if let Some(user) = user {
                body["user"] = username_or_id(&user)?.into();
            }
            if !scope.is_empty() {
                body["scopes"] = scope.into();
            }
            if let Some(lifetime) = lifetime {
                body["lifetime_seconds"] = lifetime.as_secs().into();
            }
            let place = out.reserve()?;
            let answer = api.post_for_secret("tokens", &body).await?;
            let what = format!("token {}", answer["id"].as_str().unwrap_or(&name));
            note(&format!("{what} may {}", allowed(&answer["scopes"])));
            place.put(format.output, answer, "token", &Done::created(&what))
        }
        TokensCommand::List { user, list } => LISTING.print(&api, vec![("user", user)], list).await,
        TokensCommand::Show { id, format } => {
            let answer = api.get(&format!("tokens/{}", name_or_id(&id)?)).await?;
            record(format.output, &answer, FIELDS)
        }
        TokensCommand::Revoke { id, yes } => {
            let path = format!("tokens/{}", name_or_id(&id)?);
            confirm(&yes, &format!("Revoke token {id}?"))?;
            api.delete(&path).await?;
            note(&format!("revoked token {id}"));
            Ok(())
        }
    }
}

/// What a token's scopes let its holder do, in words, as far as its user may.
fn allowed(scopes: &Value) -> String {
    let words = |scope: &Value| match scope.as_str().unwrap_or("?").split_once(':') {
        None => "do all that its user may".to_owned(),
        Some(("ai_request", _)) => "send AI requests".to_owned(),
        Some((resource, action)) => {
            let (action, own) = action
                .strip_suffix(":own")
                .map_or((action, ""), |action| (action, "its user's "));
            let action = if action == "*" {
                "read, create, update and delete"
            } else {
                action
            };
            format!("{} {own}{}s", plain(action), plain(resource).replace('_', " "))
        }
    };
    let words: Vec<_> = scopes.as_array().into_iter().flatten().map(words).collect();
    if words.is_empty() {
        return "do nothing".to_owned();
    }
    words.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes_are_told_in_words() {
        assert_eq!(allowed(&json!(["*"])), "do all that its user may");
        assert_eq!(
            allowed(&json!([
                "ai_request:create",
                "interception:read",
                "interception:read:own"
            ])),
            "send AI requests; read interceptions; read its user's interceptions"
        );
        assert_eq!(
            allowed(&json!(["ai_gateway_key:*"])),
            "read, create, update and delete ai gateway keys"
        );
        assert_eq!(allowed(&json!([])), "do nothing");
    }
}
