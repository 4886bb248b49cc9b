//! `POST /api/v1/ai-gateway/keys`

use super::Key;
use crate::app::App;
use crate::authenticate::Authenticated;
use crate::error::ApiError;
use crate::extract::Json;
use crate::idempotency::{IdempotencyKey, Request};
use crate::routes::problems::{Always, BadBody, IdempotencyKeyReused, NameTaken};
use crate::routes::users::UserRef;
use crate::validate::Validations;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::{StatusCode, header};
use lychgate_store::{AiGatewayKeyInsert, KeyState, Operation, StoreError, TokenAuthentication};
use lychgate_types::secret::GatewayKeySecret;
use lychgate_types::{Name, Timestamp};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

const MAX_DESCRIPTION: usize = 500;

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
    let wanted = validate(&app, &body)?;
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
}

fn validate(app: &App, body: &KeyCreate) -> Result<Wanted, ApiError> {
    let mut validations = Validations::default();
    let name = validations.name("name", &body.name);
    let expires_at = validations.parse::<Timestamp>("expires_at", body.expires_at.as_deref());
    if expires_at.is_some_and(|at| at <= app.ambient.now()) {
        validations.add("expires_at", "lies in the past");
    }
    if let Some(text) = &body.description
        && (text.chars().count() > MAX_DESCRIPTION || text.chars().any(|c| c.is_control() && c != '\n'))
    {
        validations.add(
            "description",
            "must have at most 500 characters, and no control characters but line ends",
        );
    }
    validations.all(name.map(|name| Wanted {
        name,
        expires_at,
        description: body.description.clone(),
    }))
}

/// Makes the secret, and what is answered once the key is stored.
fn prepare(app: &App, token: &TokenAuthentication, wanted: Wanted) -> (AiGatewayKeyInsert, KeyCreated) {
    let secret = GatewayKeySecret::generate(&app.ambient);
    let insert = AiGatewayKeyInsert {
        id: app.ambient.new_id(),
        created_at: app.ambient.now(),
        name: wanted.name.to_string(),
        secret_prefix: secret.prefix().to_owned(),
        hashed_secret: secret.hash().as_bytes().to_vec(),
        description: wanted.description,
        expires_at: wanted.expires_at,
        providers: None,
        allowed_cidrs: None,
    };
    let key_data = Key {
        id: insert.id,
        name: insert.name.clone(),
        key_prefix: insert.secret_prefix.clone(),
        created_at: insert.created_at,
        last_used_at: None,
        expires_at: insert.expires_at,
        created_by: Some(UserRef {
            id: token.user_id,
            username: token.username.clone(),
        }),
        description: insert.description.clone(),
        state: KeyState::Active.as_str(),
        live_replicas: 0,
    };
    (
        insert,
        KeyCreated {
            key_data,
            key: secret.expose().to_owned(),
        },
    )
}
