//! Providers and their keys.

use crate::seal::Sealed;
use lychgate_types::policy::{PolicyChange, ProviderPolicy};
use lychgate_types::provider::ProviderType;
use lychgate_types::settings::ProviderSettings;
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
    /// What its address does not say of it, and what its keys are.
    pub settings: ProviderSettings,
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
    /// Checked by the caller.
    pub settings: ProviderSettings,
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
    /// The secret, sealed for `id`, its column, and the provider, address and settings that say where it goes.
    pub sealed: Sealed,
    /// What may be shown of it.
    pub masked: String,
}

/// Where a provider's keys go: a change of it needs all of them anew.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderAddress {
    /// Its base URL.
    pub base_url: String,
    /// Whether it may live on a loopback or private address.
    pub allow_private: bool,
    /// They say what the keys are, and who gets them.
    pub settings: ProviderSettings,
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
    /// All of its settings; checked by the caller.
    pub settings: Option<ProviderSettings>,
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
