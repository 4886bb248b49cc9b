//! `PATCH /api/v1/ai-gateway/keys/{key}`

use super::{Key, bounds, whole};
use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::{Json, PathText, given};
use crate::api::routes::problems::{Always, BadBody, Conflict, NotFound};
use crate::api::schemas;
use crate::api::validate::Validations;
use crate::link::announce;
use crate::state::App;
use axum::extract::State;
use lychgate_authz::Action;
use lychgate_store::GatewayKeyPatch;
use serde::Deserialize;

/// The changes; fields that are left out stay as they are.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"disabled": true}))]
pub(crate) struct KeyUpdate {
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::description)]
    description: Option<Option<String>>,
    /// When it expires and stops working; null means never.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Option<String>>,
    /// Whether it is disabled. Its replicas accept no requests until it is enabled again.
    disabled: Option<bool>,
    /// Ids or names of the providers that its replicas serve; null means all.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Vec<String>>, min_items = 1, max_items = 100)]
    providers: Option<Option<Vec<String>>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::networks)]
    allowed_cidrs: Option<Option<Vec<String>>>,
}

/// Changes a gateway key.
///
/// Replicas attached to this control plane apply the change before the response is sent, all others within a second.
#[utoipa::path(patch, path = "/ai-gateway/keys/{key}", operation_id = "ai_gateway_key_update", tag = "ai-gateway/keys",
    params(("key" = String, Path, description = "Id or name.")), request_body = KeyUpdate,
    responses((status = 200, description = "The key as it is now.", body = Key), Always, BadBody, NotFound, Conflict))]
pub(crate) async fn ai_gateway_key_update(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathText(key): PathText,
    Json(body): Json<KeyUpdate>,
) -> Result<axum::Json<Key>, ApiError> {
    let mut patch = check(&app, &body)?;
    if let Some(wanted) = &body.providers {
        patch.providers = Some(match wanted {
            Some(texts) => {
                let found = app.store.ai_gateway_key_providers(&caller, Action::Update, texts).await;
                let found = found.map_err(about("gateway key"))?;
                Some(found.into_iter().map(|provider| provider.id).collect())
            }
            None => None,
        });
    }
    let key = app
        .store
        .ai_gateway_key_update(&caller, &key, patch)
        .await
        .map_err(about("gateway key"))?;
    announce::key_changed(&app, key.id).await;
    if body.providers.is_some() {
        announce::configuration_changed(&app).await;
    }
    Ok(axum::Json(whole(&app, key).await?))
}

/// All but the providers, which only the store can find.
fn check(app: &App, body: &KeyUpdate) -> Result<GatewayKeyPatch, ApiError> {
    let mut validations = Validations::default();
    if let Some(Some(text)) = &body.description {
        bounds::check_description(&mut validations, text);
    }
    let expires_at = body.expires_at.as_ref().map(|text| {
        text.as_deref()
            .and_then(|text| bounds::expires_at(&mut validations, app, text))
    });
    if let Some(Some(texts)) = &body.providers {
        bounds::check_providers(&mut validations, texts);
    }
    let allowed_cidrs = body.allowed_cidrs.as_ref().map(|texts| {
        texts
            .as_deref()
            .map(|texts| bounds::allowed_cidrs(&mut validations, texts))
    });
    validations.all(Some(GatewayKeyPatch {
        description: body.description.clone(),
        expires_at,
        disabled: body.disabled,
        providers: None,
        allowed_cidrs,
    }))
}
