//! Providers: configured upstreams with their sealed keys. Every change counts the configuration version up.

use crate::seal::Sealed;
use crate::{Listing, Page, Store, StoreError};
use lychgate_authz::Caller;
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
    /// Whether requests may go there.
    pub enabled: bool,
    /// Whether it may live on a loopback or private address.
    pub allow_private: bool,
    /// In the operator's order.
    pub keys: Vec<ProviderKey>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
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
    /// Whether requests may go there.
    pub enabled: bool,
    /// Whether it may live on a loopback or private address.
    pub allow_private: bool,
    /// In the operator's order.
    pub keys: Vec<ProviderKeyInsert>,
}

/// A provider key to be added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProviderKeyInsert {
    /// Made by the caller: it is part of what the secret is sealed with.
    pub id: ProviderKeyId,
    /// The secret, sealed for `id` and the column `provider_keys.sealed`.
    pub sealed: Sealed,
    /// What may be shown of it.
    pub masked: String,
}

/// A provider as replicas need it, keys still sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedProvider {
    /// Its id.
    pub id: ProviderId,
    /// Its name.
    pub name: String,
    /// Its wire family.
    pub provider_type: ProviderType,
    /// Absolute URL.
    pub base_url: String,
    /// Whether requests may go there.
    pub enabled: bool,
    /// Whether it may live on a loopback or private address.
    pub allow_private: bool,
    /// In the operator's order.
    pub keys: Vec<(ProviderKeyId, Sealed)>,
}

impl Store {
    /// Makes a provider with its keys.
    pub async fn provider_insert(&self, caller: &Caller, new: ProviderInsert) -> Result<Provider, StoreError> {
        todo!()
    }

    /// Providers, oldest first.
    pub async fn provider_list(&self, caller: &Caller, page: Page) -> Result<Listing<Provider>, StoreError> {
        todo!()
    }

    /// One provider by id or name.
    pub async fn provider_find(&self, caller: &Caller, id_or_name: &str) -> Result<Provider, StoreError> {
        todo!()
    }

    /// Deletes a provider with its keys. One that is not there is no error: the answer says whether one was deleted.
    pub async fn provider_delete(&self, caller: &Caller, id: ProviderId) -> Result<bool, StoreError> {
        todo!()
    }

    /// All providers and the configuration version that they make up, read in one snapshot. For the control plane and replicas only.
    pub async fn provider_configurations(&self, caller: &Caller) -> Result<(u64, Vec<SealedProvider>), StoreError> {
        todo!()
    }
}
