//! The one table of rights.

use crate::principal::{Principal, Role};
use lychgate_types::text_enum;

text_enum! {
    /// What is done.
    Action {
        /// Make a new one.
        Create = "create",
        /// See it.
        Read = "read",
        /// Change it.
        Update = "update",
        /// Remove, revoke it.
        Delete = "delete",
    }
}

text_enum! {
    /// What it is done to.
    Resource {
        /// A person or service with an account. Owned by itself.
        User = "user",
        /// A user token. Owned by its user.
        Token = "token",
        /// A gateway key. Deployment-wide.
        AiGatewayKey = "ai_gateway_key",
        /// A replica, as the registry lists it. Deployment-wide. `update` is the right to drain it.
        Replica = "replica",
        /// A provider with its keys. Deployment-wide.
        Provider = "provider",
        /// Where requests for certain models go instead. Deployment-wide.
        Route = "route",
        /// A recorded AI request. Owned by the user who made it.
        Interception = "interception",
        /// A request sent through the gateway. `create` is the right to use the gateway.
        AiRequest = "ai_request",
        /// The audit log. Deployment-wide.
        AuditEntry = "audit_entry",
    }
}

/// How far a right reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reach {
    /// Not at all.
    None,
    /// To what the principal's user owns.
    Own,
    /// To everything.
    Any,
}

/// The table: how far `principal`'s right to do `action` to `resource` reaches, scopes left aside.
pub(crate) fn reach(principal: &Principal, action: Action, resource: Resource) -> Reach {
    match principal {
        Principal::User(user) => role_reach(user.role, action, resource),
        Principal::Replica { .. } => replica_reach(action, resource),
        Principal::ControlPlane => control_plane_reach(action, resource),
    }
}

fn role_reach(role: Role, action: Action, resource: Resource) -> Reach {
    use Action::{Create, Delete, Read, Update};
    use Resource::{AiGatewayKey, AiRequest, AuditEntry, Interception, Provider, Replica, Route, Token, User};
    match (role, resource, action) {
        (Role::Owner, User | Token | AiGatewayKey | Provider | Route, Create | Read | Update | Delete) => Reach::Any,
        (Role::Owner, Replica, Update) => Reach::Any,
        (Role::Owner | Role::Auditor, Replica | Interception | AuditEntry, Read) => Reach::Any,
        (Role::Auditor, User | Token | AiGatewayKey | Provider | Route, Read) => Reach::Any,
        (Role::Auditor | Role::Member, Token, Create | Delete) => Reach::Own,
        (Role::Member, User | Token | Interception, Read) => Reach::Own,
        (Role::Owner | Role::Member, AiRequest, Create) => Reach::Own,
        _ => Reach::None,
    }
}

/// What the holder of a gateway key may do: learn of one token by its hash, get providers and routes, append records.
fn replica_reach(action: Action, resource: Resource) -> Reach {
    match (resource, action) {
        (Resource::Token | Resource::Provider | Resource::Route, Action::Read) => Reach::Any,
        (Resource::Interception, Action::Create) => Reach::Any,
        _ => Reach::None,
    }
}

/// What the control plane does on its own account: authenticate, mark liveness, bootstrap, audit, feed its embedded gateway,
/// keep the registry of replicas.
fn control_plane_reach(action: Action, resource: Resource) -> Reach {
    use Action::{Create, Delete, Read, Update};
    match (resource, action) {
        (Resource::User, Create | Read) => Reach::Any,
        (Resource::Token, Create | Read | Update) => Reach::Any,
        (Resource::AiGatewayKey, Read | Update) => Reach::Any,
        (Resource::Replica, Create | Read | Update | Delete) => Reach::Any,
        (Resource::Provider | Resource::Route, Read) => Reach::Any,
        (Resource::Interception, Create) => Reach::Any,
        (Resource::AuditEntry, Create) => Reach::Any,
        _ => Reach::None,
    }
}

/// The whole policy as a Markdown table, one row per principal and resource.
pub fn matrix() -> String {
    use crate::{Scopes, UserPrincipal};
    use lychgate_types::{GatewayKeyId, TokenId, UserId};
    let nobody = uuid_zero();
    let user = |role| {
        Principal::User(UserPrincipal {
            user_id: UserId::from_uuid(nobody),
            token_id: TokenId::from_uuid(nobody),
            role,
            scopes: Scopes::all(),
        })
    };
    let principals = [
        ("owner", user(Role::Owner)),
        ("auditor", user(Role::Auditor)),
        ("member", user(Role::Member)),
        (
            "replica",
            Principal::Replica {
                gateway_key_id: GatewayKeyId::from_uuid(nobody),
            },
        ),
        ("control plane", Principal::ControlPlane),
    ];
    let mut text = String::from(
        "# Who may do what\n\nGenerated from `src/policy.rs`; `cargo xtask generate` writes it anew.\n\n\
         `any`: to all of them. `own`: to those that belong to the caller. `–`: not at all. A token's scopes can only narrow this.\n\n\
         | principal | resource | create | read | update | delete |\n|---|---|---|---|---|---|\n",
    );
    for (name, principal) in &principals {
        for resource in Resource::ALL {
            text.push_str(&format!("| {name} | `{resource}` |"));
            for action in Action::ALL {
                text.push_str(match reach(principal, *action, *resource) {
                    Reach::None => " – |",
                    Reach::Own => " own |",
                    Reach::Any => " any |",
                });
            }
            text.push('\n');
        }
    }
    text
}

fn uuid_zero() -> uuid::Uuid {
    uuid::Uuid::nil()
}

#[cfg(test)]
mod tests {
    /// `UPDATE_GENERATED=1` (as `cargo xtask generate` sets it) writes the file instead.
    #[test]
    fn the_committed_matrix_is_the_policy() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/policy-matrix.md");
        if std::env::var_os("UPDATE_GENERATED").is_some() {
            std::fs::write(path, super::matrix()).unwrap();
        }
        let committed = std::fs::read_to_string(path).unwrap();
        assert!(
            committed == super::matrix(),
            "{path} is stale: run `cargo xtask generate` and read the difference"
        );
    }
}
