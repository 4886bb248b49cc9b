//! User tokens.

pub(crate) mod create;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod revoke;

use super::users::UserRef;
use lychgate_types::{Timestamp, TokenId};
use serde::Serialize;

/// A user token, without its secret.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Token {
    #[schema(value_type = String, format = Uuid)]
    id: TokenId,
    /// The user that it belongs to.
    user: UserRef,
    /// What it is called.
    name: String,
    /// The first 11 characters of the secret, which are public and identify it.
    token_prefix: String,
    /// The scopes that limit the role of its user.
    scopes: Vec<String>,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// To the minute.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    #[schema(value_type = Option<String>, format = DateTime)]
    revoked_at: Option<Timestamp>,
    /// `active`, `expired` or `revoked`.
    state: &'static str,
}

impl Token {
    fn at(now: Timestamp, token: lychgate_store::Token) -> Self {
        let state = match (token.revoked_at, token.expires_at) {
            (Some(_), _) => "revoked",
            (None, Some(at)) if at <= now => "expired",
            (None, _) => "active",
        };
        Self {
            state,
            id: token.id,
            user: token.user.into(),
            name: token.name,
            token_prefix: token.secret_prefix,
            scopes: token.scopes.to_texts(),
            created_at: token.created_at,
            expires_at: token.expires_at,
            last_used_at: token.last_used_at,
            revoked_at: token.revoked_at,
        }
    }
}
