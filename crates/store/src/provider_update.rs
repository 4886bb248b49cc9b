//! Changing a provider: single fields, and the whole wanted list of keys.

use crate::providers::{Provider, ProviderKeyInsert};
use crate::{Store, StoreError};
use lychgate_authz::Caller;
use lychgate_types::{ProviderId, ProviderKeyId};

/// What shall change; `None` leaves a field as it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProviderPatch {
    /// A new base URL.
    pub base_url: Option<String>,
    /// Whether requests may go there.
    pub enabled: Option<bool>,
    /// Whether it may live on a loopback or private address.
    pub allow_private: Option<bool>,
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

impl Store {
    /// Changes a provider.
    pub async fn provider_update(&self, caller: &Caller, id: ProviderId, patch: ProviderPatch) -> Result<Provider, StoreError> {
        todo!()
    }
}
