//! Which gateway key a replica shows while its key is being replaced: the new one when attaching, and everywhere once that was
//! accepted. Until then the previous one stays in use, so that a mistake in a key file takes nothing down.

use lychgate_types::secret::{GatewayKeySecret, SecretHash};
use parking_lot::Mutex;
use tokio::sync::watch;

/// The newest key, and the last one accepted.
pub(super) struct Keys {
    newest: watch::Receiver<GatewayKeySecret>,
    history: Mutex<History>,
}

#[derive(Default)]
struct History {
    /// Accepted last.
    accepted: Option<GatewayKeySecret>,
    /// Shown at the last attempt to attach, whatever its outcome.
    shown: Option<SecretHash>,
}

/// What to show first, and what else if that is refused.
#[derive(Clone)]
pub(super) struct KeyChoice {
    pub(super) first: GatewayKeySecret,
    pub(super) second: Option<GatewayKeySecret>,
}

impl Keys {
    pub(super) fn new(newest: watch::Receiver<GatewayKeySecret>) -> Self {
        Self {
            newest,
            history: Mutex::default(),
        }
    }

    /// For a call: the one known to work.
    pub(super) fn for_call(&self) -> KeyChoice {
        let newest = self.newest.borrow().clone();
        match other_than(&newest, self.history.lock().accepted.as_ref()) {
            Some(accepted) => KeyChoice {
                first: accepted,
                second: Some(newest),
            },
            None => KeyChoice {
                first: newest,
                second: None,
            },
        }
    }

    /// For attaching: the newest.
    pub(super) fn for_attachment(&self) -> KeyChoice {
        let newest = self.newest.borrow().clone();
        let mut history = self.history.lock();
        history.shown = Some(newest.hash());
        KeyChoice {
            second: other_than(&newest, history.accepted.as_ref()),
            first: newest,
        }
    }

    /// This one was accepted.
    pub(super) fn mark_accepted(&self, key: GatewayKeySecret) {
        self.history.lock().accepted = Some(key);
    }

    /// Returns once the newest differs from the one shown at the last attempt to attach.
    pub(super) async fn renewed(&self) {
        let mut newest = self.newest.clone();
        let is_new = |key: &GatewayKeySecret| self.history.lock().shown != Some(key.hash());
        if newest.wait_for(is_new).await.is_err() {
            // The sender is gone: no other key will come.
            std::future::pending::<()>().await;
        }
    }
}

fn other_than(newest: &GatewayKeySecret, accepted: Option<&GatewayKeySecret>) -> Option<GatewayKeySecret> {
    accepted.filter(|key| key.hash() != newest.hash()).cloned()
}
