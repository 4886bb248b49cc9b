//! User tokens. No row has a field for a secret; the hash of one only goes in.

use crate::name_or_id::NameOrId;
use crate::rows::users::{UserRef, UserState};
use lychgate_authz::{Role, Scopes};
use lychgate_types::secret::SecretHash;
use lychgate_types::{Timestamp, TokenId, UserId};

/// A user token, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Token {
    /// Its id.
    pub id: TokenId,
    /// The user that it belongs to.
    pub user: UserRef,
    /// Lower case; need not be unique.
    pub name: String,
    /// The first 11 characters of the secret: for display only.
    pub secret_prefix: String,
    /// What it narrows the user's role to.
    pub scopes: Scopes,
    /// When it was made.
    pub created_at: Timestamp,
    /// From when on it does not work; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub last_used_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
}

/// A token to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenInsert {
    /// Made by the caller.
    pub id: TokenId,
    /// Given by the caller.
    pub created_at: Timestamp,
    /// Whose it shall be.
    pub user: NameOrId<UserId>,
    /// Stored in lower case; must keep the name rule.
    pub name: String,
    /// The first 11 characters of the secret.
    pub secret_prefix: String,
    /// What is stored of the secret.
    pub secret_hash: SecretHash,
    /// What it shall narrow the user's role to; at most what the caller's own token allows.
    pub scopes: Scopes,
    /// From when on it shall not work.
    pub expires_at: Option<Timestamp>,
}

/// Which tokens are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenFilter {
    /// Only this user's.
    pub user: Option<NameOrId<UserId>>,
}

/// What is known of a token that somebody showed. It is for the caller to see whether it still works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TokenAuthentication {
    /// The token.
    pub token_id: TokenId,
    /// The user that it belongs to.
    pub user_id: UserId,
    /// The user's name.
    pub username: String,
    /// The user's role.
    pub role: Role,
    /// Deleted users count as suspended.
    pub user_state: UserState,
    /// The scopes of the token.
    pub scopes: Scopes,
    /// From when on it does not work.
    pub expires_at: Option<Timestamp>,
    /// When it was revoked.
    pub revoked_at: Option<Timestamp>,
    /// Whether it is on record that the caller's gateway key was told of it; true for callers without one.
    pub is_granted: bool,
}
