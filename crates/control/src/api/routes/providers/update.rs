//! `PATCH /api/v1/ai-gateway/providers/{provider}`

use super::secret::{self, SecretText};
use super::{Provider, base_url, policy};
use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::{Json, PathText};
use crate::api::routes::problems::{Always, BadBody, NotFound};
use crate::api::validate::Validations;
use crate::link::announce;
use crate::state::App;
use axum::extract::State;
use lychgate_authz::Caller;
use lychgate_store::{ProviderPatch, StoreError, WantedKey};
use lychgate_types::ProviderKeyId;
use lychgate_types::policy::PolicyChange;
use serde::Deserialize;
use std::collections::HashSet;

/// The changes; fields that are left out stay as they are.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"enabled": false}))]
pub(crate) struct ProviderUpdate {
    #[schema(format = "uri")]
    base_url: Option<String>,
    enabled: Option<bool>,
    allow_private: Option<bool>,
    /// The settings to change; those that are left out stay as they are.
    #[schema(value_type = Option<policy::Policy>)]
    policy: Option<PolicyChange>,
    /// The new list; keys that it leaves out are deleted.
    #[schema(max_items = 16)]
    keys: Option<Vec<KeyWanted>>,
}

/// A key to keep (`id`) or a new one (`key`); exactly one of the two.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct KeyWanted {
    /// An existing key of the provider.
    #[schema(format = Uuid)]
    id: Option<String>,
    /// A new key.
    #[schema(value_type = Option<String>)]
    key: Option<SecretText>,
}

/// Changes a provider. Replicas get the change within a second.
#[utoipa::path(patch, path = "/ai-gateway/providers/{provider}", operation_id = "provider_update", tag = "ai-gateway/providers",
    params(("provider" = String, Path, description = "Id or name.")), request_body = ProviderUpdate,
    responses((status = 200, description = "The provider as it is now.", body = Provider), Always, BadBody, NotFound))]
pub(crate) async fn provider_update(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathText(provider): PathText,
    Json(body): Json<ProviderUpdate>,
) -> Result<axum::Json<Provider>, ApiError> {
    let mut validations = Validations::default();
    let known = known(&app, &provider).await?;
    let base_url = match &known {
        Some(known) => check_address(&mut validations, known, &body),
        None => None,
    };
    let ProviderUpdate {
        enabled,
        allow_private,
        policy,
        keys,
        ..
    } = body;
    let policy = policy::read(&mut validations, policy);
    let keys = keys.map(|wanted| check_keys(&mut validations, wanted));
    let keys = validations.all(Some(keys))?;
    let keys = keys
        .map(|keys| keys.into_iter().map(|key| key.seal(&app)).collect::<Result<_, _>>())
        .transpose()?;
    let patch = ProviderPatch {
        base_url,
        enabled,
        allow_private,
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
        (Some(text), _) => validations.check("base_url", base_url::parse(text, allow_private)),
        (None, Some(false)) => {
            if let Err(detail) = base_url::parse(&known.base_url, false) {
                validations.add("allow_private", format!("can't be withdrawn: the base URL {detail}"));
            }
            None
        }
        (None, _) => None,
    }
}

/// The provider as the control plane sees it, to check a change of single fields against the others. Whether the caller may know
/// of it is decided by the store, which makes the change.
async fn known(app: &App, id_or_name: &str) -> Result<Option<lychgate_store::Provider>, ApiError> {
    match app.store.provider_find(&Caller::control_plane(), id_or_name).await {
        Ok(provider) => Ok(Some(provider)),
        Err(StoreError::NotFound) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

enum Checked {
    Keep(ProviderKeyId),
    Add(SecretText),
}

impl Checked {
    fn seal(self, app: &App) -> Result<WantedKey, ApiError> {
        match self {
            Self::Keep(id) => Ok(WantedKey::Keep(id)),
            Self::Add(secret) => secret::seal(app, &secret).map(WantedKey::Add),
        }
    }
}

fn check_keys(validations: &mut Validations, wanted: Vec<KeyWanted>) -> Vec<Checked> {
    secret::check_count(validations, wanted.len());
    let mut keys = Vec::with_capacity(wanted.len());
    let mut kept = HashSet::new();
    for (at, wanted) in wanted.into_iter().enumerate() {
        match (wanted.id, wanted.key) {
            (Some(id), None) => {
                let field = format!("keys[{at}].id");
                if let Some(id) = validations.parse(&field, Some(&id)) {
                    if !kept.insert(id) {
                        validations.add(field, "is in the list twice");
                    }
                    keys.push(Checked::Keep(id));
                }
            }
            (None, Some(key)) => {
                secret::check(validations, &format!("keys[{at}].key"), &key);
                keys.push(Checked::Add(key));
            }
            (Some(_), Some(_)) | (None, None) => validations.add(format!("keys[{at}]"), "must have either id or key"),
        }
    }
    keys
}
