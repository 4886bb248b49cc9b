//! The configuration in force, made ready for requests: providers by name, and routes.

use crate::routing::provider::{Provider, State};
use crate::routing::routes::Routes;
use lychgate_link::Configuration;
use lychgate_types::ProviderId;
use std::collections::HashMap;
use std::sync::Arc;

/// The configuration, made ready for requests.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) version: u64,
    pub(crate) capture_content: bool,
    pub(crate) routes: Routes,
    providers: HashMap<String, Arc<Provider>>,
}

impl Table {
    /// Makes a configuration ready. Providers that did not change are taken over from the table before; of those that did,
    /// what was learnt about them.
    pub(crate) fn next(&self, configuration: &Configuration) -> Self {
        let known: HashMap<ProviderId, &Arc<Provider>> = self
            .providers
            .values()
            .map(|provider| (provider.config.id, provider))
            .collect();
        let providers: HashMap<ProviderId, Arc<Provider>> = configuration
            .providers
            .iter()
            .map(|config| {
                let provider = match known.get(&config.id) {
                    Some(same) if same.config == *config => Arc::clone(same),
                    Some(before) => Arc::new(Provider::new(config.clone(), before.state.clone())),
                    None => Arc::new(Provider::new(config.clone(), State::default())),
                };
                (config.id, provider)
            })
            .collect();
        let gone = known
            .values()
            .filter(|provider| !providers.contains_key(&provider.config.id));
        gone.for_each(|provider| provider.end());
        Self {
            version: configuration.version,
            capture_content: configuration.capture_content,
            routes: Routes::new(&configuration.routes, &providers),
            providers: providers
                .into_values()
                .map(|provider| (provider.config.name.as_str().to_owned(), provider))
                .collect(),
        }
    }

    pub(crate) fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }

    pub(crate) fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.get(name)
    }
}
