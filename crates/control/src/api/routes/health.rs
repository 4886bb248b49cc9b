//! `/healthz` (alive) and `/readyz` (may receive traffic): before all layers, for probes.

use crate::state::App;
use axum::Router;
use axum::routing::get;
use http::StatusCode;
use lychgate_gateway::Gateway;
use lychgate_store::StoreError;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The database is written to at most this often, however many ask.
const BELIEVED: Duration = Duration::from_secs(1);

/// Both probes.
pub(crate) fn routes(app: &App, gateway: &Gateway) -> Router {
    let probe = Arc::new(Probe {
        app: app.clone(),
        gateway: gateway.clone(),
        last: Mutex::default(),
    });
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(move || async move { probe.ready().await }))
}

struct Probe {
    app: App,
    gateway: Gateway,
    last: Mutex<Option<(Instant, Verdict)>>,
}

/// What stands between the database and its use; `None`: nothing.
type Verdict = Option<&'static str>;

impl Probe {
    async fn ready(&self) -> (StatusCode, String) {
        if let Some(why) = self.database().await {
            return (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n"));
        }
        match self.gateway.readiness() {
            Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        }
    }

    async fn database(&self) -> Verdict {
        let last = *self.last.lock();
        if let Some((at, verdict)) = last
            && at.elapsed() < BELIEVED
        {
            return verdict;
        }
        let verdict = match self.app.store.check_write().await {
            Ok(()) => None,
            Err(StoreError::NotWritable(_)) => {
                Some("the database can't be written: its disk is full, read-only or failing")
            }
            Err(_) => Some("the database does not answer"),
        };
        *self.last.lock() = Some((Instant::now(), verdict));
        verdict
    }
}
