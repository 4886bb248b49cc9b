//! The configuration: providers with their keys and policies, and routes.

use crate::configuration::{Configuration, ProviderConfig, ProviderKeyConfig, RouteConfig, RouteTarget};
use crate::convert::policy::read_policy;
use crate::field::{BadMessage, id_bytes, read_id};
use crate::generated as wire;
use lychgate_types::policy::ProviderPolicy;
use lychgate_types::secret::{ProviderSecret, SpoolKey};
use lychgate_types::{Name, ProviderId, ProviderKeyId, RouteId};
use prost::Message as _;
use zeroize::Zeroizing;

impl std::fmt::Debug for wire::ProviderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProviderKey")
    }
}

impl std::fmt::Debug for wire::Configuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Configuration")
    }
}

impl Configuration {
    /// As bytes, for a replica's own sealed snapshot. Contains the providers' keys.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(wire::Configuration::from(self).encode_to_vec())
    }

    /// Reads what [`Self::encode`] made.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadMessage> {
        read_configuration(wire::Configuration::decode(bytes).map_err(|_| BadMessage("configuration"))?)
    }
}

impl From<&Configuration> for wire::Configuration {
    fn from(configuration: &Configuration) -> Self {
        Self {
            version: configuration.version,
            capture_content: configuration.capture_content,
            providers: configuration.providers.iter().map(provider).collect(),
            routes: configuration.routes.iter().map(route).collect(),
            ..Self::default()
        }
    }
}

fn provider(provider: &ProviderConfig) -> wire::Provider {
    let key = |key: &ProviderKeyConfig| wire::ProviderKey {
        id: id_bytes(key.id.as_uuid()),
        secret: key.secret.expose().to_owned(),
    };
    let keys: Vec<_> = provider.keys.iter().map(key).collect();
    let (keys, keys_by_settings) = match provider.settings.is_empty() {
        true => (keys, Vec::new()),
        false => (Vec::new(), keys),
    };
    wire::Provider {
        id: id_bytes(provider.id.as_uuid()),
        name: provider.name.as_str().to_owned(),
        r#type: provider.provider_type.as_str().to_owned(),
        base_url: provider.base_url.clone(),
        enabled: provider.enabled,
        allow_private: provider.allow_private,
        policy: Some(provider.policy.into()),
        settings: provider.settings.clone().into_map().into_iter().collect(),
        keys,
        keys_by_settings,
    }
}

fn route(route: &RouteConfig) -> wire::Route {
    let target = |target: &RouteTarget| wire::RouteTarget {
        provider: id_bytes(target.provider.as_uuid()),
        model: target.model.clone(),
        weight: target.weight,
    };
    wire::Route {
        id: id_bytes(route.id.as_uuid()),
        provider: id_bytes(route.provider.as_uuid()),
        model: route.model.clone(),
        targets: route.targets.iter().map(target).collect(),
        fallbacks: route.fallbacks.iter().map(target).collect(),
    }
}

pub(super) fn read_configuration(configuration: wire::Configuration) -> Result<Configuration, BadMessage> {
    let mut providers = Vec::with_capacity(configuration.providers.len());
    for provider in configuration.providers {
        providers.extend(read_provider(provider)?);
    }
    let routes = configuration.routes.into_iter().map(read_route);
    Ok(Configuration {
        version: configuration.version,
        capture_content: configuration.capture_content,
        providers,
        routes: routes.collect::<Result<_, _>>()?,
    })
}

/// `None` for a provider of a type that only a newer control plane knows: this replica can't serve it, but serves the others.
fn read_provider(provider: wire::Provider) -> Result<Option<ProviderConfig>, BadMessage> {
    let Ok(provider_type) = provider.r#type.parse() else {
        tracing::warn!(
            provider = provider.name,
            "provider ignored: this replica does not know its type"
        );
        return Ok(None);
    };
    let key = |key: wire::ProviderKey| {
        Ok(ProviderKeyConfig {
            id: ProviderKeyId::from_uuid(read_id(&key.id, "provider.keys.id")?),
            secret: ProviderSecret::new(key.secret),
        })
    };
    let keys = provider.keys.into_iter().chain(provider.keys_by_settings);
    Ok(Some(ProviderConfig {
        id: ProviderId::from_uuid(read_id(&provider.id, "provider.id")?),
        policy: provider
            .policy
            .map_or_else(ProviderPolicy::default, |policy| read_policy(&provider.name, &policy)),
        name: Name::parse(&provider.name).map_err(|_| BadMessage("provider.name"))?,
        provider_type,
        base_url: provider.base_url,
        enabled: provider.enabled,
        allow_private: provider.allow_private,
        settings: provider.settings.into_iter().collect(),
        keys: keys.map(key).collect::<Result<_, _>>()?,
    }))
}

fn read_route(route: wire::Route) -> Result<RouteConfig, BadMessage> {
    let target = |target: wire::RouteTarget| {
        let provider = ProviderId::from_uuid(read_id(&target.provider, "route.targets.provider")?);
        Ok(RouteTarget {
            provider,
            model: target.model,
            weight: target.weight.max(1),
        })
    };
    Ok(RouteConfig {
        id: RouteId::from_uuid(read_id(&route.id, "route.id")?),
        provider: ProviderId::from_uuid(read_id(&route.provider, "route.provider")?),
        model: route.model,
        targets: route.targets.into_iter().map(target).collect::<Result<_, _>>()?,
        fallbacks: route.fallbacks.into_iter().map(target).collect::<Result<_, _>>()?,
    })
}

pub(super) fn read_spool_key(bytes: Vec<u8>) -> Result<SpoolKey, BadMessage> {
    let bytes = Zeroizing::new(bytes);
    let bytes = bytes.as_slice().try_into();
    bytes
        .map(SpoolKey::from_bytes)
        .map_err(|_| BadMessage("configuration.spool_key"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use lychgate_types::provider::ProviderType;
    use lychgate_types::settings::ProviderSettings;

    /// One that ignores the settings would send the keys as they are.
    #[test]
    fn a_replica_that_knows_no_settings_gets_no_keys_of_a_provider_that_has_some() {
        let with = |settings: &[(&str, &str)]| ProviderConfig {
            id: ProviderId::from_uuid(Default::default()),
            name: Name::parse("azure").unwrap(),
            provider_type: ProviderType::AzureOpenAi,
            base_url: "https://h".to_owned(),
            enabled: true,
            allow_private: false,
            settings: settings
                .iter()
                .map(|(name, value)| ((*name).into(), (*value).into()))
                .collect::<ProviderSettings>(),
            policy: ProviderPolicy::default(),
            keys: vec![ProviderKeyConfig {
                id: ProviderKeyId::from_uuid(Default::default()),
                secret: ProviderSecret::new("secret".to_owned()),
            }],
        };
        for (settings, keys) in [(&[][..], 1), (&[("credential", "key")][..], 0)] {
            let config = with(settings);
            let sent = provider(&config);
            assert_eq!((sent.keys.len(), sent.keys_by_settings.len()), (keys, 1 - keys));
            assert_eq!(read_provider(sent), Ok(Some(config)));
        }
    }
}
