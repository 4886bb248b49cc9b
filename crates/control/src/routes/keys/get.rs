//! `GET /api/v1/ai-gateway/keys/{key}`

use super::Key;
use crate::app::App;
use crate::authenticate::Authenticated;
use crate::error::{ApiError, about};
use crate::extract::PathText;
use crate::link::hub::LiveReplica;
use crate::routes::problems::{Always, NotFound};
use axum::extract::State;
use lychgate_types::{ReplicaId, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;

/// A gateway key with the replicas attached by it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct KeyDetail {
    #[serde(flatten)]
    key_data: Key,
    /// In the order of their coming.
    replicas: Vec<Replica>,
}

/// A replica attached to this control plane.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Replica {
    /// Made by the replica when it started.
    #[schema(value_type = String, format = Uuid)]
    id: ReplicaId,
    /// Its host's name, or what the operator calls it.
    name: String,
    /// Of the product.
    version: String,
    /// Where clients reach it, `host:port`.
    address: String,
    labels: BTreeMap<String, String>,
    #[schema(value_type = String, format = DateTime)]
    connected_since: Timestamp,
    /// Client requests being served, as of its last heartbeat.
    in_flight: u64,
    /// Records that it has not delivered yet, as of its last heartbeat.
    spool_depth: u64,
    /// The configuration in force there; 0 before the first.
    configuration_version: u64,
}

impl From<LiveReplica> for Replica {
    fn from(live: LiveReplica) -> Self {
        let LiveReplica {
            hello,
            since,
            heartbeat,
        } = live;
        Self {
            id: hello.replica_id,
            name: hello.name,
            version: hello.version,
            address: hello.address,
            labels: hello.labels,
            connected_since: since,
            in_flight: heartbeat.in_flight,
            spool_depth: heartbeat.spool_depth,
            configuration_version: heartbeat.configuration_version,
        }
    }
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
    let replicas = app.hub.replicas_of(key.id).into_iter().map(Replica::from).collect();
    Ok(axum::Json(KeyDetail {
        key_data: Key::of(&app, key),
        replicas,
    }))
}
