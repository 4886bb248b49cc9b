//! What replicas are told, read in one transaction: providers with their sealed keys, and routes. Not here: opening the keys,
//! and sending it (both the control plane's).

use crate::connect::Store;
use crate::error::StoreError;
use crate::guard::no_user;
use crate::rows::providers::Provider;
use crate::rows::routes::Route;
use crate::seal::Sealed;
use crate::sql::{ai_gateway_keys, providers as sql, routes};
use lychgate_authz::{Action, Caller, Principal, Resource, Target, authorise};
use lychgate_types::policy::ProviderPolicy;
use lychgate_types::provider::ProviderType;
use lychgate_types::settings::ProviderSettings;
use lychgate_types::{GatewayKeyId, ProviderId, ProviderKeyId};
use std::cmp::Reverse;
use std::collections::HashMap;

/// All that replicas are told, keys still sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SealedConfiguration {
    /// Grows with every change.
    pub version: u64,
    /// All of them, oldest first.
    pub providers: Vec<SealedProvider>,
    /// The enabled ones. For each provider those for one model come first, then the longer beginnings of models before the
    /// shorter; of two for the same model the older one. So the first that fits counts.
    pub routes: Vec<Route>,
    /// What each gateway key serves; `None`: all. A key that is not in here is gone and serves nothing, and so is a provider
    /// that is not among the above. A replica learns about its own key only.
    pub scopes: HashMap<GatewayKeyId, Option<Vec<ProviderId>>>,
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
    /// What its address does not say of it, and what its keys are.
    pub settings: ProviderSettings,
    /// In force: what somebody has set, and the defaults.
    pub policy: ProviderPolicy,
    /// In the operator's order.
    pub keys: Vec<(ProviderKeyId, Sealed)>,
}

impl Store {
    /// What replicas are told. For the control plane and replicas only.
    pub async fn configuration(&self, caller: &Caller) -> Result<SealedConfiguration, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::Provider, Target::Collection)?;
        authorise(&caller.principal, Action::Read, Resource::Route, Target::Collection)?;
        no_user(caller)?;
        let mut tx = self.engine.begin_read().await?;
        let version = u64::try_from(sql::version(tx.conn()).await?).unwrap_or(0);
        let mut keys: HashMap<ProviderId, Vec<_>> = HashMap::new();
        for (provider, key, sealed) in sql::sealed_keys(tx.conn()).await? {
            keys.entry(provider).or_default().push((key, sealed));
        }
        let sealed = |provider: Provider| SealedProvider {
            keys: keys.remove(&provider.id).unwrap_or_default(),
            id: provider.id,
            name: provider.name,
            provider_type: provider.provider_type,
            base_url: provider.base_url,
            enabled: provider.enabled,
            allow_private: provider.allow_private,
            settings: provider.settings,
            policy: provider.policy,
        };
        let providers = sql::all(tx.conn()).await?.into_iter().map(sealed).collect();
        let mut routes = routes::all(&mut tx).await?;
        routes.retain(|route| route.enabled);
        // Stable: the older of two for the same model stays in front.
        routes.sort_by_key(|route| match route.model.strip_suffix('*') {
            None => (false, Reverse(0)),
            Some(beginning) => (true, Reverse(beginning.len())),
        });
        let key = match caller.principal {
            Principal::Replica { gateway_key_id } => Some(gateway_key_id),
            Principal::User(_) | Principal::ControlPlane => None,
        };
        let scopes = ai_gateway_keys::scopes(tx.conn(), key).await?;
        Ok(SealedConfiguration {
            version,
            providers,
            routes,
            scopes,
        })
    }
}
