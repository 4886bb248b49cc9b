//! The handle on a running gateway.

use crate::error::Refusal;
use crate::inbound::front::Front;
use crate::inbound::stack::Stack;
use crate::link::{attach, deliver, offline};
use crate::options::Options;
use crate::shared::Shared;
use crate::sockets::News;
use crate::spool::disk::{Disk, SystemDisk};
use crate::spool::{self, Full, Spool, SpoolError};
use crate::upstream::Upstream;
use axum::Router;
use axum::body::Body;
use axum::routing::{any_service, get};
use http::{HeaderMap, Response, StatusCode, Uri};
use lychgate_link::ControlLink;
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::{Ambient, ReplicaId};
use lychgate_wire::provider::likely_family;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// How long the last records may take to be delivered when a process ends, even if streams have used up the whole drain time.
const LAST_DELIVERY: Duration = Duration::from_secs(10);
/// How long answers that were cut off are read on for their usage, at most.
const LAST_READING: Duration = Duration::from_secs(3);
/// How long telling the control plane that this replica is leaving may take.
const DETACH_TIMEOUT: Duration = Duration::from_secs(1);

/// Why a gateway can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The TLS library refused its own settings.
    #[error("TLS can't be set up")]
    Tls(#[source] rustls::Error),
    /// The spool can't be used.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// A running gateway; clones are handles on the same one.
#[derive(Debug, Clone)]
pub struct Gateway {
    pub(crate) shared: Arc<Shared>,
    /// `None` once closed.
    tasks: Arc<Mutex<Option<Tasks>>>,
}

/// The background tasks.
#[derive(Debug)]
struct Tasks {
    attachment: JoinHandle<()>,
    others: [JoinHandle<()>; 4],
}

impl Gateway {
    /// Starts attaching to and delivering to the control plane over `link`. Needs a Tokio runtime. Does not wait for the control
    /// plane: until it is reached, requests are refused and [`Self::readiness`] says so.
    pub fn start(options: Options, link: Arc<dyn ControlLink>, ambient: Ambient) -> Result<Self, StartError> {
        let upstream = Upstream::new(&options.provider_cas, options.proxy.clone()).map_err(StartError::Tls)?;
        Ok(Self::start_on(options, link, ambient, upstream, Arc::new(SystemDisk))?)
    }

    /// The same, on another disk and with other connections to providers.
    pub(crate) fn start_on(
        options: Options,
        link: Arc<dyn ControlLink>,
        ambient: Ambient,
        upstream: Upstream,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, SpoolError> {
        let spool = Spool::open(&options.spool, &ambient, disk)?;
        let shared = Arc::new(Shared::new(options, link, ambient, upstream, spool));
        offline::restore(&shared);
        let tasks = Tasks {
            attachment: tokio::spawn(attach::run(Arc::clone(&shared))),
            others: [
                tokio::spawn(deliver::run(Arc::clone(&shared))),
                tokio::spawn(spool::run_flusher(Arc::clone(&shared.spool))),
                tokio::spawn(spool::run_unfinished(Arc::clone(&shared.spool))),
                tokio::spawn(offline::run(Arc::clone(&shared))),
            ],
        };
        Ok(Self {
            shared,
            tasks: Arc::new(Mutex::new(Some(tasks))),
        })
    }

    /// Serves everything under `/ai/`, and nothing else. For benchmarks: the product serves `/ai/` through [`Self::front`].
    pub fn router(&self) -> Router {
        Router::new().route("/ai/{*rest}", any_service(Stack(Arc::clone(&self.shared))))
    }

    /// What a replica serves beside `/ai/`: its probes, and an answer to everything else that names the right base URL.
    pub fn standalone_router(&self) -> Router {
        self.probes().fallback(elsewhere)
    }

    /// `/healthz`, `/readyz`, and `/readyz/gateway`, which is the same here and apart in a control plane.
    pub(crate) fn probes(&self) -> Router {
        let gateway = self.clone();
        let ready = get(move || std::future::ready(gateway.probe()));
        Router::new()
            .route("/healthz", get(|| async { "alive\n" }))
            .route("/readyz", ready.clone())
            .route("/readyz/gateway", ready)
    }

    /// What a probe is told of this gateway.
    pub fn probe(&self) -> (StatusCode, String) {
        match self.describe_readiness() {
            Ok(text) => (StatusCode::OK, format!("{text}\n")),
            Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
        }
    }

    /// [`Self::router`] and `rest` behind one listener, with a fast path for what is under `/ai/`.
    pub fn front(&self, rest: Router) -> Front {
        Front::new(Stack(Arc::clone(&self.shared)), rest, &self.shared.options)
    }

    /// Whether this gateway may receive traffic; if not, why. While the control plane can't be reached it stays ready for as
    /// long as it serves known tokens.
    pub fn readiness(&self) -> Result<(), String> {
        self.describe_readiness().map(drop)
    }

    /// Requests being served, streams included.
    pub fn in_flight(&self) -> u64 {
        self.shared.in_flight()
    }

    /// Requests relayed so far that are not to be recorded (lists of models and the like).
    pub fn passed_through(&self) -> u64 {
        self.shared.counts.passed_through.get()
    }

    /// Records not yet acknowledged by the control plane.
    pub fn spool_depth(&self) -> u64 {
        self.shared.spool.depth()
    }

    /// Requests relayed so far without a record because there was no room for it.
    pub fn unrecorded(&self) -> u64 {
        self.shared.spool.unrecorded()
    }

    /// This process's id in the control plane's registry.
    pub fn replica_id(&self) -> ReplicaId {
        self.shared.replica_id
    }

    /// Begins a graceful shutdown: refuses new requests, and waits for those in flight for at most `limit`; what has not ended
    /// then is recorded as stopped by the gateway. The caller then stops the server, which cuts it off, and calls [`Self::close`]
    /// last.
    pub async fn drain(&self, limit: Duration) {
        self.shared.draining.store(true, Ordering::Release);
        self.shared.sockets.tell(News::State);
        if timeout(limit, self.shared.until_idle()).await.is_err() {
            self.shared.cut_off.store(true, Ordering::Release);
            self.shared.sockets.tell(News::State);
            let requests = self.in_flight();
            tracing::warn!(
                requests,
                "requests were still in flight at the end of the drain time, and are cut off"
            );
        }
    }

    /// Records what is in flight as stopped by the gateway, because the process is about to exit. Blocks.
    pub fn stop_at_once(&self) {
        self.shared.draining.store(true, Ordering::Release);
        self.shared.spool.stop_unfinished();
        if self.shared.spool.flush() {
            self.shared.spool.close_lines();
        }
    }

    /// Delivers what is recorded (within a few seconds, and not at all if the control plane refuses this gateway) and detaches.
    /// Afterwards this gateway serves no requests.
    pub async fn close(&self) {
        self.shared.draining.store(true, Ordering::Release);
        if timeout(LAST_READING, self.shared.until_idle()).await.is_err() {
            self.shared.spool.stop_unfinished();
        }
        // A replica that is refused can't deliver either; waiting would only delay the end.
        let last = async {
            if !self.shared.replica_state.load().link.is_refused() {
                self.shared.spool.until_empty().await;
            }
        };
        let late = timeout(LAST_DELIVERY, last).await.is_err();
        if late || self.spool_depth() > 0 {
            tracing::error!(
                records = self.spool_depth(),
                "records could not be delivered before shutdown; they are kept in the spool for the next start"
            );
        }
        let tasks = self.tasks.lock().take();
        if let Some(mut tasks) = tasks {
            self.shared.leaving.send_replace(true);
            // Without an attachment there is nobody to tell.
            if self.shared.replica_state.load().link.is_attached()
                && timeout(DETACH_TIMEOUT, &mut tasks.attachment).await.is_err()
            {
                tracing::warn!("the control plane could not be notified that this replica is shutting down");
            }
            tasks.attachment.abort();
            tasks.others.iter().for_each(JoinHandle::abort);
        }
        if self.shared.replica_state.load().link.is_attached() {
            offline::write_snapshot(&self.shared).await;
        }
        if spool::flush(&self.shared.spool).await {
            self.shared.spool.run_blocking(Spool::close_lines).await;
        } else {
            tracing::error!("records could not be written to the spool before shutdown");
        }
        self.shared.spool.release();
    }

    /// Ends it as a crash of its process would: nobody is told, and nothing more is written.
    pub(crate) fn kill(&self) {
        if let Some(tasks) = self.tasks.lock().take() {
            tasks.attachment.abort();
            tasks.others.iter().for_each(JoinHandle::abort);
        }
        self.shared.spool.release();
    }

    fn describe_readiness(&self) -> Result<&'static str, String> {
        if self.shared.draining.load(Ordering::Acquire) {
            return Err("shutting down".to_owned());
        }
        if self.shared.drained.load(Ordering::Acquire) {
            return Err("drained: no new requests are accepted until it is restarted".to_owned());
        }
        let link = &self.shared.replica_state.load().link;
        let text = match link.readiness(self.shared.options.max_offline)? {
            _ if link.is_attached() && self.shared.lookup_health.is_failing() => {
                "ready for known tokens only; the control plane is connected but not answering"
            }
            text => text,
        };
        match self.shared.spool.room() {
            Ok(()) => Ok(text),
            Err(_) if self.shared.spool.relays_unrecorded() => {
                Ok("ready, but there is no room for records, so requests are not recorded")
            }
            Err(Full::Disk(why)) => Err(why.to_string()),
            Err(Full::Records | Full::Share) => Err("too many records are waiting for the control plane".to_owned()),
        }
    }
}

/// What a client reads whose base URL leads past the data plane, in the shape of the errors that it knows.
async fn elsewhere(uri: Uri, headers: HeaderMap) -> Response<Body> {
    let family = likely_family(uri.path(), |name| headers.contains_key(name));
    let message = "there is nothing under this path: the base URL of a client is this gateway's address with /ai/<provider> behind it for \
                   an Anthropic provider, /ai/<provider>/v1 for an OpenAI one";
    Refusal::new(StatusCode::NOT_FOUND, Refused::UnknownPath, message).into_response(family)
}
