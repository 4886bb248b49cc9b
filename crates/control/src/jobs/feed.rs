//! Follows the feed of changes: when the database notifies of one, and by polling every second, so that a lost connection or
//! notification delays changes by a second at most.

use super::stop_requested;
use crate::link::feed;
use crate::state::App;
use lychgate_authz::Caller;
use lychgate_store::{ChangeListener, StoreError};
use lychgate_telemetry::error::chain;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::{Notify, watch};

/// How often the feed is read without a notification.
const PERIOD: Duration = Duration::from_secs(1);
/// After so many polls in a row that found changes without a notification, the listening connection is taken for dead.
const UNHEARD: u32 = 3;

pub(super) async fn run(app: App, mut stopped: watch::Receiver<bool>) {
    let doubt = Notify::new();
    let following = async {
        // The caller is the control plane itself: this can't be refused.
        match app.store.changes_listen(&Caller::control_plane()) {
            Ok(listener) => drop(tokio::join!(follow(&app, &doubt), listen(&app, listener, &doubt))),
            Err(error) => tracing::error!(error = %chain(&error), "changes of other control planes can't be followed"),
        }
    };
    tokio::select! {
        () = following => {}
        () = stop_requested(&mut stopped) => {}
    }
}

/// Reads the feed and sends what is new, whenever there may be something.
async fn follow(app: &App, doubt: &Notify) {
    let (mut failing, mut unheard) = (false, 0);
    loop {
        let rung = tokio::time::timeout(PERIOD, app.feed.bell.notified()).await.is_ok();
        let done = turn(app).await;
        match &done {
            // Every second the same would drown the log.
            Err(error) if !failing => {
                tracing::error!(error = %chain(error), "changes can't be read; retrying every second");
            }
            Ok(_) if failing => tracing::info!("changes are read again"),
            Ok(_) | Err(_) => {}
        }
        failing = done.is_err();
        unheard = match done {
            Ok(true) if !rung => unheard + 1,
            Ok(_) if !rung => unheard,
            Ok(_) | Err(_) => 0,
        };
        if unheard >= UNHEARD {
            unheard = 0;
            doubt.notify_one();
        }
    }
}

/// Returns whether there was anything new.
async fn turn(app: &App) -> Result<bool, StoreError> {
    let any = feed::catch_up(app).await?;
    feed::follow_up(app).await?;
    Ok(any)
}

/// Wakes the reader whenever the database notifies of a change, or may have.
async fn listen(app: &App, mut listener: ChangeListener, doubt: &Notify) {
    let mut failing = false;
    loop {
        let heard = tokio::select! {
            heard = listener.wait() => heard,
            () = doubt.notified() => {
                tracing::warn!("changes were found without a notification; listening again on a new connection");
                app.counts.feed_losses.count();
                listener.renew();
                continue;
            }
        };
        match heard {
            Ok(()) => {
                failing = false;
                app.counts.feed_polling.store(false, Ordering::Relaxed);
                app.feed.bell.notify_one();
            }
            Err(error) => {
                app.counts.feed_losses.count();
                app.counts.feed_polling.store(true, Ordering::Relaxed);
                if !std::mem::replace(&mut failing, true) {
                    tracing::warn!(error = %chain(&error), "notifications of changes are unavailable; polling every second");
                }
                tokio::time::sleep(PERIOD).await;
            }
        }
    }
}
