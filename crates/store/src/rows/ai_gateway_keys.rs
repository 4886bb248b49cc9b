//! Gateway keys. No row has a field for a secret; the hash of one only goes in.

use crate::name_or_id::NameOrId;
use crate::rows::providers::ProviderRef;
use crate::rows::users::UserRef;
use lychgate_types::secret::SecretHash;
use lychgate_types::{Cidr, GatewayKeyId, ProviderId, Timestamp};
use std::time::Duration;

/// A gateway key, without its secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayKey {
    /// Its id.
    pub id: GatewayKeyId,
    /// Lower case, unique.
    pub name: String,
    /// The first 11 characters of the secret: for display and audit correlation only.
    pub secret_prefix: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When a replica last authenticated with it; `None` until the first does.
    pub last_used_at: Option<Timestamp>,
    /// A free text.
    pub description: Option<String>,
    /// When it expires; `None`: never.
    pub expires_at: Option<Timestamp>,
    /// Who created it.
    pub created_by: Option<UserRef>,
    /// Since when it has been disabled; `None`: it is not.
    pub disabled_at: Option<Timestamp>,
    /// When it got its present secret; `None`: when it was made.
    pub rotated_at: Option<Timestamp>,
    /// Until when the previous secret works, too; `None` outside a grace period.
    pub previous_valid_until: Option<Timestamp>,
    /// The providers that it serves; `None`: all. Those that were deleted meanwhile are left out.
    pub providers: Option<Vec<ProviderRef>>,
    /// Where it may be used from; `None`: anywhere.
    pub allowed_cidrs: Option<Vec<Cidr>>,
}

impl GatewayKey {
    /// Whether replicas can authenticate with it at this moment.
    pub fn state(&self, now: Timestamp) -> KeyState {
        KeyState::of(self.disabled_at, self.expires_at, now)
    }
}

lychgate_types::text_enum! {
    /// Whether replicas can authenticate with a gateway key.
    KeyState {
        /// It does.
        Active = "active",
        /// Its time is over.
        Expired = "expired",
        /// Somebody has disabled it; said of an expired one, too.
        Disabled = "disabled",
    }
}

impl KeyState {
    pub(crate) fn of(disabled_at: Option<Timestamp>, expires_at: Option<Timestamp>, now: Timestamp) -> Self {
        if disabled_at.is_some() {
            Self::Disabled
        } else if expires_at.is_some_and(|at| at <= now) {
            Self::Expired
        } else {
            Self::Active
        }
    }
}

/// A gateway key to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AiGatewayKeyInsert {
    /// Made by the caller.
    pub id: GatewayKeyId,
    /// Given by the caller.
    pub created_at: Timestamp,
    /// Stored in lower case; must keep the name rule.
    pub name: String,
    /// The first 11 characters of the secret.
    pub secret_prefix: String,
    /// What is stored of the secret.
    pub secret_hash: SecretHash,
    /// At most 500 characters.
    pub description: Option<String>,
    /// When it shall expire.
    pub expires_at: Option<Timestamp>,
    /// The providers that it shall serve (`Store::ai_gateway_key_providers`); `None`: all.
    pub providers: Option<Vec<ProviderId>>,
    /// Where it may be used from; `None`: anywhere.
    pub allowed_cidrs: Option<Vec<Cidr>>,
    /// The key that it replaces, which may be deleted.
    pub replaces: Option<NameOrId<GatewayKeyId>>,
}

/// Which gateway keys are wanted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KeyFilter {
    /// Part of the name.
    pub q: Option<String>,
}

/// What is known of a gateway key that somebody showed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyAuthentication {
    /// The key.
    pub id: GatewayKeyId,
    /// Its name.
    pub name: String,
    /// Of the secret shown, for the audit log.
    pub secret_prefix: String,
    /// Whether the key can be used to authenticate.
    pub state: KeyState,
    /// Whether the secret shown is still good for it.
    pub secret: SecretState,
    /// Where it may be used from; `None`: anywhere.
    pub allowed_cidrs: Option<Vec<Cidr>>,
}

/// Whether a secret is still good for its key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SecretState {
    /// It is the key's present one.
    Present,
    /// A rotation replaced it; until this moment it goes on working.
    InGrace {
        /// When that ends.
        until: Timestamp,
    },
    /// A rotation replaced it, and the grace is over.
    Rotated,
}

/// A gateway key's new secret.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatewayKeyRotation {
    /// The first 11 characters of the new secret.
    pub secret_prefix: String,
    /// What is stored of the new secret.
    pub secret_hash: SecretHash,
    /// How long the present secret goes on working; zero: it stops at once.
    pub grace: Duration,
    /// Whether to rotate though the secret before the present one still works; that one stops at once.
    pub force: bool,
}

/// A gateway key whose end is near.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyExpiry {
    /// The key.
    pub id: GatewayKeyId,
    /// Its name.
    pub name: String,
    /// When that is.
    pub expires_at: Timestamp,
}

/// What shall change; `None` leaves a field as it is, `Some(None)` takes a value away.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GatewayKeyPatch {
    /// At most 500 characters.
    pub description: Option<Option<String>>,
    /// When it shall expire.
    pub expires_at: Option<Option<Timestamp>>,
    /// Whether it is disabled from now on, until it is enabled again.
    pub disabled: Option<bool>,
    /// The providers that it shall serve (`Store::ai_gateway_key_providers`).
    pub providers: Option<Option<Vec<ProviderId>>>,
    /// Where it may be used from.
    pub allowed_cidrs: Option<Option<Vec<Cidr>>>,
}

/// A gateway key as other things name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyRef {
    /// Its id.
    pub id: GatewayKeyId,
    /// Its name.
    pub name: String,
}
