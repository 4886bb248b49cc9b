//! Replicas, as the registry lists them.

use crate::name_or_id::NameOrId;
use crate::rows::ai_gateway_keys::KeyRef;
use lychgate_types::{AttachmentId, ControlPlaneId, GatewayKeyId, ReplicaId, Timestamp};
use std::collections::BTreeMap;

/// A replica as the registry knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Made by the replica when it started.
    pub id: ReplicaId,
    /// When it first attached.
    pub created_at: Timestamp,
    /// The gateway key that it attached with; it may be deleted by now.
    pub gateway_key: KeyRef,
    /// How it introduced itself.
    pub told: ReplicaTold,
    /// Where it is, or was last, attached.
    pub control_plane_id: ControlPlaneId,
    /// When it attached there.
    pub connected_at: Timestamp,
    /// When it was last heard.
    pub last_heartbeat_at: Timestamp,
    /// What it said then.
    pub load: ReplicaLoad,
    /// Whether it is there.
    pub state: ReplicaState,
}

/// What a replica says of itself when it attaches. Nobody vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaTold {
    /// Its host's name, or what the operator calls it.
    pub name: String,
    /// Of the product.
    pub version: String,
    /// Where clients reach it, `host:port`.
    pub address: String,
    /// The operator's own.
    pub labels: BTreeMap<String, String>,
}

/// What a replica says of itself from time to time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ReplicaLoad {
    /// Records not delivered yet.
    pub spool_depth: u64,
    /// Records that could not be delivered and lie aside there.
    pub set_aside: u64,
    /// Client requests being served.
    pub in_flight: u64,
    /// The configuration in force there; 0 before the first.
    pub configuration_version: u64,
}

lychgate_types::text_enum! {
    /// Whether a replica is there.
    ReplicaState {
        /// It is.
        Attached = "attached",
        /// It is, but it was told to take no new requests.
        Draining = "draining",
        /// It went away, and said so.
        Detached = "detached",
        /// It went away without a word, or the control plane that it was attached to did.
        Lost = "lost",
    }
}

/// Which replicas are wanted; all that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ReplicaFilter {
    /// Those that attached with this gateway key.
    pub gateway_key: Option<NameOrId<GatewayKeyId>>,
    /// Those in this state.
    pub state: Option<ReplicaState>,
}

/// One attachment of a replica, as its control plane sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaAttachment {
    /// The attachment; what is reported about an earlier one of the same replica no longer counts.
    pub id: AttachmentId,
    /// The replica.
    pub replica_id: ReplicaId,
    /// The gateway key that it showed.
    pub gateway_key: KeyRef,
    /// How it introduced itself.
    pub told: ReplicaTold,
    /// Where it is attached.
    pub control_plane_id: ControlPlaneId,
    /// Since when.
    pub connected_at: Timestamp,
}

/// What was heard of a replica over one attachment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplicaBeat {
    /// Over which attachment.
    pub attachment: ReplicaAttachment,
    /// When.
    pub heard_at: Timestamp,
    /// What it said.
    pub load: ReplicaLoad,
}
