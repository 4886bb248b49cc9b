//! Users: people and services with an account. A deleted user stays as a row, for accounting; the name is free again.

use crate::tokens::{Token, TokenInsert};
use crate::{Listing, Page, Store, StoreError};
use lychgate_authz::{Caller, Role};
use lychgate_types::secret::SecretHash;
use lychgate_types::{Timestamp, UserId};

/// A user who was not deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Lower case, unique among users who were not deleted.
    pub username: String,
    /// What the user is in the deployment.
    pub role: Role,
    /// Whether the user's tokens work.
    pub state: UserState,
    /// When the user was made.
    pub created_at: Timestamp,
}

/// A user as other things name it; a deleted user keeps its name there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRef {
    /// Its id.
    pub id: UserId,
    /// Its name.
    pub username: String,
}

/// Whether a user's tokens work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserState {
    /// They do.
    Active,
    /// They do not, until the user is active again.
    Suspended,
}

impl UserState {
    /// The canonical text: `active` or `suspended`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Suspended => "suspended",
        }
    }
}

impl std::str::FromStr for UserState {
    type Err = lychgate_types::UnknownText;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "active" => Ok(Self::Active),
            "suspended" => Ok(Self::Suspended),
            _ => Err(lychgate_types::UnknownText(&["active", "suspended"])),
        }
    }
}

/// A user to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserInsert {
    /// Stored in lower case; must keep the name rule.
    pub username: String,
    /// What the user shall be.
    pub role: Role,
}

/// Which users are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Part of the name.
    pub q: Option<String>,
}

impl Store {
    /// Makes a user.
    pub async fn user_insert(&self, caller: &Caller, new: UserInsert) -> Result<User, StoreError> {
        todo!()
    }

    /// Users, oldest first. A caller who may only see itself gets only itself.
    pub async fn user_list(&self, caller: &Caller, filter: &UserFilter, page: Page) -> Result<Listing<User>, StoreError> {
        todo!()
    }

    /// One user by id.
    pub async fn user_get(&self, caller: &Caller, id: UserId) -> Result<User, StoreError> {
        todo!()
    }

    /// One user by id or name.
    pub async fn user_find(&self, caller: &Caller, id_or_name: &str) -> Result<User, StoreError> {
        todo!()
    }

    /// Suspends or activates a user. Gives the hashes of the user's live tokens, which replicas must forget.
    pub async fn user_set_state(&self, caller: &Caller, id: UserId, state: UserState) -> Result<(User, Vec<SecretHash>), StoreError> {
        todo!()
    }

    /// Deletes a user and revokes the user's tokens; gives their hashes. `None`: there was no such user.
    pub async fn user_delete(&self, caller: &Caller, id: UserId) -> Result<Option<Vec<SecretHash>>, StoreError> {
        todo!()
    }

    /// Makes the very first user with a token (whose `user_id` is replaced by the new user's). `None`: there are, or were, users already.
    pub async fn users_bootstrap(&self, caller: &Caller, user: UserInsert, token: TokenInsert) -> Result<Option<(User, Token)>, StoreError> {
        todo!()
    }
}
