//! The gateway keys in use, and whether each is accepted. Checked on every call, so it costs the database at most two look-ups a
//! second per key; a change made on this control plane is known at once, in memory.

use lychgate_store::{KeyAuthentication, KeyState, SecretState};
use lychgate_types::secret::SecretHash;
use lychgate_types::{Cidr, GatewayKeyId, KeyRefusal};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::time::Instant;

/// So many tokens are looked up at a time for the replicas of one secret, or for the embedded gateway: a flood of unknown ones at one
/// replica leaves the database to the others.
pub(crate) const LOOKUPS: usize = 16;
/// For so many requests the stored objects that they name, beside them: whoever asks for these does not keep tokens waiting.
pub(crate) const OBJECT_LOOKUPS: usize = 16;
/// How long a look-up of a key's state is trusted: "within a second, on every control plane".
const TRUSTED: Duration = Duration::from_millis(500);
/// How long the session of a deleted key is kept, so that a replica gets "revoked" as the reason rather than "unknown".
const DELETED_IS_KEPT: Duration = Duration::from_secs(60);
/// `last_used_at` is written at most this often.
const TOUCH: Duration = Duration::from_secs(60);

/// One secret of a gateway key, in use. A key that is being rotated has two.
pub(crate) struct KeySession {
    pub(crate) key_id: GatewayKeyId,
    pub(crate) name: String,
    /// Of this secret.
    pub(crate) prefix: String,
    pub(crate) hash: SecretHash,
    pub(crate) turns: Arc<Turns>,
    state: Mutex<State>,
}

/// The turns at the database, of which each look-up takes one.
#[derive(Debug)]
pub(crate) struct Turns {
    pub(crate) tokens: Semaphore,
    pub(crate) objects: Semaphore,
}

impl Default for Turns {
    fn default() -> Self {
        Self {
            tokens: Semaphore::new(LOOKUPS),
            objects: Semaphore::new(OBJECT_LOOKUPS),
        }
    }
}

#[derive(Default)]
struct State {
    /// When the deletion of the key was noticed; a deleted key never comes back.
    deleted: Option<Instant>,
    looked_up: Option<LookedUp>,
    touched: Option<Instant>,
}

/// The result of a look-up.
struct LookedUp {
    /// When it began: of two look-ups, the one that began later counts.
    since: Instant,
    access: Access,
}

enum Access {
    /// From these networks or (`None`) from anywhere.
    Allowed(Option<Vec<Cidr>>),
    Refused(KeyRefusal),
}

impl Access {
    fn of(found: KeyAuthentication) -> Self {
        match (found.secret, found.state) {
            (SecretState::Rotated, _) => Self::Refused(KeyRefusal::Rotated),
            (_, KeyState::Disabled) => Self::Refused(KeyRefusal::Disabled),
            (_, KeyState::Expired) => Self::Refused(KeyRefusal::Expired),
            (SecretState::Present | SecretState::InGrace { .. }, KeyState::Active) => {
                Self::Allowed(found.allowed_cidrs)
            }
        }
    }

    /// Why this source is refused, if it is. An unknown source is in no network.
    fn refusal(&self, source: Option<IpAddr>) -> Option<KeyRefusal> {
        match self {
            Self::Refused(reason) => Some(*reason),
            Self::Allowed(None) => None,
            Self::Allowed(Some(networks)) => {
                let is_inside = |address| networks.iter().any(|network| network.contains(address));
                (!source.is_some_and(is_inside)).then_some(KeyRefusal::SourceNotAllowed)
            }
        }
    }
}

impl std::fmt::Debug for KeySession {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "KeySession({})", self.name)
    }
}

impl KeySession {
    /// A session whose key has not been looked up yet.
    pub(crate) fn new(key_id: GatewayKeyId, name: String, prefix: String, hash: SecretHash) -> Self {
        let state = Mutex::default();
        Self {
            key_id,
            name,
            prefix,
            hash,
            turns: Arc::default(),
            state,
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock())
    }

    /// Why a replica at this source is refused, if it is, as far as is known here.
    pub(crate) fn refusal(&self, source: Option<IpAddr>) -> Option<KeyRefusal> {
        self.with(|state| match (&state.deleted, &state.looked_up) {
            (Some(_), _) => Some(KeyRefusal::Revoked),
            (None, Some(found)) => found.access.refusal(source),
            (None, None) => None,
        })
    }

    /// Whether no look-up is needed: the last one is recent, or the key was deleted.
    pub(crate) fn is_fresh(&self) -> bool {
        self.with(|state| {
            let is_recent = |found: &LookedUp| found.since.elapsed() < TRUSTED;
            state.deleted.is_some() || state.looked_up.as_ref().is_some_and(is_recent)
        })
    }

    /// Stores the result of a look-up that began at `since`; `None`: the key was deleted.
    pub(crate) fn update(&self, since: Instant, found: Option<KeyAuthentication>) {
        let Some(found) = found else { return self.mark_deleted() };
        self.with(|state| {
            if state.looked_up.as_ref().is_none_or(|last| last.since <= since) {
                let access = Access::of(found);
                state.looked_up = Some(LookedUp { since, access });
            }
        });
    }

    /// The key was deleted.
    pub(crate) fn mark_deleted(&self) {
        self.with(|state| state.deleted = state.deleted.or_else(|| Some(Instant::now())));
    }

    /// Whether `last_used_at` is due; true once a minute.
    pub(crate) fn touch_is_due(&self) -> bool {
        self.with(|state| {
            let due = state.touched.is_none_or(|at| at.elapsed() >= TOUCH);
            if due {
                state.touched = Some(Instant::now());
            }
            due
        })
    }
}

/// The sessions of all secrets in use, by hash. Bounded by the number of secrets that exist.
#[derive(Default)]
pub(crate) struct KeySessions(Mutex<HashMap<SecretHash, Arc<KeySession>>>);

impl KeySessions {
    fn with<T>(&self, look: impl FnOnce(&mut HashMap<SecretHash, Arc<KeySession>>) -> T) -> T {
        look(&mut self.0.lock())
    }

    /// The session of the secret with this hash, if it is in use.
    pub(crate) fn get(&self, hash: &SecretHash) -> Option<Arc<KeySession>> {
        self.with(|sessions| sessions.get(hash).cloned())
    }

    /// Adds a session, unless another task was faster; returns the one that is kept.
    pub(crate) fn get_or_insert(&self, session: KeySession) -> Arc<KeySession> {
        self.with(|sessions| {
            sessions
                .entry(session.hash)
                .or_insert_with(|| Arc::new(session))
                .clone()
        })
    }

    /// The sessions of this key.
    pub(crate) fn of(&self, key_id: GatewayKeyId) -> Vec<Arc<KeySession>> {
        self.with(|sessions| {
            sessions
                .values()
                .filter(|session| session.key_id == key_id)
                .cloned()
                .collect()
        })
    }

    /// Forgets sessions that are no longer used, and those of keys deleted a while ago; returns the remaining ones whose keys
    /// exist.
    pub(crate) fn sweep(&self) -> Vec<Arc<KeySession>> {
        self.with(|sessions| {
            sessions.retain(|_, session| match session.with(|state| state.deleted) {
                Some(at) => at.elapsed() < DELETED_IS_KEPT,
                None => Arc::strong_count(session) > 1 || session.is_fresh(),
            });
            let exists = |session: &&Arc<KeySession>| session.with(|state| state.deleted.is_none());
            sessions.values().filter(exists).cloned().collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lychgate_types::{Ambient, Timestamp};

    fn session() -> KeySession {
        let hash = SecretHash::from_bytes([1; 32]);
        KeySession::new(Ambient::system().new_id(), "edge".into(), "lgw_0000000".into(), hash)
    }

    fn found(state: KeyState, secret: SecretState, allowed: Option<&[&str]>) -> Option<KeyAuthentication> {
        Some(KeyAuthentication {
            id: Ambient::system().new_id(),
            name: "edge".into(),
            secret_prefix: "lgw_0000000".into(),
            state,
            secret,
            allowed_cidrs: allowed.map(|texts| texts.iter().map(|text| text.parse().unwrap()).collect()),
        })
    }

    #[test]
    fn of_several_reasons_rotated_goes_before_disabled_before_expired_before_source() {
        let (session, elsewhere) = (session(), Some(IpAddr::from([192, 0, 2, 1])));
        let until = Timestamp::from_micros(0);
        let nowhere: Option<&[&str]> = Some(&["10.0.0.0/8"]);
        for (state, secret, allowed, reason) in [
            (
                KeyState::Disabled,
                SecretState::Rotated,
                nowhere,
                Some(KeyRefusal::Rotated),
            ),
            (
                KeyState::Disabled,
                SecretState::InGrace { until },
                nowhere,
                Some(KeyRefusal::Disabled),
            ),
            (
                KeyState::Expired,
                SecretState::Present,
                nowhere,
                Some(KeyRefusal::Expired),
            ),
            (
                KeyState::Active,
                SecretState::Present,
                nowhere,
                Some(KeyRefusal::SourceNotAllowed),
            ),
            (KeyState::Active, SecretState::InGrace { until }, None, None),
        ] {
            session.update(Instant::now(), found(state, secret, allowed));
            assert_eq!(session.refusal(elsewhere), reason);
        }
    }

    #[test]
    fn an_unknown_source_is_in_no_network() {
        let session = session();
        session.update(
            Instant::now(),
            found(KeyState::Active, SecretState::Present, Some(&["0.0.0.0/0", "::/0"])),
        );
        assert_eq!(session.refusal(None), Some(KeyRefusal::SourceNotAllowed));
        assert_eq!(session.refusal(Some(IpAddr::from([192, 0, 2, 1]))), None);
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_look_ups_the_one_that_began_later_counts_and_deletion_is_final() {
        let session = session();
        assert!(!session.is_fresh());
        let before = Instant::now();
        tokio::time::advance(Duration::from_millis(1)).await;
        session.update(Instant::now(), found(KeyState::Disabled, SecretState::Present, None));
        session.update(before, found(KeyState::Active, SecretState::Present, None));
        assert_eq!(session.refusal(None), Some(KeyRefusal::Disabled));
        assert!(session.is_fresh());
        tokio::time::advance(TRUSTED).await;
        assert!(!session.is_fresh());
        session.update(Instant::now(), found(KeyState::Active, SecretState::Present, None));
        assert_eq!(session.refusal(None), None);
        session.update(Instant::now(), None);
        session.update(Instant::now(), found(KeyState::Active, SecretState::Present, None));
        assert_eq!(session.refusal(None), Some(KeyRefusal::Revoked));
    }

    #[tokio::test(start_paused = true)]
    async fn sessions_are_forgotten_when_unused() {
        let sessions = KeySessions::default();
        let held = sessions.get_or_insert(session());
        assert_eq!(sessions.of(held.key_id).len(), 1);
        assert_eq!(sessions.sweep().len(), 1);
        let (hash, key_id) = (held.hash, held.key_id);
        held.mark_deleted();
        assert!(sessions.sweep().is_empty());
        drop(held);
        assert!(sessions.get(&hash).is_some(), "kept, so that it can say why");
        tokio::time::advance(DELETED_IS_KEPT).await;
        sessions.sweep();
        assert!(sessions.of(key_id).is_empty());
        drop(sessions.get_or_insert(session()));
        sessions.sweep();
        assert!(sessions.get(&hash).is_none());
    }
}
