//! Replicas, as the registry that all control planes share knows them.

pub(crate) mod drain;
pub(crate) mod get;
pub(crate) mod list;

use lychgate_store::KeyRef;
use lychgate_types::{ControlPlaneId, GatewayKeyId, ReplicaId, Timestamp};
use serde::Serialize;
use std::collections::BTreeMap;

/// A replica: one data-plane process that came in by a gateway key.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Replica {
    /// Made by the replica when it started.
    #[schema(value_type = String, format = Uuid)]
    id: ReplicaId,
    /// Its host's name, or what the operator calls it.
    name: String,
    /// The gateway key that it came in by.
    key: ReplicaKey,
    /// `attached`; `draining`: attached, but told to take no new requests; `detached`: it went away and said so; `lost`: it
    /// went away without a word, or was not heard for 30 seconds.
    state: &'static str,
    /// Of the product.
    version: String,
    /// Where clients reach it, `host:port`.
    address: String,
    labels: BTreeMap<String, String>,
    /// The control plane that it is, or was last, attached to; another one after each start of a control plane.
    #[schema(value_type = String, format = Uuid)]
    control_plane_id: ControlPlaneId,
    /// When it attached there.
    #[schema(value_type = String, format = DateTime)]
    connected_since: Timestamp,
    /// When it was last heard.
    #[schema(value_type = String, format = DateTime)]
    last_heartbeat_at: Timestamp,
    /// Client requests being served, as of its last heartbeat.
    in_flight: u64,
    /// Records that it has not delivered yet, as of its last heartbeat.
    spool_depth: u64,
    /// Records that could not be taken and lie aside there for an operator, as of its last heartbeat.
    set_aside: u64,
    /// The configuration in force there; 0 before the first.
    configuration_version: u64,
}

/// A gateway key as a replica names it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ReplicaKey {
    /// The key may be deleted by now.
    #[schema(value_type = String, format = Uuid)]
    id: GatewayKeyId,
    name: String,
}

impl From<lychgate_store::Replica> for Replica {
    fn from(replica: lychgate_store::Replica) -> Self {
        let lychgate_store::Replica {
            told,
            load,
            gateway_key: KeyRef { id, name },
            ..
        } = replica;
        Self {
            id: replica.id,
            name: told.name,
            key: ReplicaKey { id, name },
            state: replica.state.as_str(),
            version: told.version,
            address: told.address,
            labels: told.labels,
            control_plane_id: replica.control_plane_id,
            connected_since: replica.connected_at,
            last_heartbeat_at: replica.last_heartbeat_at,
            in_flight: load.in_flight,
            spool_depth: load.spool_depth,
            set_aside: load.set_aside,
            configuration_version: load.configuration_version,
        }
    }
}
