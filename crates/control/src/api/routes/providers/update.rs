//! `PATCH /api/v1/ai-gateway/providers/{provider}`

use super::secret::{self, SecretText};
use super::settings::{self, SettingsChange};
use super::{Provider, base_url, policy};
use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::{Json, PathText};
use crate::api::routes::problems::{Always, BadBody, Conflict, NotFound};
use crate::api::schemas;
use crate::api::validate::Validations;
use crate::link::announce;
use crate::state::{App, KeyHome};
use axum::extract::State;
use lychgate_store::{ProviderAddress, ProviderPatch, WantedKey};
use lychgate_types::ProviderKeyId;
use lychgate_types::json::{object_or_null, objects_or_null};
use lychgate_types::policy::PolicyChange;
use lychgate_wire::provider::{KeyForm, describe};
use serde::Deserialize;
use std::borrow::Cow;
use std::collections::HashSet;
use utoipa::openapi::{RefOr, Schema};

/// The changes; fields that are left out stay as they are.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"enabled": false}))]
pub(crate) struct ProviderUpdate {
    #[schema(schema_with = schemas::base_url)]
    base_url: Option<String>,
    enabled: Option<bool>,
    allow_private: Option<bool>,
    /// The settings to change: null removes one, those that are left out stay as they are.
    #[schema(schema_with = settings::change)]
    settings: Option<SettingsChange>,
    /// The policy's settings to change; those that are left out stay as they are.
    #[serde(default, deserialize_with = "object_or_null")]
    #[schema(value_type = Option<policy::Change>)]
    policy: Option<PolicyChange>,
    /// The new list; keys that it leaves out are deleted. For another host, port or scheme, another `allow_private` or other settings, all
    /// keys have to be given again.
    #[serde(default, deserialize_with = "objects_or_null")]
    #[schema(max_items = 16)]
    keys: Option<Vec<KeyWanted>>,
}

/// A key to keep (`id`) or a new one (`key`); exactly one of the two.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyWanted {
    id: Option<String>,
    key: Option<SecretText>,
}

impl utoipa::ToSchema for KeyWanted {
    fn name() -> Cow<'static, str> {
        Cow::Borrowed("KeyWanted")
    }
}

impl utoipa::PartialSchema for KeyWanted {
    fn schema() -> RefOr<Schema> {
        schemas::either(
            "A key to keep (`id`) or a new one (`key`); exactly one of the two.",
            [("id", schemas::uuid()), ("key", schemas::provider_key())],
        )
    }
}

/// Changes a provider. Replicas get the change within a second.
#[utoipa::path(patch, path = "/ai-gateway/providers/{provider}", operation_id = "provider_update", tag = "ai-gateway/providers",
    params(("provider" = String, Path, description = "Id or name.")), request_body = ProviderUpdate,
    responses((status = 200, description = "The provider as it is now.", body = Provider), Always, BadBody, NotFound, Conflict))]
pub(crate) async fn provider_update(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathText(provider): PathText,
    Json(body): Json<ProviderUpdate>,
) -> Result<axum::Json<Provider>, ApiError> {
    // As this caller may change it: whoever may not learns nothing from what is checked next.
    let known = app.store.provider_to_change(&caller, &provider).await;
    let known = known.map_err(about("provider"))?;
    let mut validations = Validations::default();
    let base_url = check_address(&mut validations, &known, &body);
    let ProviderUpdate {
        enabled,
        allow_private,
        settings,
        policy,
        keys,
        ..
    } = body;
    let mut settings = settings.map(|change| settings::changed(&known.settings, Some(change)));
    if settings.is_some() || allow_private.is_some() {
        let wanted = settings.as_ref().unwrap_or(&known.settings);
        let allow_private = allow_private.unwrap_or(known.allow_private);
        let checked = settings::check(&mut validations, known.provider_type, wanted, allow_private);
        settings = settings.map(|_| checked);
    }
    let policy = policy::read(&mut validations, policy);
    let form = describe(known.provider_type).key_form(settings.as_ref().unwrap_or(&known.settings));
    let keys = keys.map(|wanted| check_keys(&mut validations, wanted, form));
    let keys = validations.all(Some(keys))?;
    let home = KeyHome {
        provider: known.id,
        provider_type: known.provider_type,
        base_url: base_url.as_deref().unwrap_or(&known.base_url),
        allow_private: allow_private.unwrap_or(known.allow_private),
        settings: settings.as_ref().unwrap_or(&known.settings),
    };
    let keys = keys
        .map(|keys| {
            keys.into_iter()
                .map(|key| key.seal(&app, &home))
                .collect::<Result<_, _>>()
        })
        .transpose()?;
    // What was checked and sealed was so for this address.
    let is_bound = base_url.is_some() || allow_private.is_some() || settings.is_some() || keys.is_some();
    let made_for = is_bound.then_some(ProviderAddress {
        base_url: known.base_url,
        allow_private: known.allow_private,
        settings: known.settings,
    });
    let patch = ProviderPatch {
        made_for,
        base_url,
        enabled,
        allow_private,
        settings,
        policy,
        keys,
    };
    let provider = app
        .store
        .provider_update(&caller, &provider, patch)
        .await
        .map_err(about("provider"))?;
    announce::configuration_changed(&app).await;
    Ok(axum::Json(provider.into()))
}

/// Checks what the address and the leave for it will be together; answers the new address, if one is given.
fn check_address(
    validations: &mut Validations,
    known: &lychgate_store::Provider,
    body: &ProviderUpdate,
) -> Option<String> {
    let allow_private = body.allow_private.unwrap_or(known.allow_private);
    match (&body.base_url, body.allow_private) {
        (Some(text), _) => base_url::read(validations, Some(known.provider_type), text, allow_private),
        (None, Some(false)) => {
            if let Err(detail) = base_url::parse(&known.base_url, false) {
                validations.refuse("allow_private", format!("can't be withdrawn: the base URL {detail}"));
            }
            None
        }
        (None, _) => None,
    }
}

enum Checked {
    Keep(ProviderKeyId),
    Add(SecretText),
}

impl Checked {
    fn seal(self, app: &App, home: &KeyHome<'_>) -> Result<WantedKey, ApiError> {
        match self {
            Self::Keep(id) => Ok(WantedKey::Keep(id)),
            Self::Add(secret) => secret::seal(app, home, &secret).map(WantedKey::Add),
        }
    }
}

fn check_keys(validations: &mut Validations, wanted: Vec<KeyWanted>, form: Option<&KeyForm>) -> Vec<Checked> {
    secret::check_count(validations, wanted.len());
    let mut keys = Vec::with_capacity(wanted.len());
    let mut kept = HashSet::new();
    for (at, wanted) in wanted.into_iter().enumerate() {
        match (wanted.id, wanted.key) {
            (Some(id), None) => {
                let field = format!("keys[{at}].id");
                if let Some(id) = validations.parse(&field, Some(&id)) {
                    if !kept.insert(id) {
                        validations.refuse(field, "is in the list twice");
                    }
                    keys.push(Checked::Keep(id));
                }
            }
            (None, Some(key)) => {
                secret::check(validations, &format!("keys[{at}].key"), &key, form);
                keys.push(Checked::Add(key));
            }
            (Some(_), Some(_)) | (None, None) => validations.add(format!("keys[{at}]"), "must have either id or key"),
        }
    }
    keys
}
