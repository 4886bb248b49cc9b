//! A gateway key that is in use, by one of its secrets: whether it still lets in, and from where. Asked on every call, so it
//! costs the database one look-up a second at most; a change on this control plane is known at once, in memory.

use lychgate_link::{CloseReason, RefusalReason};
use lychgate_store::{KeyAuthentication, KeyState, SecretState};
use lychgate_types::secret::SecretHash;
use lychgate_types::{Cidr, GatewayKeyId};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a look-up of a key's state is believed: "within a second, on every control plane".
const BELIEVED: Duration = Duration::from_millis(500);
/// How long the session of a deleted key is kept, so that a replica hears "revoked" rather than "unknown".
const GONE_IS_KEPT: Duration = Duration::from_secs(60);
/// `last_used_at` is written at most this often.
const TOUCH: Duration = Duration::from_secs(60);

/// One secret of a key, in use. A key that is being rotated has two.
pub(crate) struct KeySession {
    pub(crate) key_id: GatewayKeyId,
    pub(crate) name: String,
    /// Of this secret.
    pub(crate) prefix: String,
    pub(crate) hash: SecretHash,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// The key was deleted, which is for ever.
    gone: Option<Instant>,
    known: Option<Known>,
    touched: Option<Instant>,
}

/// What a look-up found.
struct Known {
    /// When it began: of two look-ups the one that began later counts.
    since: Instant,
    standing: Standing,
}

enum Standing {
    /// It lets in, from these networks or (`None`) from anywhere.
    Open(Option<Vec<Cidr>>),
    /// It lets nobody in.
    Shut(CloseReason),
}

impl Standing {
    fn of(found: KeyAuthentication) -> Self {
        match (found.secret, found.state) {
            (SecretState::Rotated, _) => Self::Shut(CloseReason::KeyRotated),
            (_, KeyState::Disabled) => Self::Shut(CloseReason::KeyDisabled),
            (_, KeyState::Expired) => Self::Shut(CloseReason::KeyExpired),
            (SecretState::Present | SecretState::InGrace { .. }, KeyState::Active) => Self::Open(found.allowed_cidrs),
        }
    }

    /// Why it does not let this source in, if it does not. A source that is not known lies in no network.
    fn against(&self, source: Option<IpAddr>) -> Option<CloseReason> {
        match self {
            Self::Shut(reason) => Some(*reason),
            Self::Open(None) => None,
            Self::Open(Some(allowed)) => {
                let lies_in = |address| allowed.iter().any(|network| network.contains(address));
                (!source.is_some_and(lies_in)).then_some(CloseReason::SourceNotAllowed)
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
    /// A session of which it is not known yet whether the key still lets in.
    pub(crate) fn new(key_id: GatewayKeyId, name: String, prefix: String, hash: SecretHash) -> Self {
        let state = Mutex::default();
        Self {
            key_id,
            name,
            prefix,
            hash,
            state,
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock())
    }

    /// Why it does not let this source in, if it does not.
    pub(crate) fn shut_to(&self, source: Option<IpAddr>) -> Option<CloseReason> {
        self.with(|state| match (&state.gone, &state.known) {
            (Some(_), _) => Some(CloseReason::KeyRevoked),
            (None, Some(known)) => known.standing.against(source),
            (None, None) => None,
        })
    }

    /// The same, as the source hears it.
    pub(crate) fn refusal(&self, source: Option<IpAddr>) -> Option<RefusalReason> {
        self.shut_to(source).map(|reason| match reason {
            CloseReason::KeyExpired => RefusalReason::KeyExpired,
            CloseReason::KeyRotated => RefusalReason::KeyRotated,
            CloseReason::KeyDisabled => RefusalReason::KeyDisabled,
            CloseReason::SourceNotAllowed => RefusalReason::SourceNotAllowed,
            CloseReason::KeyRevoked | CloseReason::ShuttingDown => RefusalReason::KeyRevoked,
        })
    }

    /// Whether nothing has to be looked up: the last look-up is recent, or the key is gone.
    pub(crate) fn is_fresh(&self) -> bool {
        self.with(|state| {
            let recent = |known: &Known| known.since.elapsed() < BELIEVED;
            state.gone.is_some() || state.known.as_ref().is_some_and(recent)
        })
    }

    /// Notes what a look-up, begun at `since`, found; nothing: the key is gone.
    pub(crate) fn learn(&self, since: Instant, found: Option<KeyAuthentication>) {
        let Some(found) = found else { return self.gone() };
        self.with(|state| {
            if state.known.as_ref().is_none_or(|known| known.since <= since) {
                let standing = Standing::of(found);
                state.known = Some(Known { since, standing });
            }
        });
    }

    /// Notes that the key was deleted.
    pub(crate) fn gone(&self) {
        self.with(|state| state.gone = state.gone.or_else(|| Some(Instant::now())));
    }

    /// Whether `last_used_at` is due; says yes once a minute.
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

/// The key_sessions of all secrets in use, by the hash that replicas show. Bounded by the number of secrets that exist.
#[derive(Default)]
pub(crate) struct KeySessions(Mutex<HashMap<SecretHash, Arc<KeySession>>>);

impl KeySessions {
    fn with<T>(&self, look: impl FnOnce(&mut HashMap<SecretHash, Arc<KeySession>>) -> T) -> T {
        look(&mut self.0.lock())
    }

    /// The session of the secret with this hash, if it is in use.
    pub(crate) fn get(&self, hash: &SecretHash) -> Option<Arc<KeySession>> {
        self.with(|key_sessions| key_sessions.get(hash).cloned())
    }

    /// Takes a session in, unless another task was faster; answers the one that is in.
    pub(crate) fn enter(&self, session: KeySession) -> Arc<KeySession> {
        self.with(|key_sessions| {
            key_sessions
                .entry(session.hash)
                .or_insert_with(|| Arc::new(session))
                .clone()
        })
    }

    /// The key_sessions of this key.
    pub(crate) fn of(&self, key_id: GatewayKeyId) -> Vec<Arc<KeySession>> {
        self.with(|key_sessions| {
            key_sessions
                .values()
                .filter(|session| session.key_id == key_id)
                .cloned()
                .collect()
        })
    }

    /// Forgets key_sessions that nobody holds and those of keys gone for long; answers the others whose keys are there.
    pub(crate) fn sweep(&self) -> Vec<Arc<KeySession>> {
        self.with(|key_sessions| {
            key_sessions.retain(|_, session| match session.with(|state| state.gone) {
                Some(at) => at.elapsed() < GONE_IS_KEPT,
                None => Arc::strong_count(session) > 1 || session.is_fresh(),
            });
            let there = |session: &&Arc<KeySession>| session.with(|state| state.gone.is_none());
            key_sessions.values().filter(there).cloned().collect()
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
    fn the_first_reason_of_these_is_told_rotated_disabled_expired_source() {
        let (session, elsewhere) = (session(), Some(IpAddr::from([192, 0, 2, 1])));
        let until = Timestamp::from_micros(0);
        let nowhere: Option<&[&str]> = Some(&["10.0.0.0/8"]);
        for (state, secret, allowed, reason) in [
            (
                KeyState::Disabled,
                SecretState::Rotated,
                nowhere,
                Some(CloseReason::KeyRotated),
            ),
            (
                KeyState::Disabled,
                SecretState::InGrace { until },
                nowhere,
                Some(CloseReason::KeyDisabled),
            ),
            (
                KeyState::Expired,
                SecretState::Present,
                nowhere,
                Some(CloseReason::KeyExpired),
            ),
            (
                KeyState::Active,
                SecretState::Present,
                nowhere,
                Some(CloseReason::SourceNotAllowed),
            ),
            (KeyState::Active, SecretState::InGrace { until }, None, None),
        ] {
            session.learn(Instant::now(), found(state, secret, allowed));
            assert_eq!(session.shut_to(elsewhere), reason);
        }
    }

    #[test]
    fn an_unknown_source_lies_in_no_network() {
        let session = session();
        session.learn(
            Instant::now(),
            found(KeyState::Active, SecretState::Present, Some(&["0.0.0.0/0", "::/0"])),
        );
        assert_eq!(session.shut_to(None), Some(CloseReason::SourceNotAllowed));
        assert_eq!(session.shut_to(Some(IpAddr::from([192, 0, 2, 1]))), None);
    }

    #[tokio::test(start_paused = true)]
    async fn of_two_look_ups_the_one_that_began_later_counts_and_deletion_is_for_ever() {
        let session = session();
        assert!(!session.is_fresh());
        let before = Instant::now();
        tokio::time::advance(Duration::from_millis(1)).await;
        session.learn(Instant::now(), found(KeyState::Disabled, SecretState::Present, None));
        session.learn(before, found(KeyState::Active, SecretState::Present, None));
        assert_eq!(session.shut_to(None), Some(CloseReason::KeyDisabled));
        assert!(session.is_fresh());
        tokio::time::advance(BELIEVED).await;
        assert!(!session.is_fresh());
        session.learn(Instant::now(), found(KeyState::Active, SecretState::Present, None));
        assert_eq!(session.shut_to(None), None);
        session.learn(Instant::now(), None);
        session.learn(Instant::now(), found(KeyState::Active, SecretState::Present, None));
        assert_eq!(session.shut_to(None), Some(CloseReason::KeyRevoked));
    }

    #[tokio::test(start_paused = true)]
    async fn gates_are_forgotten_when_nobody_holds_them() {
        let key_sessions = KeySessions::default();
        let held = key_sessions.enter(session());
        assert_eq!(key_sessions.of(held.key_id).len(), 1);
        assert_eq!(key_sessions.sweep().len(), 1);
        let (hash, key_id) = (held.hash, held.key_id);
        held.gone();
        assert!(key_sessions.sweep().is_empty());
        drop(held);
        assert!(key_sessions.get(&hash).is_some(), "kept, so that it can say why");
        tokio::time::advance(GONE_IS_KEPT).await;
        key_sessions.sweep();
        assert!(key_sessions.of(key_id).is_empty());
        drop(key_sessions.enter(session()));
        key_sessions.sweep();
        assert!(key_sessions.get(&hash).is_none());
    }
}
