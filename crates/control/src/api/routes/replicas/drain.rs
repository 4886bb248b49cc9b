//! `POST /api/v1/ai-gateway/replicas/{id}/drain`

use super::Replica;
use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::PathId;
use crate::api::routes::problems::{Always, BadId, NotFound};
use crate::link::announce;
use crate::state::App;
use axum::extract::State;
use lychgate_types::ReplicaId;

/// Drains a replica: it accepts no new requests. It may be attached to any control plane.
///
/// It finishes requests in flight, delivers its records and stays attached until its process is stopped. Draining it again changes
/// nothing. Only a restart of the replica ends the drain.
#[utoipa::path(post, path = "/ai-gateway/replicas/{id}/drain", operation_id = "replica_drain", tag = "ai-gateway/replicas",
    params(("id" = String, Path, format = Uuid, description = "Id of the replica.")),
    responses((status = 200, description = "The replica, as of its last heartbeat.", body = Replica), Always, BadId, NotFound))]
pub(crate) async fn replica_drain(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathId(id): PathId<ReplicaId>,
) -> Result<axum::Json<Replica>, ApiError> {
    let replica = app.store.replica_drain(&caller, id).await.map_err(about("replica"))?;
    announce::replica_drained(&app).await;
    Ok(axum::Json(replica.into()))
}
