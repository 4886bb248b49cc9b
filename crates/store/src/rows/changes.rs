//! Entries of the feed of changes.

use lychgate_types::secret::SecretHash;
use lychgate_types::{GatewayKeyId, ReplicaId};
use std::collections::HashMap;

/// One change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// Providers or routes are not what they were.
    Configuration,
    /// A token stopped working, by itself or with its user.
    TokenRevoked(SecretHash),
    /// A gateway key was rotated, changed or deleted.
    GatewayKey(GatewayKeyId),
    /// A replica is to take no new requests.
    ReplicaDrain(ReplicaId),
}

/// What the feed says after a place in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// What came after, in order.
    Since {
        /// As many as were asked for at most; what only a newer version knows is left out.
        changes: Vec<Change>,
        /// Which of the tokens among them that stopped working each gateway key was told of.
        granted: HashMap<GatewayKeyId, Vec<SecretHash>>,
        /// Where to go on; the place asked about itself where nothing came after.
        upto: u64,
    },
    /// The feed does not reach back to that place, or is not the feed that the place belongs to: anything may have happened.
    Gap {
        /// The last number there is.
        now: u64,
    },
}

/// The tokens that stopped working after a place in the feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedTokens {
    /// Their hashes.
    pub hashes: Vec<SecretHash>,
    /// The last number that there was in the feed.
    pub upto: u64,
}
