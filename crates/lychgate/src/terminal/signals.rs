//! SIGINT and SIGTERM: the first asks for a clean shutdown, the second for the end at once.

use crate::failure::{Failure, Outcome};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Receives both signals.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Starts receiving.
    pub(crate) fn listen() -> Outcome<Self> {
        let on = |kind| signal(kind).map_err(|why| Failure::Failed(format!("can't listen for signals: {why}")));
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
        })
    }

    /// Waits for the first signal. After that, a second one exits at once, after `last`.
    pub(crate) async fn stop_asked(mut self, last: impl FnOnce() + Send + 'static) {
        self.next().await;
        tracing::info!("shutting down; send a second signal to exit at once");
        tokio::spawn(async move {
            let code = self.next().await;
            last();
            std::process::exit(code);
        });
    }

    async fn next(&mut self) -> i32 {
        // The exit codes that a shell reports for these signals.
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
        }
    }
}
