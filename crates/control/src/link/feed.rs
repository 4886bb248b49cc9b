//! Reads the feed of changes on and tells those who are attached here.
//!
//! Revocations and drains are told while reading, in the feed's order, and by whoever reads: the background work, or the
//! handler that has just made the change. What takes longer (another configuration, looking gateway keys up) is noted, and
//! done by the background work ([`crate::jobs::feed`]). Reading may be given up at any moment: nothing is passed over.

use crate::link::{authenticator, configuration};
use crate::state::App;
use crate::state::attachments::Attachments;
use lychgate_authz::Caller;
use lychgate_store::{Change, Changes, StoreError};
use lychgate_types::GatewayKeyId;
use parking_lot::Mutex;
use std::collections::HashSet;
use tokio::sync::Notify;

/// So many changes are read at once.
const PART: u32 = 10_000;

/// Where this control plane is with the feed.
#[derive(Default)]
pub(crate) struct Feed {
    /// One reads at a time, so that the order is kept.
    turn: tokio::sync::Mutex<()>,
    todo: Mutex<Todo>,
    /// Rung when there may be something to read, or to do.
    pub(crate) bell: Notify,
}

/// What is still to be done of what was read.
#[derive(Default)]
struct Todo {
    configuration: bool,
    keys: HashSet<GatewayKeyId>,
}

impl Feed {
    fn todo<T>(&self, change: impl FnOnce(&mut Todo) -> T) -> T {
        change(&mut self.todo.lock())
    }

    /// The gateway keys to be looked up, from now on the caller's task.
    pub(crate) fn take_keys(&self) -> HashSet<GatewayKeyId> {
        self.todo(|todo| std::mem::take(&mut todo.keys))
    }

    /// Whether another configuration is to be sent, from now on the caller's task.
    pub(crate) fn take_configuration(&self) -> bool {
        self.todo(|todo| std::mem::take(&mut todo.configuration))
    }

    /// It could not be sent.
    pub(crate) fn put_configuration_back(&self) {
        self.todo(|todo| todo.configuration = true);
    }
}

/// Reads all that is new and tells it; whether there was anything.
pub(crate) async fn catch_up(app: &App) -> Result<bool, StoreError> {
    let read = |place| async move { app.store.changes_since(&Caller::control_plane(), place, PART).await };
    read_on(&app.feed, &app.attachments, read).await
}

/// The same, from where `read` gets what comes after a place.
pub(crate) async fn read_on<E, Reading>(
    feed: &Feed,
    attachments: &Attachments,
    read: impl Fn(u64) -> Reading + Send + Sync,
) -> Result<bool, E>
where
    Reading: Future<Output = Result<Changes, E>> + Send,
{
    let _turn = feed.turn.lock().await;
    let mut any = false;
    loop {
        let place = attachments.place();
        match read(place).await? {
            Changes::Since { upto, .. } if upto == place => return Ok(any),
            Changes::Since { changes, upto } => tell(feed, attachments, &changes, upto),
            Changes::Gap { now } => {
                tracing::warn!(place, now, "changes were missed; every replica attaches anew");
                attachments.lose_track(now);
            }
        }
        any = true;
    }
}

fn tell(feed: &Feed, attachments: &Attachments, changes: &[Change], upto: u64) {
    let (mut revoked, mut drained) = (Vec::new(), Vec::new());
    feed.todo(|todo| {
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
    attachments.advance(upto, &revoked, &drained);
    feed.bell.notify_one();
}

/// Does what is to be done of what was read. What fails is done at the next call.
pub(crate) async fn follow_up(app: &App) -> Result<(), StoreError> {
    for key in app.feed.take_keys() {
        authenticator::key_changed(app, key).await;
    }
    // The mark goes first: what is changed after this is loaded another time.
    if app.feed.take_configuration() {
        send_configuration(app).await?;
    }
    Ok(())
}

/// Sends providers and routes, as they are now, to everybody. If that fails, it is still to be done.
pub(crate) async fn send_configuration(app: &App) -> Result<(), StoreError> {
    let loaded = configuration::load(app, &Caller::control_plane()).await;
    if loaded.is_err() {
        app.feed.put_configuration_back();
    }
    app.attachments.push_configuration(&loaded?);
    Ok(())
}
