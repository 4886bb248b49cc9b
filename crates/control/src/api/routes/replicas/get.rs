//! `GET /api/v1/ai-gateway/replicas/{id}`

use super::Replica;
use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::PathId;
use crate::api::routes::problems::{Always, BadId, NotFound};
use crate::state::App;
use axum::extract::State;
use lychgate_types::ReplicaId;

/// Shows one replica.
#[utoipa::path(get, path = "/ai-gateway/replicas/{id}", operation_id = "replica_get", tag = "ai-gateway/replicas",
    params(("id" = String, Path, format = Uuid, description = "Id of the replica.")),
    responses((status = 200, description = "The replica.", body = Replica), Always, BadId, NotFound))]
pub(crate) async fn replica_get(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathId(id): PathId<ReplicaId>,
) -> Result<axum::Json<Replica>, ApiError> {
    let replica = app.store.replica_get(&caller, id).await.map_err(about("replica"))?;
    Ok(axum::Json(replica.into()))
}
