//! Users.

pub(crate) mod activate;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod suspend;
pub(crate) mod update;

use crate::api::error::ApiError;
use crate::state::App;
use lychgate_authz::Caller;
use lychgate_store::StoreError;
use lychgate_types::{Timestamp, UserId};
use serde::Serialize;

/// A person or service with an account.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct User {
    #[schema(value_type = String, format = Uuid)]
    id: UserId,
    /// Lower-case; follows the rule for usernames.
    username: String,
    /// What people call the user.
    display_name: Option<String>,
    /// Where the user is reached.
    email: Option<String>,
    /// `owner`, `auditor` or `member`.
    role: &'static str,
    /// `active` or `suspended`.
    state: &'static str,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// Null, except in a listing of deleted users.
    #[schema(value_type = Option<String>, format = DateTime)]
    deleted_at: Option<Timestamp>,
}

impl From<lychgate_store::User> for User {
    fn from(user: lychgate_store::User) -> Self {
        Self {
            id: user.id,
            username: user.username,
            display_name: user.display_name,
            email: user.email,
            role: user.role.as_str(),
            state: user.state.as_str(),
            created_at: user.created_at,
            deleted_at: user.deleted_at,
        }
    }
}

/// A user, in other resources.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct UserRef {
    #[schema(value_type = String, format = Uuid)]
    pub(super) id: UserId,
    pub(super) username: String,
    /// Whether the user was deleted; somebody else may have the name now.
    pub(super) deleted: bool,
}

impl From<lychgate_store::UserRef> for UserRef {
    fn from(user: lychgate_store::UserRef) -> Self {
        Self {
            id: user.id,
            username: user.username,
            deleted: user.deleted,
        }
    }
}

/// The id of the user that a path names. Looked up by the control plane, so that a token which may only delete can delete by
/// name; whether the caller may is decided by the store method that gets the id. A name that nobody has becomes an id that
/// nobody has, so that a caller who may not do the thing gets the same refusal either way.
pub(super) async fn id_of(app: &App, id_or_name: &str) -> Result<UserId, ApiError> {
    if let Ok(id) = id_or_name.parse() {
        return Ok(id);
    }
    match app.store.user_find(&Caller::control_plane(), id_or_name).await {
        Ok(user) => Ok(user.id),
        Err(StoreError::NotFound) => Ok(app.ambient.new_id()),
        Err(error) => Err(error.into()),
    }
}
