//! `POST /api/v1/ai-gateway/keys/{key}/rotate`

use super::{Key, id_of, live_replicas_of};
use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::{JsonOrNothing, PathText};
use crate::api::idempotency::{IdempotencyKey, ShownOnce};
use crate::api::routes::problems::{Always, BadBody, Conflict, NotFound};
use crate::api::validate::Validations;
use crate::link::announce;
use crate::state::App;
use axum::extract::State;
use axum::response::Response;
use http::StatusCode;
use lychgate_authz::Caller;
use lychgate_store::{GatewayKey, GatewayKeyRotation, Operation};
use lychgate_types::json::whole;
use lychgate_types::secret::GatewayKeySecret;
use serde::{Deserialize, Serialize};
use std::time::Duration;

const DEFAULT_GRACE_SECONDS: u32 = 24 * 60 * 60;
const MAX_GRACE_SECONDS: u32 = 30 * 24 * 60 * 60;

/// Options of the rotation.
#[derive(Deserialize, Serialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(example = json!({"grace_seconds": 3600}))]
pub(crate) struct KeyRotate {
    /// How long the old secret keeps working; 0 stops it at once.
    #[serde(deserialize_with = "whole")]
    #[schema(default = 86400, maximum = 2_592_000)]
    grace_seconds: u32,
    /// Rotate even if the previous secret is still in its grace period; that one stops working at once.
    #[schema(default = false)]
    force: bool,
}

impl Default for KeyRotate {
    fn default() -> Self {
        Self {
            grace_seconds: DEFAULT_GRACE_SECONDS,
            force: false,
        }
    }
}

/// The gateway key with its new secret, which is not shown again.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct KeyRotated {
    #[serde(flatten)]
    key_data: Key,
    /// The secret: `lgw_…`.
    key: String,
}

/// Gives a gateway key a new secret.
///
/// The old secret keeps working until `previous_valid_until`, so that replicas can change to the new one without downtime. Until
/// then, another rotation needs `force`: at most two secrets work at a time.
#[utoipa::path(post, path = "/ai-gateway/keys/{key}/rotate", operation_id = "ai_gateway_key_rotate", tag = "ai-gateway/keys",
    params(("key" = String, Path, description = "Id or name."), IdempotencyKey), request_body = Option<KeyRotate>,
    responses((status = 200, description = "The key with its new secret.", body = KeyRotated),
        Always, BadBody, NotFound, Conflict))]
pub(crate) async fn ai_gateway_key_rotate(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathText(key): PathText,
    idempotency_key: Option<IdempotencyKey>,
    JsonOrNothing(body): JsonOrNothing<KeyRotate>,
) -> Result<Response, ApiError> {
    let request = (&key, &body);
    let once = ShownOnce::new(&app, &caller, Operation::AiGatewayKeyRotate, idempotency_key, &request)?;
    once.answer(StatusCode::OK, Box::pin(rotate(&app, &caller, &key, &body, &once)))
        .await
}

async fn rotate(
    app: &App,
    caller: &Caller,
    key: &str,
    body: &KeyRotate,
    once: &ShownOnce<'_>,
) -> Result<KeyRotated, ApiError> {
    let mut validations = Validations::default();
    if body.grace_seconds > MAX_GRACE_SECONDS {
        validations.add(
            "grace_seconds",
            format!("must be at most {MAX_GRACE_SECONDS} (30 days)"),
        );
    }
    validations.all(Some(()))?;
    let secret = GatewayKeySecret::generate(&app.ambient);
    let rotation = GatewayKeyRotation {
        secret_prefix: secret.prefix().to_owned(),
        secret_hash: secret.hash(),
        grace: Duration::from_secs(body.grace_seconds.into()),
        force: body.force,
    };
    let id = id_of(app, key).await?;
    let (now, live) = (app.ambient.now(), live_replicas_of(app, id).await?);
    let show = |key: &GatewayKey| KeyRotated {
        key_data: Key::at(now, key.clone(), live),
        key: secret.expose().to_owned(),
    };
    let key = app
        .store
        .ai_gateway_key_rotate(caller, id, rotation, once.remember(&show))
        .await
        .map_err(about("gateway key"))?;
    app.key_marks.add(secret.hash().mark());
    announce::key_changed(app, id).await;
    Ok(show(&key))
}
