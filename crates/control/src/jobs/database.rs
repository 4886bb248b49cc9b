//! Watches whether the database responds, so that requests fail at once while it does not.

use super::stop_requested;
use crate::state::App;
use tokio::sync::watch;

pub(super) async fn run(app: App, mut stopped: watch::Receiver<bool>) {
    let news = |answers| {
        if answers {
            tracing::info!("the database responds again");
        } else {
            tracing::error!("the database does not respond; requests that need it fail at once until it does");
        }
    };
    tokio::select! {
        () = app.store.watch(news) => {}
        () = stop_requested(&mut stopped) => {}
    }
}
