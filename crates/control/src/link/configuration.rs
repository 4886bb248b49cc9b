//! Loads the configuration from the store and opens the providers' keys.

use crate::state::configuration::Loaded;
use crate::state::{App, KeyHome};
use lychgate_authz::Caller;
use lychgate_link::{Configuration, ProviderConfig, ProviderKeyConfig, RouteConfig, RouteTarget};
use lychgate_store::{SealedProvider, StoreError};
use lychgate_types::Name;
use std::sync::Arc;

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
        match app.open_provider_key(*id, &home(&provider), sealed) {
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
        settings: provider.settings,
        policy: provider.policy,
        keys,
    })
}

/// Where the keys of a provider go.
fn home(provider: &SealedProvider) -> KeyHome<'_> {
    KeyHome {
        provider: provider.id,
        provider_type: provider.provider_type,
        base_url: &provider.base_url,
        allow_private: provider.allow_private,
        settings: &provider.settings,
    }
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
