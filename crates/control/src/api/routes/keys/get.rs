//! `GET /api/v1/ai-gateway/keys/{key}`

use super::{Key, whole};
use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::PathText;
use crate::api::routes::problems::{Always, NotFound};
use crate::api::routes::replicas::Replica;
use crate::state::App;
use axum::extract::State;
use serde::Serialize;

/// A gateway key with its replicas.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct KeyDetail {
    #[serde(flatten)]
    key_data: Key,
    /// Those that are attached to any control plane, and those that are lost, in the order in which they first attached; at most
    /// 200.
    replicas: Vec<Replica>,
}

/// Shows one gateway key and its replicas.
#[utoipa::path(get, path = "/ai-gateway/keys/{key}", operation_id = "ai_gateway_key_get", tag = "ai-gateway/keys",
    params(("key" = String, Path, description = "Id or name.")),
    responses((status = 200, description = "The key.", body = KeyDetail), Always, NotFound))]
pub(crate) async fn ai_gateway_key_get(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathText(key): PathText,
) -> Result<axum::Json<KeyDetail>, ApiError> {
    let key = app
        .store
        .ai_gateway_key_find(&caller, &key)
        .await
        .map_err(about("gateway key"))?;
    let replicas = app.store.ai_gateway_key_replicas(&caller, key.id).await?;
    Ok(axum::Json(KeyDetail {
        key_data: whole(&app, key).await?,
        replicas: replicas.into_iter().map(Replica::from).collect(),
    }))
}
