//! The gateway key that a replica shows, and what happens when it is replaced while the replica runs: the new one is shown when
//! attaching, and everywhere once that worked. Until then the one before is used on, so that a mistake in a key file takes
//! nothing down.

use crate::error::LinkError;
use lychgate_types::KeyRefusal;
use lychgate_types::secret::{GatewayKeySecret, SecretHash};
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::watch;
use tonic::metadata::{Ascii, MetadataValue};

/// The key given last, and the one that was let in last.
pub(super) struct Keys {
    newest: watch::Receiver<GatewayKeySecret>,
    memory: Mutex<Memory>,
}

#[derive(Default)]
struct Memory {
    /// Let in last.
    proven: Option<GatewayKeySecret>,
    /// Shown last when attaching, whatever came of it.
    shown: Option<SecretHash>,
}

/// What to show first, and what else where that is refused.
#[derive(Clone)]
pub(super) struct Choice {
    pub(super) first: GatewayKeySecret,
    pub(super) second: Option<GatewayKeySecret>,
}

impl Keys {
    pub(super) fn new(newest: watch::Receiver<GatewayKeySecret>) -> Self {
        Self {
            newest,
            memory: Mutex::default(),
        }
    }

    /// For a call: the one known to work.
    pub(super) fn for_call(&self) -> Choice {
        let newest = self.newest.borrow().clone();
        match other_than(&newest, self.memory().proven.as_ref()) {
            Some(proven) => Choice {
                first: proven,
                second: Some(newest),
            },
            None => Choice {
                first: newest,
                second: None,
            },
        }
    }

    /// For attaching: the newest.
    pub(super) fn for_attachment(&self) -> Choice {
        let newest = self.newest.borrow().clone();
        let mut memory = self.memory();
        memory.shown = Some(newest.hash());
        Choice {
            second: other_than(&newest, memory.proven.as_ref()),
            first: newest,
        }
    }

    /// This one was let in.
    pub(super) fn prove(&self, key: GatewayKeySecret) {
        self.memory().proven = Some(key);
    }

    /// Returns once the newest is another than the one shown last when attaching.
    pub(super) async fn renewed(&self) {
        let mut newest = self.newest.clone();
        let is_new = |key: &GatewayKeySecret| self.memory().shown != Some(key.hash());
        if newest.wait_for(is_new).await.is_err() {
            // Nobody is there to give another.
            std::future::pending::<()>().await;
        }
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock()
    }
}

fn other_than(newest: &GatewayKeySecret, proven: Option<&GatewayKeySecret>) -> Option<GatewayKeySecret> {
    proven.filter(|proven| proven.hash() != newest.hash()).cloned()
}

/// Whether an error is about the key that was shown.
pub(super) fn is_about_the_key(error: &LinkError) -> bool {
    error.refusal().is_some_and(KeyRefusal::is_about_the_key)
}

/// The key as a call carries it. `None` can't be: a key is letters and digits.
pub(super) fn as_metadata(key: &GatewayKeySecret) -> Option<MetadataValue<Ascii>> {
    let mut value = MetadataValue::try_from(format!("Bearer {}", key.expose())).ok()?;
    value.set_sensitive(true);
    Some(value)
}
