//! Calls whose gateway key is not in use yet, while it is looked up: few on one connection and from one address. What a connection may
//! have of streams beside, it has once its key is in use. A key that many calls show at the same time is looked up for the first of
//! them.
//!
//! Not here: what is looked up (`link::authenticator`).

use lychgate_link::places::{Place, PlaceLimits, Places, Source};
use lychgate_types::secret::SecretHash;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// Of one connection.
pub(crate) const OF_A_CONNECTION: usize = 16;
/// Of all, and from one address. More than may wait for keys that nobody knows (`existing::UNKNOWN_KEYS`), so that those leave room.
pub(crate) const LOOKUPS: PlaceLimits = PlaceLimits { all: 4096, one: 1024 };

/// The calls under way.
#[derive(Debug)]
pub(crate) struct KeyLookups {
    connections: Arc<Places<SocketAddr>>,
    sources: Arc<Places>,
    /// By the hash of the secret. The channel closes when the look-up has ended.
    under_way: Mutex<HashMap<SecretHash, watch::Receiver<()>>>,
}

/// What a call does whose key is looked up.
pub(crate) enum Turn<'a> {
    /// It is the first, and looks it up.
    First(FirstLookup<'a>),
    /// It waits for the first, until this closes.
    Later(watch::Receiver<()>),
    /// There are too many.
    Crowded,
}

/// The look-up of a key that others may wait for.
pub(crate) struct FirstLookup<'a> {
    lookups: &'a KeyLookups,
    secret: SecretHash,
    _done: watch::Sender<()>,
    _place: KeyLookup,
}

impl Drop for FirstLookup<'_> {
    fn drop(&mut self) {
        self.lookups.under_way.lock().remove(&self.secret);
    }
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
            under_way: Mutex::default(),
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

impl KeyLookups {
    /// Whether this call is the one that looks the secret up.
    pub(crate) fn turn(&self, secret: SecretHash, peer: Option<SocketAddr>) -> Turn<'_> {
        let mut under_way = self.under_way.lock();
        if let Some(first) = under_way.get(&secret) {
            return Turn::Later(first.clone());
        }
        let Some(place) = self.begin(peer) else {
            return Turn::Crowded;
        };
        let (done, first) = watch::channel(());
        under_way.insert(secret, first);
        Turn::First(FirstLookup {
            lookups: self,
            secret,
            _done: done,
            _place: place,
        })
    }
}

/// Who this peer counts as.
pub(crate) fn source(peer: Option<SocketAddr>) -> Source {
    peer.map_or(Source::unknown(), |peer| Source::new(peer.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_beyond_the_bounds_get_no_place() {
        let lookups = KeyLookups::default();
        let peer = |host: u32, port: u16| Some(SocketAddr::from(((0x0a00_0000 + host).to_be_bytes(), port)));
        let connection: Vec<_> = (0..OF_A_CONNECTION)
            .map(|_| lookups.begin(peer(0, 1)).unwrap())
            .collect();
        assert!(lookups.begin(peer(0, 1)).is_none());
        let address: Vec<_> = (2..u16::MAX).map_while(|port| lookups.begin(peer(0, port))).collect();
        assert_eq!(connection.len() + address.len(), LOOKUPS.one);
        let others: Vec<_> = (1..u32::MAX >> 8)
            .map_while(|host| lookups.begin(peer(host, 1)))
            .collect();
        assert_eq!(connection.len() + address.len() + others.len(), LOOKUPS.all);
        drop(connection);
        assert!(lookups.begin(peer(0, 1)).is_some());
    }
}
