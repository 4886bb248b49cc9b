//! Whether a token is valid, and what its holder may do.

use lychgate_authz::{Action, Principal, Resource, Target, UserPrincipal, authorise};
use lychgate_link::{Authorization, DenyReason};
use lychgate_store::{TokenAuthentication, UserState};
use lychgate_types::{Holder, Timestamp};
use std::time::Duration;

/// How long a replica may believe that a token is not valid.
const DENIAL_LEASE: Duration = Duration::from_secs(5);

/// The answer about a token that was looked up. It holds for `lease` at most.
pub(crate) fn authorization(found: Option<&TokenAuthentication>, now: Timestamp, lease: Duration) -> Authorization {
    let denied = |reason| Authorization::Denied {
        reason,
        lease: DENIAL_LEASE,
    };
    let Some(found) = found else {
        return denied(DenyReason::Unknown);
    };
    if let Err(reason) = check_token(found, now) {
        return denied(reason);
    }
    let left = found
        .expires_at
        .map_or(i64::MAX, |at| at.as_micros().saturating_sub(now.as_micros()));
    let principal = Principal::User(UserPrincipal {
        user_id: found.user_id,
        token_id: found.token_id,
        role: found.role,
        scopes: found.scopes.clone(),
    });
    let target = Target::OwnedBy(found.user_id);
    Authorization::Known {
        may_send_requests: authorise(&principal, Action::Create, Resource::AiRequest, target).is_ok(),
        holder: Holder::of(found.user_id),
        lease: lease.min(Duration::from_micros(left.unsigned_abs())),
    }
}

/// Whether a token that exists is valid at this moment.
pub(crate) fn check_token(found: &TokenAuthentication, now: Timestamp) -> Result<(), DenyReason> {
    if found.revoked_at.is_some() {
        Err(DenyReason::Revoked)
    } else if found.expires_at.is_some_and(|at| at <= now) {
        Err(DenyReason::Expired)
    } else if found.user_state != UserState::Active {
        Err(DenyReason::Suspended)
    } else {
        Ok(())
    }
}
