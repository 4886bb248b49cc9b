//! What the metrics tell of a control plane, read at the moment when somebody asks; what the database has to be asked for, every
//! few seconds at most.
//!
//! Not here: which metrics there are (crate `telemetry`), counting (`counts`), and the embedded gateway (crate `gateway`).

use crate::api::routes::health;
use crate::state::{App, KEY_EXPIRES_SOON};
use axum::Router;
use lychgate_authz::Caller;
use lychgate_gateway::{Gateway, exposition};
use lychgate_store::{KeyExpiry, KeyState, ReplicaState, StoreError};
use lychgate_telemetry::error::chain;
use lychgate_telemetry::metrics::labels::Attached;
use lychgate_telemetry::metrics::{Label, Metric, Page};
use lychgate_types::{Name, Texts};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

/// The database is asked at most this often, however many ask here.
const BELIEVED: Duration = Duration::from_secs(5);
/// A database that does not answer in this time is told to be down; Prometheus waits ten seconds for the whole.
const PATIENCE: Duration = Duration::from_secs(2);
/// So many gateway keys are told to expire: each is a series.
const EXPIRING: usize = 100;

/// The metrics, and what probes ask.
pub(crate) fn router(app: &App, gateway: &Gateway) -> Router {
    let teller = Arc::new(Teller {
        app: app.clone(),
        gateway: gateway.clone(),
        asked: Mutex::default(),
    });
    exposition(move || Arc::clone(&teller).page()).merge(health::routes(app, gateway))
}

struct Teller {
    app: App,
    gateway: Gateway,
    asked: Mutex<Option<(Instant, Option<Arc<Books>>)>>,
}

/// What the database says.
struct Books {
    writable: bool,
    replicas: Vec<(ReplicaState, u64)>,
    keys: Vec<(KeyState, u64)>,
    expiring: Vec<KeyExpiry>,
    feed_head: u64,
}

impl Teller {
    async fn page(self: Arc<Self>) -> Page {
        let mut page = Page::default();
        let books = self.books().await;
        write_books(&self.app, books.as_deref(), &mut page);
        write_links(&self.app, &mut page);
        let counts = &self.app.counts;
        page.tally(Metric::ApiRequests, &counts.api);
        page.tally(Metric::AuthenticationFailures, &counts.strangers);
        self.gateway.clone().page(page).await
    }

    /// What the database said a moment ago, or says now; nothing where it does not answer.
    async fn books(&self) -> Option<Arc<Books>> {
        let mut asked = self.asked.lock().await;
        if let Some((at, books)) = &*asked
            && at.elapsed() < BELIEVED
        {
            return books.clone();
        }
        let books = match timeout(PATIENCE, look_up(&self.app)).await {
            Ok(Ok(books)) => Some(Arc::new(books)),
            Ok(Err(error)) => {
                tracing::debug!(error = %chain(&error), "the metrics can't be read from the database");
                None
            }
            Err(_) => None,
        };
        *asked = Some((Instant::now(), books.clone()));
        books
    }
}

async fn look_up(app: &App) -> Result<Books, StoreError> {
    let (store, plane) = (&app.store, Caller::control_plane());
    let mut expiring = store
        .ai_gateway_key_expiring(&plane, app.ambient.now().plus(KEY_EXPIRES_SOON))
        .await?;
    expiring.truncate(EXPIRING);
    Ok(Books {
        writable: store.check_write().await.is_ok(),
        replicas: store.replica_count(&plane).await?,
        keys: store.ai_gateway_key_count(&plane).await?,
        expiring,
        feed_head: store.changes_last(&plane).await?,
    })
}

fn write_books(app: &App, books: Option<&Books>, page: &mut Page) {
    page.one(Metric::DatabaseUp, books.is_some());
    page.one(Metric::DatabaseWritable, books.is_some_and(|books| books.writable));
    numbers(page, Metric::Replicas, books.map(|books| books.replicas.as_slice()));
    numbers(page, Metric::GatewayKeys, books.map(|books| books.keys.as_slice()));
    page.family(Metric::GatewayKeyExpires, |samples| {
        for key in books.iter().flat_map(|books| &books.expiring) {
            // All stored names keep the rule.
            if let Ok(name) = Name::parse(&key.name) {
                samples.add(&[Label::name(&name)], Some(key.expires_at));
            }
        }
    });
    let position = app.attachments.position();
    page.one(Metric::FeedPosition, position);
    page.family(Metric::FeedHead, |samples| {
        if let Some(books) = books {
            // What was said a moment ago may be less than what has been read since.
            samples.add(&[], books.feed_head.max(position));
        }
    });
}

/// A number for each state.
fn numbers<S: Texts>(page: &mut Page, metric: Metric, counted: Option<&[(S, u64)]>) {
    page.family(metric, |samples| {
        let Some(counted) = counted else { return };
        for state in S::ALL {
            let number = counted.iter().find(|(counted, _)| counted == state);
            samples.add(&[Label::of(*state)], number.map_or(0, |(_, number)| *number));
        }
    });
}

fn write_links(app: &App, page: &mut Page) {
    let (serving, draining) = app.attachments.count();
    page.one(Metric::ReplicaClockSkew, app.attachments.clock_skew_ms() / 1000);
    page.family(Metric::AttachedReplicas, |samples| {
        samples.add(&[Label::of(Attached::Serving)], serving);
        samples.add(&[Label::of(Attached::Draining)], draining);
    });
    let counts = &app.counts;
    page.tally(Metric::KeyRefusals, &app.failed_auth.refusals);
    page.one(Metric::LinkCallsFailed, counts.link_calls_failed.get());
    page.tally(Metric::Ingested, &counts.ingested);
    page.one(Metric::IngestBatches, counts.batches.get());
    page.one(Metric::FeedPolling, counts.feed_polling.load(Ordering::Relaxed));
    page.one(Metric::FeedLosses, counts.feed_losses.get());
    page.one(Metric::RevocationsPushed, app.attachments.revoked.get());
}

#[cfg(test)]
mod tests {
    use super::*;
    use lychgate_telemetry::metrics::labels;

    fn texts<S: Texts>() -> Vec<&'static str> {
        S::ALL.iter().map(|state| state.text()).collect()
    }

    #[test]
    fn the_list_knows_the_states_that_the_store_has() {
        assert_eq!(texts::<ReplicaState>(), texts::<labels::ReplicaState>());
        assert_eq!(texts::<KeyState>(), texts::<labels::KeyState>());
    }
}
