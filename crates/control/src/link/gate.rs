//! A gateway key that is in use: whether it still lets in. Asked on every call, so it costs the database one look-up a
//! second at most; a deletion on this control plane shuts the gate at once, in memory.

use lychgate_link::{CloseReason, RefusalReason};
use lychgate_types::GatewayKeyId;
use lychgate_types::secret::SecretHash;
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// How long a look-up of a key's state is believed: "within a second, on every control plane".
const BELIEVED: Duration = Duration::from_millis(500);
/// How long a shut gate is kept, so that a replica hears "revoked" rather than "unknown".
const SHUT_IS_KEPT: Duration = Duration::from_secs(60);
/// `last_used_at` is written at most this often.
const TOUCH: Duration = Duration::from_secs(60);

/// One key in use.
pub(crate) struct Gate {
    pub(crate) key_id: GatewayKeyId,
    pub(crate) name: String,
    pub(crate) prefix: String,
    pub(crate) hash: SecretHash,
    state: Mutex<State>,
}

struct State {
    shut: Option<(CloseReason, Instant)>,
    seen_active: Option<Instant>,
    touched: Option<Instant>,
}

impl std::fmt::Debug for Gate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Gate({})", self.name)
    }
}

impl Gate {
    /// A gate of which it is not known yet whether the key still lets in.
    pub(crate) fn new(key_id: GatewayKeyId, name: String, prefix: String, hash: SecretHash) -> Self {
        let state = Mutex::new(State {
            shut: None,
            seen_active: None,
            touched: None,
        });
        Self {
            key_id,
            name,
            prefix,
            hash,
            state,
        }
    }

    fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Why it is shut, if it is.
    pub(crate) fn refusal(&self) -> Option<RefusalReason> {
        self.with(|state| state.shut).map(|(reason, _)| match reason {
            CloseReason::KeyExpired => RefusalReason::KeyExpired,
            CloseReason::KeyRotated => RefusalReason::KeyRotated,
            CloseReason::KeyDisabled => RefusalReason::KeyDisabled,
            CloseReason::SourceNotAllowed => RefusalReason::SourceNotAllowed,
            CloseReason::KeyRevoked | CloseReason::ShuttingDown => RefusalReason::KeyRevoked,
        })
    }

    /// Whether the last look-up is recent enough to be believed.
    pub(crate) fn is_fresh(&self) -> bool {
        self.with(|state| state.seen_active)
            .is_some_and(|at| at.elapsed() < BELIEVED)
    }

    /// Notes that a look-up, begun at `at`, found the key active.
    pub(crate) fn seen_active(&self, at: Instant) {
        self.with(|state| state.seen_active = Some(at));
    }

    /// Shuts it; the first reason counts.
    pub(crate) fn shut(&self, reason: CloseReason) {
        self.with(|state| state.shut = state.shut.or(Some((reason, Instant::now()))));
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

/// The gates of all keys in use, by the hash that replicas show. Bounded by the number of keys that exist.
#[derive(Default)]
pub(crate) struct Gates(Mutex<HashMap<SecretHash, Arc<Gate>>>);

impl Gates {
    fn with<T>(&self, look: impl FnOnce(&mut HashMap<SecretHash, Arc<Gate>>) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The gate of the key with this hash, if it is in use.
    pub(crate) fn get(&self, hash: &SecretHash) -> Option<Arc<Gate>> {
        self.with(|gates| gates.get(hash).cloned())
    }

    /// Takes a gate in, unless another task was faster; answers the one that is in.
    pub(crate) fn enter(&self, gate: Gate) -> Arc<Gate> {
        self.with(|gates| gates.entry(gate.hash).or_insert_with(|| Arc::new(gate)).clone())
    }

    /// Shuts the gates of this key.
    pub(crate) fn shut(&self, key_id: GatewayKeyId, reason: CloseReason) {
        self.with(|gates| {
            gates
                .values()
                .filter(|gate| gate.key_id == key_id)
                .for_each(|gate| gate.shut(reason));
        });
    }

    /// Forgets gates that nobody holds and those shut for long; answers the others that are open.
    pub(crate) fn sweep(&self) -> Vec<Arc<Gate>> {
        self.with(|gates| {
            gates.retain(|_, gate| match gate.with(|state| state.shut) {
                Some((_, at)) => at.elapsed() < SHUT_IS_KEPT,
                None => Arc::strong_count(gate) > 1 || gate.is_fresh(),
            });
            gates
                .values()
                .filter(|gate| gate.refusal().is_none())
                .cloned()
                .collect()
        })
    }
}
