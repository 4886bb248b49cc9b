//! From the store's sealed configuration to what replicas are told.

use crate::state::App;
use lychgate_authz::Caller;
use lychgate_link::{Configuration, ProviderConfig, ProviderKeyConfig, RouteConfig, RouteTarget};
use lychgate_store::{SealedProvider, StoreError};
use lychgate_types::{GatewayKeyId, Name, ProviderId};
use std::collections::HashMap;
use std::sync::Arc;

/// What replicas are told, and what of it each key serves.
pub(crate) struct Loaded {
    pub(crate) whole: Arc<Configuration>,
    pub(crate) scopes: HashMap<GatewayKeyId, Option<Vec<ProviderId>>>,
}

impl Loaded {
    /// What the replicas of this key are told; without a key, the embedded gateway, which serves all.
    ///
    /// Of a route that is partly out of the key's reach, the targets and fallbacks within it are left; one without any
    /// target left is left out.
    pub(crate) fn of(&self, key: Option<GatewayKeyId>) -> Arc<Configuration> {
        match key.map(|key| self.scopes.get(&key)) {
            None | Some(Some(None)) => self.whole.clone(),
            Some(Some(Some(serves))) => Arc::new(within(&self.whole, serves)),
            // Deleted since: nothing goes to it any more.
            Some(None) => Arc::new(within(&self.whole, &[])),
        }
    }
}

fn within(whole: &Configuration, serves: &[ProviderId]) -> Configuration {
    let in_reach = |target: &&RouteTarget| serves.contains(&target.provider);
    let route = |route: &RouteConfig| {
        let targets: Vec<_> = route.targets.iter().filter(in_reach).cloned().collect();
        (serves.contains(&route.provider) && !targets.is_empty()).then(|| RouteConfig {
            targets,
            fallbacks: route.fallbacks.iter().filter(in_reach).cloned().collect(),
            ..route.clone()
        })
    };
    let providers = whole.providers.iter();
    Configuration {
        providers: providers
            .filter(|provider| serves.contains(&provider.id))
            .cloned()
            .collect(),
        routes: whole.routes.iter().filter_map(route).collect(),
        ..*whole
    }
}

/// Reads providers, routes, and what keys serve, and opens the providers' keys.
pub(crate) async fn load(app: &App, caller: &Caller) -> Result<Loaded, StoreError> {
    let sealed = app.store.configuration(caller).await?;
    let providers = sealed.providers.into_iter();
    let whole = Configuration {
        version: sealed.version,
        capture_content: app.capture_content,
        providers: providers.filter_map(|provider| open(app, provider)).collect(),
        routes: sealed.routes.into_iter().map(route).collect(),
    };
    Ok(Loaded {
        whole: Arc::new(whole),
        scopes: sealed.scopes,
    })
}

/// `None` where the name in the database breaks the name rule, which the schema does not let happen.
fn open(app: &App, provider: SealedProvider) -> Option<ProviderConfig> {
    let name = Name::parse(&provider.name).ok()?;
    let mut keys = Vec::with_capacity(provider.keys.len());
    for (id, sealed) in &provider.keys {
        match app.sealer.open(sealed, id.as_uuid(), crate::PROVIDER_KEY_COLUMN) {
            Ok(secret) => keys.push(ProviderKeyConfig { id: *id, secret }),
            // One damaged key must not take the others down with it.
            Err(error) => {
                tracing::error!(provider = %provider.name, key = %id, %error, "a provider key can't be opened and is left out");
            }
        }
    }
    Some(ProviderConfig {
        id: provider.id,
        name,
        provider_type: provider.provider_type,
        base_url: provider.base_url,
        enabled: provider.enabled,
        allow_private: provider.allow_private,
        policy: provider.policy,
        keys,
    })
}

fn route(route: lychgate_store::Route) -> RouteConfig {
    let target = |target: lychgate_store::RouteTarget| RouteTarget {
        provider: target.provider.id,
        model: target.model,
        weight: target.weight,
    };
    RouteConfig {
        id: route.id,
        provider: route.provider.id,
        model: route.model,
        targets: route.targets.into_iter().map(target).collect(),
        fallbacks: route.fallbacks.into_iter().map(target).collect(),
    }
}
