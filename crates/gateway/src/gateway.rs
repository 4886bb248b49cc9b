//! The handle on a running gateway.

use crate::inbound::front::{DataPlane, Front};
use crate::inbound::stack::Stack;
use crate::link::{attach, deliver};
use crate::options::Options;
use crate::shared::Shared;
use crate::snapshot;
use crate::spool::disk::{Disk, SystemDisk};
use crate::spool::{self, Full, Spool, SpoolError};
use crate::upstream::Upstream;
use axum::Router;
use axum::routing::{any_service, get};
use http::StatusCode;
use lychgate_link::ControlLink;
use lychgate_types::{Ambient, ReplicaId};
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// Records are worth this much waiting when a process ends, even if the streams used up all the time there was.
const LAST_DELIVERY: Duration = Duration::from_secs(10);
/// How long the control plane may take to hear that this replica leaves.
const GOODBYE: Duration = Duration::from_secs(1);

/// Why a gateway can't start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The TLS library refused its own settings.
    #[error("TLS can't be set up")]
    Tls(#[source] rustls::Error),
    /// There is no place for records.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// A running gateway; clones are handles on the same one.
#[derive(Debug, Clone)]
pub struct Gateway {
    pub(crate) core: Arc<Shared>,
    /// None once closed.
    tasks: Arc<Mutex<Option<Tasks>>>,
}

/// What runs beside the requests.
#[derive(Debug)]
struct Tasks {
    attachment: JoinHandle<()>,
    others: [JoinHandle<()>; 3],
}

impl Gateway {
    /// Starts attaching and delivering over `link`. Needs a Tokio runtime; does not wait for the control plane: until it is
    /// reached, requests are refused and [`Self::readiness`] says so.
    pub fn start(options: Options, link: Arc<dyn ControlLink>, ambient: Ambient) -> Result<Self, StartError> {
        let upstream = Upstream::new(&options).map_err(StartError::Tls)?;
        Ok(Self::start_on(options, link, ambient, upstream, Arc::new(SystemDisk))?)
    }

    /// The same with other surroundings.
    pub(crate) fn start_on(
        options: Options,
        link: Arc<dyn ControlLink>,
        ambient: Ambient,
        upstream: Upstream,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, SpoolError> {
        let spool = Spool::open(&options.spool, &ambient, disk)?;
        let core = Arc::new(Shared::new(options, link, ambient, upstream, spool));
        snapshot::recall(&core);
        let tasks = Tasks {
            attachment: tokio::spawn(attach::run(Arc::clone(&core))),
            others: [
                tokio::spawn(deliver::run(Arc::clone(&core))),
                tokio::spawn(spool::keep(Arc::clone(&core.spool))),
                tokio::spawn(snapshot::keep(Arc::clone(&core))),
            ],
        };
        Ok(Self {
            core,
            tasks: Arc::new(Mutex::new(Some(tasks))),
        })
    }

    /// Serves everything under `/ai/`, and nothing else.
    pub fn router(&self) -> Router {
        Router::new().route("/ai/{*rest}", any_service(Stack(Arc::clone(&self.core))))
    }

    /// [`Self::router`] with `/healthz` and `/readyz` beside it.
    pub fn standalone_router(&self) -> Router {
        self.router().merge(self.probes())
    }

    /// `/healthz` and `/readyz`.
    pub(crate) fn probes(&self) -> Router {
        let gateway = self.clone();
        let ready = move || {
            let answer = match gateway.core_readiness() {
                Ok(text) => (StatusCode::OK, format!("{text}\n")),
                Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {why}\n")),
            };
            std::future::ready(answer)
        };
        Router::new()
            .route("/healthz", get(|| async { "alive\n" }))
            .route("/readyz", get(ready))
    }

    /// [`Self::router`] and `rest` behind one listener, with the shortest way for what is under `/ai/`.
    pub fn front(&self, rest: Router) -> Front {
        Front::new(DataPlane::Whole(Stack(Arc::clone(&self.core))), rest)
    }

    /// Whether this gateway may receive traffic; if not, why. While the control plane is away it stays ready for as long as
    /// tokens already known are served.
    pub fn readiness(&self) -> Result<(), String> {
        self.core_readiness().map(drop)
    }

    /// Requests being served, streams included.
    pub fn in_flight(&self) -> u64 {
        self.core.in_flight()
    }

    /// Requests relayed so far that are not recorded (lists of models and the like).
    pub fn passed_through(&self) -> u64 {
        self.core.counts.passed_through.get()
    }

    /// Records not yet acknowledged by the control plane.
    pub fn spool_depth(&self) -> u64 {
        self.core.spool.depth()
    }

    /// Requests relayed so far whose records were given up because there was no room for them.
    pub fn unrecorded(&self) -> u64 {
        self.core.spool.unrecorded()
    }

    /// This process's id in the control plane's registry.
    pub fn replica_id(&self) -> ReplicaId {
        self.core.replica_id
    }

    /// Begins to end in good order: refuses new requests, and waits for those in flight, at most `limit`. Then whoever serves
    /// this gateway stops, which cuts what is left, and [`Self::close`] comes last.
    pub async fn drain(&self, limit: Duration) {
        self.core.draining.store(true, Ordering::Release);
        if timeout(limit, self.core.until_idle()).await.is_err() {
            tracing::warn!(
                in_flight = self.in_flight(),
                "requests were still in flight at the end of the time to drain"
            );
        }
    }

    /// Delivers what is recorded (a few seconds are given to that, but none where the control plane refuses this gateway) and
    /// detaches. Afterwards this gateway serves no more.
    pub async fn close(&self) {
        self.core.draining.store(true, Ordering::Release);
        // Whoever is not let in can't deliver either; waiting would only make the end late.
        let last = async {
            if !self.core.snapshot.load().standing.is_refused() {
                self.core.until_idle().await;
                self.core.spool.until_empty().await;
            }
        };
        let late = timeout(LAST_DELIVERY, last).await.is_err();
        if late || self.spool_depth() > 0 {
            tracing::error!(
                records = self.spool_depth(),
                "records could not be delivered before the end; they wait in the spool for the next start"
            );
        }
        let tasks = self.tasks.lock().take();
        if let Some(mut tasks) = tasks {
            self.core.leaving.send_replace(true);
            // A control plane that is not there is not told.
            if self.core.snapshot.load().standing.is_attached()
                && timeout(GOODBYE, &mut tasks.attachment).await.is_err()
            {
                tracing::warn!("the control plane could not be told that this replica leaves");
            }
            tasks.attachment.abort();
            tasks.others.iter().for_each(JoinHandle::abort);
        }
        if self.core.snapshot.load().standing.is_attached() {
            snapshot::write(&self.core).await;
        }
        if !spool::settle(&self.core.spool).await {
            tracing::error!("records could not be kept before the end");
        }
        self.core.spool.release();
    }

    /// Ends it as the end of its process would: nobody is told, and nothing more is written.
    pub(crate) fn kill(&self) {
        if let Some(tasks) = self.tasks.lock().take() {
            tasks.attachment.abort();
            tasks.others.iter().for_each(JoinHandle::abort);
        }
        self.core.spool.release();
    }

    fn core_readiness(&self) -> Result<&'static str, String> {
        if self.core.draining.load(Ordering::Acquire) {
            return Err("shutting down".to_owned());
        }
        if self.core.told_to_drain.load(Ordering::Acquire) {
            return Err("drained: it takes no new requests until it is started again".to_owned());
        }
        let standing = &self.core.snapshot.load().standing;
        let text = match standing.readiness(self.core.options.max_offline)? {
            _ if standing.is_attached() && self.core.answers.are_missing() => {
                "ready for tokens already known; the control plane is there, but does not answer questions at present"
            }
            text => text,
        };
        match self.core.spool.room() {
            Ok(()) => Ok(text),
            Err(_) if self.core.spool.goes_on_unrecorded() => {
                Ok("ready; there is no room for records, so requests go unrecorded")
            }
            Err(Full::Disk(why)) => Err(why.to_string()),
            Err(Full::Records | Full::Unconfigured) => Err("too many records wait for the control plane".to_owned()),
        }
    }
}
