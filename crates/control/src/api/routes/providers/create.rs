//! `POST /api/v1/ai-gateway/providers`

use super::secret::{self, SecretText};
use super::settings::{self, SettingsChange};
use super::{Provider, base_url, policy};
use crate::api::authenticate::Authenticated;
use crate::api::error::ApiError;
use crate::api::extract::Json;
use crate::api::routes::problems::{Always, BadBody, Conflict};
use crate::api::schemas;
use crate::api::validate::Validations;
use crate::link::announce;
use crate::state::{App, KeyHome};
use axum::extract::State;
use http::StatusCode;
use lychgate_store::ProviderInsert;
use lychgate_types::json::object_or_null;
use lychgate_types::policy::PolicyChange;
use lychgate_types::provider::ProviderType;
use lychgate_types::settings::ProviderSettings;
use lychgate_wire::provider::describe;
use serde::Deserialize;

/// A new provider.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "anthropic", "type": "anthropic", "keys": ["sk-ant-example"]}))]
pub(crate) struct ProviderCreate {
    #[schema(schema_with = schemas::name)]
    name: String,
    #[schema(schema_with = schemas::one_of::<ProviderType>)]
    r#type: String,
    #[schema(schema_with = schemas::base_url)]
    base_url: Option<String>,
    /// The keys, at most 16. They are stored encrypted and never shown again.
    #[serde(default)]
    #[schema(max_items = 16)]
    keys: Vec<SecretText>,
    /// Whether it is enabled. Default: true.
    enabled: Option<bool>,
    /// Whether it may have a loopback, private or link-local address and use plain http. Default: false.
    allow_private: Option<bool>,
    /// What the address does not say, and what the keys are; which settings there are depends on the type.
    #[schema(schema_with = settings::change)]
    settings: Option<SettingsChange>,
    /// Settings that differ from the defaults.
    #[serde(default, deserialize_with = "object_or_null")]
    #[schema(value_type = Option<policy::Change>)]
    policy: Option<PolicyChange>,
}

/// Creates a provider. Replicas get it within a second.
#[utoipa::path(post, path = "/ai-gateway/providers", operation_id = "provider_create", tag = "ai-gateway/providers",
    request_body = ProviderCreate,
    responses((status = 201, description = "The new provider.", body = Provider), Always, BadBody, Conflict))]
pub(crate) async fn provider_create(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    Json(body): Json<ProviderCreate>,
) -> Result<(StatusCode, axum::Json<Provider>), ApiError> {
    let allow_private = body.allow_private.unwrap_or(false);
    let mut validations = Validations::default();
    let name = validations.name("name", &body.name);
    let provider_type = validations.parse::<ProviderType>("type", Some(&body.r#type));
    let default = provider_type.map(ProviderType::default_base_url);
    let base_url = match (body.base_url.as_deref(), default) {
        (Some(text), _) | (None, Some(Some(text))) => {
            base_url::read(&mut validations, provider_type, text, allow_private)
        }
        (None, Some(None)) => {
            validations.refuse("base_url", "is required for this type of provider");
            None
        }
        // Only the type is invalid.
        (None, None) => None,
    };
    let mut settings = settings::changed(&ProviderSettings::default(), body.settings);
    if let Some(provider_type) = provider_type {
        settings = settings::check(&mut validations, provider_type, &settings, allow_private);
    }
    let form = provider_type.and_then(|provider_type| describe(provider_type).key_form(&settings));
    secret::check_count(&mut validations, body.keys.len());
    for (at, key) in body.keys.iter().enumerate() {
        secret::check(&mut validations, &format!("keys[{at}]"), key, form);
    }
    let policy = policy::read(&mut validations, body.policy);
    let ((name, provider_type), base_url) = validations.all(name.zip(provider_type).zip(base_url))?;
    let id = app.ambient.new_id();
    let home = KeyHome {
        provider: id,
        provider_type,
        base_url: &base_url,
        allow_private,
        settings: &settings,
    };
    let keys = body
        .keys
        .iter()
        .map(|key| secret::seal(&app, &home, key))
        .collect::<Result<_, _>>()?;
    let insert = ProviderInsert {
        id,
        name: name.to_string(),
        provider_type,
        base_url,
        enabled: body.enabled.unwrap_or(true),
        allow_private,
        settings,
        policy,
        keys,
    };
    let provider = app.store.provider_insert(&caller, insert).await?;
    announce::configuration_changed(&app).await;
    Ok((StatusCode::CREATED, axum::Json(provider.into())))
}
