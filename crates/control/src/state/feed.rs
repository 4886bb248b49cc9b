//! How far this control plane has read the feed of changes, and what it still has to do about what it read.
//!
//! Revocations and drains are sent while reading, in the feed's order, by whoever reads: the background work, or the handler
//! that has just made the change. What takes longer (sending another configuration, looking gateway keys up) is noted here and
//! done by the background work. Reading may be cancelled at any moment: nothing is skipped.
//!
//! Not here: where changes are read from (`link::feed`, or the simulation).

use super::attachments::{Attachments, Granted, Revoked};
use lychgate_store::{Change, Changes};
use lychgate_types::GatewayKeyId;
use parking_lot::Mutex;
use std::collections::HashSet;
use tokio::sync::Notify;

/// Where this control plane is with the feed.
#[derive(Default)]
pub(crate) struct Feed {
    /// One task reads at a time, so that the order is kept.
    turn: tokio::sync::Mutex<()>,
    todo: Mutex<Todo>,
    /// Notified when there may be something to read, or to do.
    pub(crate) bell: Notify,
}

/// What is still to be done about what was read.
#[derive(Default)]
struct Todo {
    configuration: bool,
    keys: HashSet<GatewayKeyId>,
}

impl Feed {
    /// Reads all that is new, from where `read` returns what comes after a position, and sends it to `attachments`. Returns
    /// whether there was anything.
    pub(crate) async fn read_on<E, Reading>(
        &self,
        attachments: &Attachments,
        read: impl Fn(u64) -> Reading + Send + Sync,
    ) -> Result<bool, E>
    where
        Reading: Future<Output = Result<Changes, E>> + Send,
    {
        let _turn = self.turn.lock().await;
        let mut any = false;
        loop {
            let position = attachments.position();
            match read(position).await? {
                Changes::Since { upto, .. } if upto == position => return Ok(any),
                Changes::Since { changes, granted, upto } => self.apply(attachments, &changes, &granted, upto),
                Changes::Gap { now } => {
                    tracing::warn!(position, now, "changes were missed; every replica has to attach again");
                    attachments.restart_all(now);
                }
            }
            any = true;
        }
    }

    fn apply(&self, attachments: &Attachments, changes: &[Change], granted: &Granted, upto: u64) {
        let (mut revoked, mut drained) = (Vec::new(), Vec::new());
        self.todo(|todo| {
            for change in changes {
                match change {
                    Change::TokenRevoked(hash) => revoked.push(*hash),
                    Change::ReplicaDrain(id) => drained.push(*id),
                    Change::Configuration => todo.configuration = true,
                    Change::GatewayKey(id) => {
                        todo.keys.insert(*id);
                    }
                }
            }
        });
        let revoked = Revoked {
            all: &revoked,
            by_key: granted,
        };
        attachments.advance(upto, &revoked, &drained);
        self.bell.notify_one();
    }

    /// Takes the gateway keys to be looked up; that is the caller's job from now on.
    pub(crate) fn take_keys(&self) -> HashSet<GatewayKeyId> {
        self.todo(|todo| std::mem::take(&mut todo.keys))
    }

    /// Takes whether another configuration is to be sent; that is the caller's job from now on.
    pub(crate) fn take_configuration(&self) -> bool {
        self.todo(|todo| std::mem::take(&mut todo.configuration))
    }

    /// It could not be sent.
    pub(crate) fn put_configuration_back(&self) {
        self.todo(|todo| todo.configuration = true);
    }

    fn todo<T>(&self, change: impl FnOnce(&mut Todo) -> T) -> T {
        change(&mut self.todo.lock())
    }
}
