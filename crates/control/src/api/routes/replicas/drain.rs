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

/// Tells a replica to take no new requests, whichever control plane it is attached to.
///
/// It finishes what it is serving, delivers its records and stays attached, until its process is ended: then nothing is in
/// flight or undelivered. Doing it again changes nothing. There is no way back but to start the replica anew.
#[utoipa::path(post, path = "/ai-gateway/replicas/{id}/drain", operation_id = "replica_drain", tag = "ai-gateway/replicas",
    params(("id" = String, Path, format = Uuid, description = "Id of the replica.")),
    responses((status = 200, description = "The replica as it was last heard.", body = Replica), Always, BadId, NotFound))]
pub(crate) async fn replica_drain(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathId(id): PathId<ReplicaId>,
) -> Result<axum::Json<Replica>, ApiError> {
    let replica = app.store.replica_drain(&caller, id).await.map_err(about("replica"))?;
    announce::replica_drained(&app).await;
    Ok(axum::Json(replica.into()))
}
