//! The listener for Prometheus, if one is configured.

use super::args::MetricsArgs;
use super::net::{Listen, bind};
use crate::config::Settings;
use crate::failure::{Failure, Outcome};
use crate::terminal::output;
use lychgate_gateway::Front;
use std::net::SocketAddr;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Reads where to listen; `None`: nowhere.
pub(super) fn read(settings: &mut Settings, args: MetricsArgs) -> Option<Listen> {
    settings.value("metrics-listen", args.metrics_listen)
}

/// The bound address, if one is configured; nothing is served yet.
#[derive(Debug)]
pub(super) struct Bound(Option<(TcpListener, SocketAddr)>);

impl Bound {
    /// Listens. Early, because a taken port is the likeliest failure.
    pub(super) fn bind(listen: Option<Listen>) -> Outcome<Self> {
        let Some(listen) = listen else { return Ok(Self(None)) };
        let listener = bind("--metrics-listen", listen)?;
        let address = listener.local_addr().map_err(Failure::failed)?;
        Ok(Self(Some((listener, address))))
    }

    /// Serves the routes.
    pub(super) fn serve(self, routes: impl Into<Front>) -> Serving {
        let front = routes.into();
        let Some((listener, address)) = self.0 else {
            return Serving(None);
        };
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = lychgate_gateway::serve(listener, front, async {
            // Sent or dropped: both mean to stop.
            let _ = stopped.await;
        });
        Serving(Some(Running {
            address,
            stop,
            serving: tokio::spawn(serving),
        }))
    }
}

/// The metrics being served, if they are.
#[derive(Debug)]
pub(super) struct Serving(Option<Running>);

#[derive(Debug)]
struct Running {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Serving {
    /// Says where.
    pub(super) fn announce(&self) -> Outcome {
        match &self.0 {
            Some(running) => output::line(&format!("metrics on http://{}/metrics", running.address)),
            None => Ok(()),
        }
    }

    /// Stops, last of all, so that the shutdown can be observed, too.
    pub(super) async fn stop(self) {
        let Some(running) = self.0 else { return };
        // The receiver is gone only if serving has ended already.
        let _ = running.stop.send(());
        if let Err(error) = running.serving.await {
            tracing::error!(%error, "the task of the metrics' listener failed");
        }
    }
}
