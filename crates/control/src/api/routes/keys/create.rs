//! `POST /api/v1/ai-gateway/keys`

use super::{Key, bounds};
use crate::api::authenticate::Authenticated;
use crate::api::error::ApiError;
use crate::api::extract::Json;
use crate::api::idempotency::{IdempotencyKey, Request};
use crate::api::routes::problems::{Always, BadBody, IdempotencyKeyReused, NameTaken};
use crate::api::validate::Validations;
use crate::state::App;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use lychgate_authz::Action;
use lychgate_store::{AiGatewayKeyInsert, GatewayKey, Operation, ProviderRef, StoreError, TokenAuthentication};
use lychgate_types::secret::GatewayKeySecret;
use lychgate_types::{Cidr, Name, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// A gateway key to make.
#[derive(Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "edge-1", "description": "the first rack"}))]
pub(crate) struct KeyCreate {
    /// 1 to 64 characters: letters a to z, digits, and single dashes between them; kept in lower case.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// From then on it lets nobody in; it does not expire where left out.
    #[schema(format = DateTime)]
    expires_at: Option<String>,
    /// The operator's own words.
    #[schema(max_length = 500)]
    description: Option<String>,
    /// Ids or names of the providers that its replicas serve; all where left out.
    #[schema(min_items = 1, max_items = 100)]
    providers: Option<Vec<String>>,
    /// The networks that its replicas may come from, as addresses or in CIDR notation; anywhere where left out.
    #[schema(min_items = 1, max_items = 64)]
    allowed_cidrs: Option<Vec<String>>,
}

/// The new gateway key with its secret, which is not shown again.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct KeyCreated {
    #[serde(flatten)]
    key_data: Key,
    /// The secret: `lgw_…`.
    key: String,
}

/// Makes a gateway key.
///
/// With an `Idempotency-Key`, the same request again within an hour gives the same answer, the secret included.
#[utoipa::path(post, path = "/ai-gateway/keys", operation_id = "ai_gateway_key_create", tag = "ai-gateway/keys",
    params(("Idempotency-Key" = Option<String>, Header, description = "1 to 255 visible ASCII characters of the caller's choice.")),
    request_body = KeyCreate,
    responses((status = 201, description = "The new key with its secret.", body = KeyCreated),
        Always, BadBody, NameTaken, IdempotencyKeyReused))]
pub(crate) async fn ai_gateway_key_create(
    State(app): State<App>,
    Authenticated { caller, token }: Authenticated,
    idempotency_key: Option<IdempotencyKey>,
    Json(body): Json<KeyCreate>,
) -> Result<Response, ApiError> {
    let mut wanted = validate(&app, &body)?;
    if let Some(texts) = &body.providers {
        let found = app
            .store
            .ai_gateway_key_providers(&caller, Action::Create, texts)
            .await?;
        wanted.providers = Some(found);
    }
    let request = idempotency_key
        .map(|key| Request::new(Operation::AiGatewayKeyInsert, key, &caller, &body))
        .transpose()?;
    if let Some(request) = &request
        && let Some(answer) = request.remembered(&app).await?
    {
        return Ok(created(&answer));
    }
    let (insert, answer) = prepare(&app, &token, wanted);
    let answer = Zeroizing::new(serde_json::to_vec(&answer).map_err(ApiError::internal)?);
    let remember = request
        .as_ref()
        .map(|request| request.remember(&app, &answer))
        .transpose()?;
    let Err(error) = app.store.ai_gateway_key_insert(&caller, insert, remember).await else {
        return Ok(created(&answer));
    };
    // The same request may have been made at the same moment, and have won.
    if let (StoreError::Conflict(_), Some(request)) = (&error, &request)
        && let Some(answer) = request.remembered(&app).await?
    {
        return Ok(created(&answer));
    }
    Err(error.into())
}

fn created(answer: &[u8]) -> Response {
    (
        StatusCode::CREATED,
        [(header::CONTENT_TYPE, "application/json")],
        answer.to_vec(),
    )
        .into_response()
}

struct Wanted {
    name: Name,
    expires_at: Option<Timestamp>,
    description: Option<String>,
    /// Found by the store, once all else fits.
    providers: Option<Vec<ProviderRef>>,
    allowed_cidrs: Option<Vec<Cidr>>,
}

fn validate(app: &App, body: &KeyCreate) -> Result<Wanted, ApiError> {
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
    validations.all(name.map(|name| Wanted {
        name,
        expires_at,
        description: body.description.clone(),
        providers: None,
        allowed_cidrs,
    }))
}

/// Makes the secret, and what is answered once the key is stored.
fn prepare(app: &App, token: &TokenAuthentication, wanted: Wanted) -> (AiGatewayKeyInsert, KeyCreated) {
    let secret = GatewayKeySecret::generate(&app.ambient);
    let key = GatewayKey {
        id: app.ambient.new_id(),
        name: wanted.name.to_string(),
        secret_prefix: secret.prefix().to_owned(),
        created_at: app.ambient.now(),
        last_used_at: None,
        description: wanted.description,
        expires_at: wanted.expires_at,
        created_by: Some(lychgate_store::UserRef {
            id: token.user_id,
            username: token.username.clone(),
        }),
        disabled_at: None,
        rotated_at: None,
        previous_valid_until: None,
        providers: wanted.providers,
        allowed_cidrs: wanted.allowed_cidrs,
    };
    let ids = |providers: &Vec<ProviderRef>| providers.iter().map(|provider| provider.id).collect();
    let insert = AiGatewayKeyInsert {
        id: key.id,
        created_at: key.created_at,
        name: key.name.clone(),
        secret_prefix: key.secret_prefix.clone(),
        hashed_secret: secret.hash().as_bytes().to_vec(),
        description: key.description.clone(),
        expires_at: key.expires_at,
        providers: key.providers.as_ref().map(ids),
        allowed_cidrs: key.allowed_cidrs.clone(),
    };
    let answer = KeyCreated {
        key_data: Key::of(app, key, 0),
        key: secret.expose().to_owned(),
    };
    (insert, answer)
}
