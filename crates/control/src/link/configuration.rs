//! From the store's sealed providers to what replicas are told.

use crate::app::App;
use lychgate_authz::Caller;
use lychgate_link::{Configuration, ProviderConfig, ProviderKeyConfig};
use lychgate_store::{SealedProvider, StoreError};
use lychgate_types::Name;
use std::sync::Arc;

/// Reads the providers and opens their keys.
pub(crate) async fn load(app: &App, caller: &Caller) -> Result<Arc<Configuration>, StoreError> {
    let (version, providers) = app.store.provider_configurations(caller).await?;
    let providers = providers
        .into_iter()
        .filter_map(|provider| open(app, provider))
        .collect();
    Ok(Arc::new(Configuration {
        version,
        capture_content: app.capture_content,
        providers,
        routes: Vec::new(),
    }))
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
        policy: lychgate_types::policy::ProviderPolicy::default(),
        keys,
    })
}
