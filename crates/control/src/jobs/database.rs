//! Watches whether the database answers, so that nobody waits for one that does not.

use super::told_to_stop;
use crate::state::App;
use tokio::sync::watch;

pub(super) async fn run(app: App, mut stopped: watch::Receiver<bool>) {
    let news = |answers| {
        if answers {
            tracing::info!("the database answers again");
        } else {
            tracing::error!("the database does not answer; nobody waits for it until it does");
        }
    };
    tokio::select! {
        () = app.store.watch(news) => {}
        () = told_to_stop(&mut stopped) => {}
    }
}
