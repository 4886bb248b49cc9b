//! Providers.

mod base_url;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
mod policy;
mod secret;
mod settings;
pub(crate) mod update;

use crate::api::openapi::known_texts;
use lychgate_types::policy::ProviderPolicy;
use lychgate_types::provider::ProviderType;
use lychgate_types::settings::ProviderSettings;
use lychgate_types::{ProviderId, ProviderKeyId, Timestamp};
use serde::Serialize;

/// A provider: an upstream and its keys, which are only shown masked.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Provider {
    #[schema(value_type = String, format = Uuid)]
    id: ProviderId,
    /// The path segment after `/ai/`; follows the name rule.
    name: String,
    #[schema(schema_with = known_texts::<ProviderType>)]
    r#type: &'static str,
    #[schema(format = "uri")]
    base_url: String,
    /// In the operator's order.
    keys: Vec<ProviderKey>,
    /// Whether it is enabled.
    enabled: bool,
    /// Whether it may have a loopback, private or link-local address.
    allow_private: bool,
    /// What its address does not say of it, and what its keys are.
    #[schema(schema_with = settings::schema)]
    settings: ProviderSettings,
    /// How the gateway treats it, with all settings.
    #[schema(value_type = policy::Policy)]
    policy: ProviderPolicy,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// One key of a provider.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ProviderKey {
    #[schema(value_type = String, format = Uuid)]
    id: ProviderKeyId,
    /// The first and last four characters of a long key, nothing of a short one.
    masked: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
}

impl From<lychgate_store::Provider> for Provider {
    fn from(provider: lychgate_store::Provider) -> Self {
        let key = |key: lychgate_store::ProviderKey| ProviderKey {
            id: key.id,
            masked: key.masked,
            created_at: key.created_at,
        };
        Self {
            id: provider.id,
            name: provider.name,
            r#type: provider.provider_type.as_str(),
            base_url: provider.base_url,
            keys: provider.keys.into_iter().map(key).collect(),
            enabled: provider.enabled,
            allow_private: provider.allow_private,
            settings: provider.settings,
            policy: provider.policy,
            created_at: provider.created_at,
            updated_at: provider.updated_at,
        }
    }
}
