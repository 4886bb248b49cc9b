//! `/healthz` (alive) and `/readyz` (may receive traffic): before all layers, for probes.

use crate::state::App;
use axum::Router;
use axum::routing::get;
use http::StatusCode;
use lychgate_authz::Caller;
use lychgate_gateway::Gateway;
use lychgate_types::secret::SecretHash;
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The database is asked at most this often, however many ask.
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
    last: Mutex<Option<(Instant, bool)>>,
}

impl Probe {
    async fn ready(&self) -> (StatusCode, String) {
        if !self.database_answers().await {
            return (
                StatusCode::SERVICE_UNAVAILABLE,
                "the database does not answer\n".to_owned(),
            );
        }
        match self.gateway.readiness() {
            Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")),
        }
    }

    async fn database_answers(&self) -> bool {
        let last = *self.last.lock();
        if let Some((at, answer)) = last
            && at.elapsed() < BELIEVED
        {
            return answer;
        }
        // Any small look-up will do; this one finds nothing.
        let nobody = SecretHash::from_bytes([0; 32]);
        let answer = self
            .app
            .store
            .token_authenticate(&Caller::control_plane(), &nobody)
            .await
            .is_ok();
        *self.last.lock() = Some((Instant::now(), answer));
        answer
    }
}
