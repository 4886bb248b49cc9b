//! SIGINT and SIGTERM: the first asks for a clean end, the second ends at once.

use crate::failure::{Failure, Outcome};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Listens for both signals from its making on.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    /// Begins to listen.
    pub(crate) fn listen() -> Outcome<Self> {
        let on = |kind| signal(kind).map_err(|why| Failure::Failed(format!("can't listen for signals: {why}")));
        Ok(Self {
            interrupt: on(SignalKind::interrupt())?,
            terminate: on(SignalKind::terminate())?,
        })
    }

    /// Waits for the first signal. From then on a second one ends the process at once.
    pub(crate) async fn stop_asked(mut self) {
        self.next().await;
        tracing::info!("stopping; a second signal ends at once");
        tokio::spawn(async move {
            let code = self.next().await;
            std::process::exit(code);
        });
    }

    async fn next(&mut self) -> i32 {
        // What a shell gives for a process that such a signal ended.
        tokio::select! {
            _ = self.interrupt.recv() => 130,
            _ = self.terminate.recv() => 143,
        }
    }
}
