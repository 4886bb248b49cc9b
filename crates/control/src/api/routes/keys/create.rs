//! `POST /api/v1/ai-gateway/keys`

use super::{Key, bounds};
use crate::api::authenticate::Authenticated;
use crate::api::error::ApiError;
use crate::api::extract::Json;
use crate::api::idempotency::{IdempotencyKey, ShownOnce};
use crate::api::routes::problems::{Always, BadBody, Conflict};
use crate::api::schemas;
use crate::api::validate::Validations;
use crate::state::App;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use lychgate_authz::{Action, Caller};
use lychgate_store::{AiGatewayKeyInsert, GatewayKey, Operation};
use lychgate_types::secret::GatewayKeySecret;
use serde::{Deserialize, Serialize};

/// A new gateway key.
#[derive(Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "edge-1", "description": "the first rack"}))]
pub(crate) struct KeyCreate {
    #[schema(schema_with = schemas::name)]
    name: String,
    /// When it expires and stops working. Default: never.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    #[schema(schema_with = schemas::description)]
    description: Option<String>,
    /// Ids or names of the providers that its replicas serve. Default: all.
    #[schema(min_items = 1, max_items = 100)]
    providers: Option<Vec<String>>,
    #[schema(schema_with = schemas::networks)]
    allowed_cidrs: Option<Vec<String>>,
    /// Id or name of a gateway key that this one replaces, also one that was deleted in the last 31 days. Replicas with the new key deliver
    /// what those with the old one left in their spools.
    replaces: Option<String>,
}

/// The new gateway key with its secret, which is not shown again.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct KeyCreated {
    #[serde(flatten)]
    key_data: Key,
    /// The secret: `lgw_…`.
    key: String,
}

/// Creates a gateway key.
#[utoipa::path(post, path = "/ai-gateway/keys", operation_id = "ai_gateway_key_create", tag = "ai-gateway/keys",
    params(IdempotencyKey), request_body = KeyCreate,
    responses((status = 201, description = "The new key with its secret.", body = KeyCreated),
        Always, BadBody, Conflict))]
pub(crate) async fn ai_gateway_key_create(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    idempotency_key: Option<IdempotencyKey>,
    Json(body): Json<KeyCreate>,
) -> Result<Response, ApiError> {
    let once = ShownOnce::new(&app, &caller, Operation::AiGatewayKeyInsert, idempotency_key, &body)?;
    once.answer(StatusCode::CREATED, Box::pin(create(&app, &caller, &body, &once)))
        .await
}

async fn create(app: &App, caller: &Caller, body: &KeyCreate, once: &ShownOnce<'_>) -> Result<KeyCreated, ApiError> {
    let now = app.ambient.now();
    let secret = GatewayKeySecret::generate(&app.ambient);
    let mut new = validate(app, body, &secret)?;
    if let Some(texts) = &body.providers {
        let found = app
            .store
            .ai_gateway_key_providers(caller, Action::Create, texts)
            .await?;
        new.providers = Some(found.into_iter().map(|provider| provider.id).collect());
    }
    let show = |key: &GatewayKey| KeyCreated {
        key_data: Key::at(now, key.clone(), 0),
        key: secret.expose().to_owned(),
    };
    let key = app
        .store
        .ai_gateway_key_insert(caller, new, once.remember(&show))
        .await?;
    app.key_marks.add(secret.hash().mark());
    Ok(show(&key))
}

/// All but the providers, which only the store can find.
fn validate(app: &App, body: &KeyCreate, secret: &GatewayKeySecret) -> Result<AiGatewayKeyInsert, ApiError> {
    let mut validations = Validations::default();
    let name = validations.name("name", &body.name);
    let expires_at = body.expires_at.as_deref();
    let expires_at = expires_at.and_then(|text| bounds::expires_at(&mut validations, app, text));
    if let Some(text) = &body.description {
        bounds::check_description(&mut validations, text);
    }
    if let Some(texts) = &body.providers {
        bounds::check_providers(&mut validations, texts);
    }
    let cidrs = body.allowed_cidrs.as_deref();
    let allowed_cidrs = cidrs.map(|texts| bounds::allowed_cidrs(&mut validations, texts));
    validations.all(name.map(|name| AiGatewayKeyInsert {
        id: app.ambient.new_id(),
        created_at: app.ambient.now(),
        name: name.to_string(),
        secret_prefix: secret.prefix().to_owned(),
        secret_hash: secret.hash(),
        description: body.description.clone(),
        expires_at,
        providers: None,
        allowed_cidrs,
        replaces: body.replaces.as_deref().map(Into::into),
    }))
}
