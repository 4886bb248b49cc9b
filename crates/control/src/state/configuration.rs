//! The configuration that replicas receive, cut down to what each gateway key serves.
//!
//! Not here: loading it (`link::configuration`).

use lychgate_link::{Configuration, RouteConfig, RouteTarget};
use lychgate_types::{GatewayKeyId, ProviderId};
use std::collections::HashMap;
use std::sync::Arc;

/// The whole configuration, and which providers each key serves.
pub(crate) struct Loaded {
    pub(crate) whole: Arc<Configuration>,
    pub(crate) scopes: HashMap<GatewayKeyId, Option<Vec<ProviderId>>>,
}

impl Loaded {
    /// What the replicas of this key receive; without a key: the embedded gateway, which serves all providers.
    ///
    /// A route keeps only targets and fallbacks of providers that the key serves; one that keeps no target is left out.
    pub(crate) fn of(&self, key: Option<GatewayKeyId>) -> Arc<Configuration> {
        match key.map(|key| self.scopes.get(&key)) {
            None | Some(Some(None)) => self.whole.clone(),
            Some(Some(Some(serves))) => Arc::new(within(&self.whole, serves)),
            // Deleted meanwhile: it receives nothing any more.
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
