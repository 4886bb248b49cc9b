//! Who asks.

use crate::scope::Scopes;
use lychgate_types::{GatewayKeyId, RequestId, TokenId, UserId, text_enum};

text_enum! {
    /// What a user is in the deployment.
    Role {
        /// Runs the deployment.
        Owner = "owner",
        /// Sees everything, changes nothing.
        Auditor = "auditor",
        /// Uses the gateway and sees their own.
        Member = "member",
    }
}

/// A user who showed a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserPrincipal {
    /// The user.
    pub user_id: UserId,
    /// The token shown.
    pub token_id: TokenId,
    /// The user's role.
    pub role: Role,
    /// The scopes of the token.
    pub scopes: Scopes,
}

/// The acting party.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Principal {
    /// A user, by a token.
    User(UserPrincipal),
    /// A replica, by a gateway key.
    Replica {
        /// The key it showed.
        gateway_key_id: GatewayKeyId,
    },
    /// The control plane on its own account.
    ControlPlane,
}

impl Principal {
    /// The user behind this principal, if it is one.
    pub fn user_id(&self) -> Option<UserId> {
        match self {
            Self::User(user) => Some(user.user_id),
            Self::Replica { .. } | Self::ControlPlane => None,
        }
    }
}

/// A principal in one request: what the store's methods take, so that the audit log can name both.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Who asks.
    pub principal: Principal,
    /// In which request; `None` for work that no request caused.
    pub request_id: Option<RequestId>,
}

impl Caller {
    /// The control plane itself, outside any request.
    pub const fn control_plane() -> Self {
        Self {
            principal: Principal::ControlPlane,
            request_id: None,
        }
    }
}
