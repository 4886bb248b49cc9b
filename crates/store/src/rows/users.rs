//! Users.

use lychgate_authz::Role;
use lychgate_types::{Timestamp, UserId};

/// A user, or one who was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// Its id.
    pub id: UserId,
    /// Lower case, unique among users who were not deleted.
    pub username: String,
    /// What people call the user.
    pub display_name: Option<String>,
    /// Where the user is reached.
    pub email: Option<String>,
    /// What the user is in the deployment.
    pub role: Role,
    /// Whether the user's tokens work.
    pub state: UserState,
    /// When the user was made.
    pub created_at: Timestamp,
    /// When the user was deleted; only listings give such users.
    pub deleted_at: Option<Timestamp>,
}

/// A user as other things name it; a deleted user keeps its name there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserRef {
    /// Its id.
    pub id: UserId,
    /// Its name.
    pub username: String,
    /// Whether the user was deleted; somebody else may have the name now.
    pub deleted: bool,
}

lychgate_types::text_enum! {
    /// Whether a user's tokens work.
    UserState {
        /// They do.
        Active = "active",
        /// They do not, until the user is active again.
        Suspended = "suspended",
    }
}

/// A user to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserInsert {
    /// Stored in lower case; must keep the rule for usernames.
    pub username: String,
    /// What the user shall be.
    pub role: Role,
}

/// What shall change; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserPatch {
    /// What the user shall be.
    pub role: Option<Role>,
    /// At most 100 characters.
    pub display_name: Option<Option<String>>,
    /// At most 254 characters.
    pub email: Option<Option<String>>,
}

/// Which users are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserFilter {
    /// Part of the name.
    pub q: Option<String>,
    /// Those who were deleted, instead of those who were not.
    pub deleted: bool,
}
