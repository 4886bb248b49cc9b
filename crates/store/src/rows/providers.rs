//! Providers and their keys.

use crate::seal::Sealed;
use lychgate_types::policy::{PolicyChange, ProviderPolicy};
use lychgate_types::provider::ProviderType;
use lychgate_types::{ProviderId, ProviderKeyId, Timestamp};

/// A provider; its keys are only shown masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provider {
    /// Its id.
    pub id: ProviderId,
    /// Lower case, unique.
    pub name: String,
    /// Its wire family.
    pub provider_type: ProviderType,
    /// Absolute URL; checked by the caller.
    pub base_url: String,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Whether it may live on a loopback or private address.
    pub allow_private: bool,
    /// In force: what somebody has set, and the defaults.
    pub policy: ProviderPolicy,
    /// In the operator's order.
    pub keys: Vec<ProviderKey>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A provider as other things name it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderRef {
    /// Its id.
    pub id: ProviderId,
    /// Its name.
    pub name: String,
}

/// One of a provider's keys, masked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderKey {
    /// Its id.
    pub id: ProviderKeyId,
    /// First and last four characters, or less.
    pub masked: String,
    /// When it was added.
    pub created_at: Timestamp,
}

/// A provider to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderInsert {
    /// Made by the caller.
    pub id: ProviderId,
    /// Stored in lower case; must keep the name rule.
    pub name: String,
    /// Its wire family.
    pub provider_type: ProviderType,
    /// At most 2000 characters.
    pub base_url: String,
    /// Whether it is enabled.
    pub enabled: bool,
    /// Whether it may live on a loopback or private address.
    pub allow_private: bool,
    /// What differs from the default policy; its bounds are checked by the caller.
    pub policy: PolicyChange,
    /// In the operator's order.
    pub keys: Vec<ProviderKeyInsert>,
}

/// A provider key to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderKeyInsert {
    /// Made by the caller: it is part of what the secret is sealed with.
    pub id: ProviderKeyId,
    /// The secret, sealed for `id`, its column, and the provider and address that it goes to.
    pub sealed: Sealed,
    /// What may be shown of it.
    pub masked: String,
}

/// Where a provider's keys go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderAddress {
    /// Its base URL.
    pub base_url: String,
    /// Whether it may live on a loopback or private address.
    pub allow_private: bool,
}

/// What shall change; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderPatch {
    /// What the patch was made for: nothing is changed once the address is another ([`RuleBroken::ProviderMoved`]). The keys are
    /// sealed for it.
    ///
    /// [`RuleBroken::ProviderMoved`]: crate::RuleBroken::ProviderMoved
    pub made_for: Option<ProviderAddress>,
    /// A new base URL.
    pub base_url: Option<String>,
    /// Whether it is enabled.
    pub enabled: Option<bool>,
    /// Whether it may live on a loopback or private address.
    pub allow_private: Option<bool>,
    /// Single settings of its policy; the bounds are checked by the caller.
    pub policy: PolicyChange,
    /// The whole list: keys that it leaves out are deleted.
    pub keys: Option<Vec<WantedKey>>,
}

/// One entry of the wanted list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WantedKey {
    /// This key of the provider stays.
    Keep(ProviderKeyId),
    /// This one is added.
    Add(ProviderKeyInsert),
}
