//! `/healthz` (alive) and `/readyz` (may receive traffic): before all layers, for probes. What has to be ready for that is told apart, too:
//! `/readyz/control-plane` for the API and replicas, `/readyz/gateway` for AI requests, which go on without the database.

use crate::state::App;
use axum::Router;
use axum::extract::State;
use axum::routing::get;
use http::StatusCode;
use lychgate_gateway::Gateway;
use lychgate_store::StoreError;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// The database is written to at most this often, however many ask.
const BELIEVED: Duration = Duration::from_secs(1);
/// Longest wait for it.
const PATIENCE: Duration = Duration::from_secs(5);

/// The probes.
pub(crate) fn routes(app: &App, gateway: &Gateway) -> Router {
    let probe = Arc::new(Probe {
        app: app.clone(),
        gateway: gateway.clone(),
        last: Mutex::default(),
    });
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(Probe::all))
        .route("/readyz/control-plane", get(Probe::control_plane))
        .route("/readyz/gateway", get(Probe::gateway))
        .with_state(probe)
}

struct Probe {
    app: App,
    gateway: Gateway,
    last: Mutex<Option<(Instant, Verdict)>>,
}

/// What stands between the database and its use; `None`: nothing.
type Verdict = Option<&'static str>;

impl Probe {
    async fn all(State(probe): State<Arc<Self>>) -> (StatusCode, String) {
        match probe.database().await {
            None => probe.gateway.probe(),
            Some(why) => not_ready(why),
        }
    }

    async fn control_plane(State(probe): State<Arc<Self>>) -> (StatusCode, String) {
        match probe.database().await {
            None => (StatusCode::OK, "ready\n".to_owned()),
            Some(why) => not_ready(why),
        }
    }

    async fn gateway(State(probe): State<Arc<Self>>) -> (StatusCode, String) {
        probe.gateway.probe()
    }

    async fn database(&self) -> Verdict {
        // Held while the database is asked: whoever asks meanwhile gets the same answer.
        let mut last = self.last.lock().await;
        if let Some((at, verdict)) = *last
            && at.elapsed() < BELIEVED
        {
            return verdict;
        }
        let verdict = match timeout(PATIENCE, self.app.store.check_write()).await {
            Ok(Ok(())) => None,
            Ok(Err(StoreError::NotWritable(_))) => {
                Some("the database can't be written: its disk is full, read-only or failing")
            }
            Ok(Err(_)) | Err(_) => Some("the database does not answer"),
        };
        *last = Some((Instant::now(), verdict));
        verdict
    }
}

fn not_ready(why: &str) -> (StatusCode, String) {
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n"))
}
