//! Calls whose gateway key is not in use yet, while it is looked up: few on one connection and from one address. What a connection may
//! have of streams beside, it has once its key is in use.
//!
//! Not here: what is looked up (`link::authenticator`).

use lychgate_link::places::{Place, PlaceLimits, Places, Source};
use std::net::SocketAddr;
use std::sync::Arc;

/// Of one connection.
pub(crate) const OF_A_CONNECTION: usize = 16;
/// Of all, and from one address. More than may wait for keys that nobody knows (`existing::UNKNOWN_KEYS`), so that those leave room.
pub(crate) const LOOKUPS: PlaceLimits = PlaceLimits { all: 4096, one: 1024 };

/// The calls under way.
#[derive(Debug)]
pub(crate) struct KeyLookups {
    connections: Arc<Places<SocketAddr>>,
    sources: Arc<Places>,
}

/// The place of one call, until its key was looked up.
pub(crate) struct KeyLookup {
    _of_connection: Option<Place<SocketAddr>>,
    _of_source: Place,
}

impl Default for KeyLookups {
    fn default() -> Self {
        Self {
            connections: Places::new(PlaceLimits {
                all: LOOKUPS.all,
                one: OF_A_CONNECTION,
            }),
            sources: Places::new(LOOKUPS),
        }
    }
}

impl KeyLookups {
    /// Takes a place for a call over the connection from this peer; `None` where there are too many.
    pub(crate) fn begin(&self, peer: Option<SocketAddr>) -> Option<KeyLookup> {
        Some(KeyLookup {
            _of_connection: match peer {
                Some(peer) => Some(self.connections.take(peer)?),
                None => None,
            },
            _of_source: self.sources.take(source(peer))?,
        })
    }
}

/// Who this peer counts as.
pub(crate) fn source(peer: Option<SocketAddr>) -> Source {
    peer.map_or(Source::unknown(), |peer| Source::new(peer.ip()))
}
