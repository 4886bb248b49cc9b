//! `POST /api/v1/tokens`

use super::Token;
use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::Json;
use crate::api::idempotency::{IdempotencyKey, ShownOnce};
use crate::api::routes::problems::{Always, BadBody, Conflict, NotFound};
use crate::api::routes::users;
use crate::api::schemas;
use crate::api::validate::Validations;
use crate::state::App;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use lychgate_authz::{Caller, Scopes};
use lychgate_store::{Operation, TokenAuthentication, TokenInsert};
use lychgate_types::json::whole_or_null;
use lychgate_types::secret::UserTokenSecret;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const DAY_SECONDS: u64 = 24 * 60 * 60;
const DEFAULT_LIFETIME_SECONDS: u64 = 90 * DAY_SECONDS;
const MAX_LIFETIME_SECONDS: u64 = 365 * DAY_SECONDS;

/// A new token.
#[derive(Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "laptop", "scopes": ["ai_request:create"], "lifetime_seconds": 86400}))]
pub(crate) struct TokenCreate {
    /// Id or username of the user that it is for. Default: the caller.
    user: Option<String>,
    #[schema(schema_with = schemas::name)]
    name: String,
    #[schema(schema_with = schemas::scopes)]
    scopes: Option<Vec<String>>,
    /// How long it is valid. Default: 90 days. A token can't create one for its own user that is valid for longer than itself, and the
    /// ones that it creates this way are revoked with it.
    #[serde(default, deserialize_with = "whole_or_null")]
    #[schema(minimum = 1, maximum = 31_536_000)]
    lifetime_seconds: Option<u64>,
}

/// The new token with its secret, which is not shown again.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TokenCreated {
    #[serde(flatten)]
    token_data: Token,
    /// The secret: `lgu_…`.
    token: String,
}

/// Creates a token for oneself or, as an owner, for any user.
#[utoipa::path(post, path = "/tokens", operation_id = "token_create", tag = "tokens",
    params(IdempotencyKey), request_body = TokenCreate,
    responses((status = 201, description = "The new token with its secret.", body = TokenCreated),
        Always, BadBody, NotFound, Conflict))]
pub(crate) async fn token_create(
    State(app): State<App>,
    Authenticated { caller, token: own }: Authenticated,
    idempotency_key: Option<IdempotencyKey>,
    Json(body): Json<TokenCreate>,
) -> Result<Response, ApiError> {
    let once = ShownOnce::new(&app, &caller, Operation::TokenInsert, idempotency_key, &body)?;
    once.answer(StatusCode::CREATED, Box::pin(create(&app, &caller, &own, &body, &once)))
        .await
}

async fn create(
    app: &App,
    caller: &Caller,
    own: &TokenAuthentication,
    body: &TokenCreate,
    once: &ShownOnce<'_>,
) -> Result<TokenCreated, ApiError> {
    let mut validations = Validations::default();
    let name = validations.name("name", &body.name);
    let scopes = scopes(&mut validations, body.scopes.as_deref());
    let asked = lifetime(&mut validations, body.lifetime_seconds);
    let ((name, scopes), lifetime) = validations.all(name.zip(scopes).zip(asked))?;
    let user_id = match &body.user {
        Some(user) => users::id_of(app, user).await?,
        None => own.user_id,
    };
    let secret = UserTokenSecret::generate(&app.ambient);
    let now = app.ambient.now();
    // Where nothing was asked for, it lives as long as it may.
    let maker_ends = own
        .expires_at
        .filter(|_| body.lifetime_seconds.is_none() && user_id == own.user_id);
    let expires_at = maker_ends.map_or(now.plus(lifetime), |end| end.min(now.plus(lifetime)));
    let new = TokenInsert {
        id: app.ambient.new_id(),
        created_at: now,
        user: user_id.into(),
        name: name.to_string(),
        secret_prefix: secret.prefix().to_owned(),
        secret_hash: secret.hash(),
        scopes,
        expires_at: Some(expires_at),
    };
    let show = |token: &lychgate_store::Token| TokenCreated {
        token_data: Token::at(now, token.clone()),
        token: secret.expose().to_owned(),
    };
    let token = app
        .store
        .token_insert(caller, new, once.remember(&show))
        .await
        .map_err(about("user"))?;
    app.token_marks.add(secret.hash().mark());
    Ok(show(&token))
}

fn scopes(validations: &mut Validations, texts: Option<&[String]>) -> Option<Scopes> {
    let Some(texts) = texts else {
        return Some(Scopes::of_an_ai_client());
    };
    if texts.is_empty() {
        validations.add("scopes", "must have at least one scope, or be left out");
    }
    for (at, text) in texts.iter().enumerate() {
        validations.parse::<lychgate_authz::Scope>(&format!("scopes[{at}]"), Some(text));
    }
    Scopes::from_texts(texts).ok()
}

fn lifetime(validations: &mut Validations, seconds: Option<u64>) -> Option<Duration> {
    let seconds = seconds.unwrap_or(DEFAULT_LIFETIME_SECONDS);
    if !(1..=MAX_LIFETIME_SECONDS).contains(&seconds) {
        validations.add("lifetime_seconds", "must be from 1 to 31536000 (365 days)");
    }
    Some(Duration::from_secs(seconds))
}
