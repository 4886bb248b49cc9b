//! The metrics of a gateway, read at the moment of a scrape, and the endpoint that serves them.
//!
//! Not here: which metrics there are (crate `telemetry`), and counting (`counts`).

use crate::access_log::AccessLog;
use crate::counts::ProviderCounts;
use crate::gateway::Gateway;
use crate::routing::provider::Provider;
use axum::Router;
use axum::response::IntoResponse as _;
use axum::routing::get;
use http::header::CONTENT_TYPE;
use lychgate_telemetry::metrics::labels::{BreakerState, DrainedBy, LeaseKind};
use lychgate_telemetry::metrics::{self, Histogram, Label, Metric, Page, Samples};
use lychgate_types::Timestamp;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;

/// Serves `GET /metrics` with the pages that `page` makes, one at a time: however many clients scrape, it takes one CPU at most.
pub fn exposition<F>(page: impl Fn() -> F + Clone + Send + Sync + 'static) -> Router
where
    F: Future<Output = Page> + Send + 'static,
{
    let turn = Arc::new(Mutex::new(()));
    let answer = move || {
        let (page, turn) = (page(), Arc::clone(&turn));
        async move {
            let _turn = turn.lock().await;
            ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], page.await.into_text()).into_response()
        }
    };
    Router::new().route("/metrics", get(answer))
}

impl Gateway {
    /// Serves the metrics of this process and its gateway, `/healthz` and `/readyz`, and nothing else.
    pub fn metrics_router(&self) -> Router {
        let gateway = self.clone();
        let page = move || gateway.clone().page(Page::default());
        exposition(page).merge(self.probes())
    }

    /// Adds the metrics of this process and its gateway to the page. Made where it may block: it makes system calls, and takes locks
    /// that others hold for a moment.
    pub async fn page(self, mut page: Page) -> Page {
        let written = spawn_blocking(move || {
            metrics::process(&mut page, self.shared.started_at);
            self.write(&mut page);
            page
        });
        // It fails only when the process ends.
        written.await.unwrap_or_default()
    }

    fn write(&self, page: &mut Page) {
        self.write_link(page);
        self.write_requests(page);
        self.write_tokens(page);
        self.write_spool(page);
    }

    fn write_link(&self, page: &mut Page) {
        let shared = &self.shared;
        let state = shared.replica_state.load();
        let link = &state.link;
        page.one(Metric::Ready, self.readiness().is_ok());
        page.family(Metric::Draining, |samples| {
            for by in DrainedBy::ALL {
                let drained = match by {
                    DrainedBy::Operator => &shared.drained,
                    DrainedBy::Shutdown => &shared.draining,
                };
                samples.add(&[Label::of(*by)], drained.load(Ordering::Acquire));
            }
        });
        page.state(Metric::LinkState, Some(link.label()));
        page.state(Metric::LinkTrouble, link.trouble());
        page.one(Metric::LinkOffline, shared.offline(link));
        page.one(Metric::LinkOfflineLimit, shared.options.max_offline);
        page.one(Metric::LinkAttachments, shared.counts.link.attachments.get());
        page.one(Metric::LinkLosses, shared.counts.link.losses.get());
        page.one(Metric::ConfigurationVersion, state.table.version);
        page.one(Metric::SnapshotWritten, shared.snapshot_cache.written.get());
    }

    fn write_requests(&self, page: &mut Page) {
        let shared = &self.shared;
        page.one(Metric::RequestsPassed, self.passed_through());
        page.tally(Metric::RequestsRefused, &shared.counts.refused);
        page.one(Metric::RequestsInFlight, self.in_flight());
        let access_log = shared.options.access_log.as_ref();
        page.one(Metric::AccessLogDropped, access_log.map_or(0, AccessLog::dropped));
        let providers = self.providers();
        each(page, Metric::Requests, &providers, |samples, name, provider| {
            for (outcome, count) in provider.state.counts.outcomes.all() {
                samples.add(&[name, Label::of(outcome)], count);
            }
        });
        each(page, Metric::Tokens, &providers, |samples, name, provider| {
            for (kind, count) in provider.state.counts.tokens.all() {
                samples.add(&[name, Label::of(kind)], count);
            }
        });
        each(page, Metric::Retries, &providers, |samples, name, provider| {
            samples.add(&[name], provider.state.counts.retries.get());
        });
        let not_closed = shared.breakers.not_closed();
        each(page, Metric::Breakers, &providers, |samples, name, provider| {
            for state in BreakerState::ALL {
                let wanted = (provider.config.id, *state);
                let count = not_closed.iter().filter(|breaker| **breaker == wanted).count();
                samples.add(&[name, Label::of(*state)], count as u64);
            }
        });
        let mut histograms = |metric, of: fn(&ProviderCounts) -> &Histogram| {
            each(page, metric, &providers, |samples, name, provider| {
                samples.histogram(&[name], of(&provider.state.counts));
            });
        };
        histograms(Metric::RequestDuration, |counts| &counts.duration);
        histograms(Metric::FirstByte, |counts| &counts.first_byte);
        histograms(Metric::Overhead, |counts| &counts.overhead);
    }

    fn write_tokens(&self, page: &mut Page) {
        let leases = &self.shared.leases;
        let (good, denied) = leases.count();
        page.family(Metric::Leases, |samples| {
            samples.add(&[Label::of(LeaseKind::Good)], good as u64);
            samples.add(&[Label::of(LeaseKind::Denied)], denied as u64);
        });
        page.one(Metric::RequestsWaiting, leases.waiting() as u64);
        page.one(Metric::LookupsInFlight, leases.pending_lookups() as u64);
        page.tally(Metric::Lookups, &leases.counts.lookups);
    }

    fn write_spool(&self, page: &mut Page) {
        let (spool, delivery) = (self.shared.spool.stats(), &self.shared.counts.delivery);
        let waits = |at: &Timestamp| spool.records > 0 && at.as_micros() > 0;
        page.one(Metric::SpoolRecords, spool.records);
        page.one(Metric::SpoolBytes, spool.bytes);
        page.one(Metric::SpoolLimit, spool.limit);
        page.state(Metric::SpoolNoRoom, spool.no_room);
        page.one(Metric::SpoolOldest, delivery.oldest.get().filter(waits));
        page.one(Metric::SpoolAppended, spool.appended);
        page.one(Metric::SpoolDelivered, delivery.delivered.get());
        page.one(Metric::SpoolRejected, delivery.rejected.get());
        page.one(Metric::SpoolSetAside, self.shared.spool.set_aside_count());
        page.one(Metric::SpoolInterrupted, spool.interrupted);
        page.one(Metric::SpoolUnrecorded, self.unrecorded());
        page.one(Metric::SpoolErrors, spool.errors);
        page.one(Metric::DeliveryFailures, delivery.failures.get());
    }

    /// Sorted by name.
    fn providers(&self) -> Vec<Arc<Provider>> {
        let state = self.shared.replica_state.load();
        let mut providers: Vec<_> = state.table.providers().cloned().collect();
        providers.sort_unstable_by(|one, other| one.config.name.cmp(&other.config.name));
        providers
    }
}

fn each(
    page: &mut Page,
    metric: Metric,
    providers: &[Arc<Provider>],
    write: impl Fn(&mut Samples<'_>, Label<'_>, &Provider),
) {
    page.family(metric, |samples| {
        for provider in providers {
            write(samples, Label::name(&provider.config.name), provider);
        }
    });
}
