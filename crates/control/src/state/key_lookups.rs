//! Calls whose gateway key is not in use yet: all that show the same secret share one look-up of it, and those that wait are bounded.
//!
//! Those who show a secret with the mark of no key wait in places of their own: strangers can't take those of replicas, even where a
//! proxy brings them over the same connection.
//!
//! Not here: what is looked up (`link::authenticator`).

use super::key_cache::KeySession;
use lychgate_link::LinkError;
use lychgate_link::places::{Place, PlaceLimits, Places, Source};
use lychgate_types::secret::SecretHash;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::watch;

/// Secrets with the mark of no key that are looked up for one connection.
pub(crate) const OF_A_CONNECTION: usize = 16;
/// Calls that wait, and those from one address. More than there may be secrets that wait (`existing::UNKNOWN_KEYS`).
pub(crate) const WAITING: PlaceLimits = PlaceLimits { all: 4096, one: 1024 };
/// Keys that are looked up, and those for one address.
pub(crate) const PROMISING: PlaceLimits = PlaceLimits { all: 256, one: 64 };

type Answer = Result<Arc<KeySession>, LinkError>;

/// The look-ups under way, and who waits.
#[derive(Debug)]
pub(crate) struct KeyLookups {
    under_way: Mutex<HashMap<SecretHash, watch::Receiver<Option<Answer>>>>,
    promising: Arc<Places>,
    of_connections: Arc<Places<SocketAddr>>,
    waiting: [Arc<Places>; 2],
}

impl Default for KeyLookups {
    fn default() -> Self {
        Self {
            under_way: Mutex::default(),
            promising: Places::new(PROMISING),
            of_connections: Places::new(PlaceLimits {
                all: WAITING.all,
                one: OF_A_CONNECTION,
            }),
            waiting: [Places::new(WAITING), Places::new(WAITING)],
        }
    }
}

/// Held while a secret is looked up, by the task that does it.
enum Held {
    Promising { _place: Place },
    Unknown { _place: Option<Place<SocketAddr>> },
}

/// Takes the look-up from the list, even if its task panics.
struct UnderWay {
    lookups: Arc<KeyLookups>,
    secret: SecretHash,
    _held: Held,
}

impl Drop for UnderWay {
    fn drop(&mut self) {
        self.lookups.under_way.lock().remove(&self.secret);
    }
}

impl KeyLookups {
    /// What `look_up` finds of this secret, for all who ask at the same time; it goes on when they are gone. Where too many wait, a
    /// replica may ask another control plane.
    pub(crate) async fn find<F>(
        self: &Arc<Self>,
        secret: SecretHash,
        is_promising: bool,
        peer: Option<SocketAddr>,
        look_up: impl FnOnce() -> F,
    ) -> Answer
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let waits = self.waiting[usize::from(is_promising)].take(source(peer));
        let _waits = waits.ok_or_else(busy)?;
        let mut answer = self.join_or_start(secret, is_promising, peer, look_up)?;
        let answered = answer.wait_for(Option::is_some).await;
        let answered = answered.ok().and_then(|answer| answer.clone());
        answered.unwrap_or_else(|| {
            Err(LinkError::Unreachable(
                "the look-up of the gateway key failed".to_owned(),
            ))
        })
    }

    fn join_or_start<F>(
        self: &Arc<Self>,
        secret: SecretHash,
        is_promising: bool,
        peer: Option<SocketAddr>,
        look_up: impl FnOnce() -> F,
    ) -> Result<watch::Receiver<Option<Answer>>, LinkError>
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        let mut under_way = self.under_way.lock();
        if let Some(answer) = under_way.get(&secret) {
            return Ok(answer.clone());
        }
        let held = if is_promising {
            let place = self.promising.take(source(peer));
            Held::Promising {
                _place: place.ok_or_else(busy)?,
            }
        } else {
            let place = peer.map(|peer| self.of_connections.take(peer).ok_or_else(busy));
            Held::Unknown {
                _place: place.transpose()?,
            }
        };
        let (answered, answer) = watch::channel(None);
        let guard = UnderWay {
            lookups: Arc::clone(self),
            secret,
            _held: held,
        };
        under_way.insert(secret, answer.clone());
        drop(under_way);
        let looking_up = look_up();
        tokio::spawn(async move {
            let found = looking_up.await;
            drop(guard);
            answered.send_replace(Some(found));
        });
        Ok(answer)
    }
}

/// The replica may ask another control plane; it is no failed attempt.
pub(crate) fn busy() -> LinkError {
    LinkError::Unreachable("too many gateway keys are looked up; try again".to_owned())
}

/// Who this peer counts as.
pub(crate) fn source(peer: Option<SocketAddr>) -> Source {
    peer.map_or(Source::unknown(), |peer| Source::new(peer.ip()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt as _;
    use futures_util::future::pending;

    fn peer(address: u8) -> Option<SocketAddr> {
        Some(([127, 0, 0, address], 1).into())
    }

    #[tokio::test]
    async fn good_keys_that_are_looked_up_have_a_share_by_source() {
        let lookups = Arc::new(KeyLookups::default());
        let mut waiting = Vec::new();
        let mut ask = |number: usize, address: u8| {
            let (lookups, mut secret) = (Arc::clone(&lookups), [address; 32]);
            secret[..8].copy_from_slice(&number.to_be_bytes());
            let secret = SecretHash::from_bytes(secret);
            let mut call = Box::pin(async move { lookups.find(secret, true, peer(address), pending).await.map(drop) });
            let answer = (&mut call).now_or_never();
            waiting.push(call);
            answer
        };
        for address in 1..=4 {
            for number in 0..PROMISING.one {
                assert_eq!(ask(number, address), None);
            }
            assert_eq!(ask(PROMISING.one, address), Some(Err(busy())), "its share is taken");
        }
        assert_eq!(ask(0, 5), Some(Err(busy())), "all are taken");
        drop(waiting);
    }

    #[tokio::test]
    async fn those_who_wait_for_a_key_have_a_share_by_source() {
        let lookups = Arc::new(KeyLookups::default());
        let ask = |promising, address| {
            let lookups = &lookups;
            let secret = SecretHash::from_bytes([address; 32]);
            Box::pin(async move { lookups.find(secret, promising, peer(address), pending).await.map(drop) })
        };
        let mut waiting = Vec::new();
        for address in 1..=4 {
            for _ in 0..WAITING.one {
                let mut call = ask(false, address);
                assert_eq!((&mut call).now_or_never(), None);
                waiting.push(call);
            }
            assert_eq!(
                ask(false, address).now_or_never(),
                Some(Err(busy())),
                "its share is taken"
            );
        }
        assert_eq!(waiting.len(), WAITING.all);
        assert_eq!(ask(false, 5).now_or_never(), Some(Err(busy())), "all are taken");
        assert_eq!(
            ask(true, 1).now_or_never(),
            None,
            "those with the mark of a key are apart"
        );
        assert_eq!(lookups.under_way.lock().len(), 4, "for each secret one look-up");
        drop(waiting);
        assert_eq!(ask(false, 5).now_or_never(), None);
    }
}
