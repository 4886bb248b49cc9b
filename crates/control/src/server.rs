//! Starts and stops the control plane: store, first owner, embedded gateway, listener, background work.

use crate::api::router;
use crate::bootstrap::{self, BootstrapError};
use crate::jobs::Jobs;
use crate::link::service::ControlLinkService;
use crate::metrics;
use crate::state::App;
use crate::state::attachments::Attachments;
use axum::Router;
use lychgate_authz::Caller;
use lychgate_gateway::Gateway;
use lychgate_store::seal::Sealer;
use lychgate_store::{ConnectError, DatabaseUrl, Store, StoreError};
use lychgate_types::Ambient;
use lychgate_types::secret::{MasterKey, UserTokenSecret};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// What a control plane needs to start.
#[derive(Debug)]
pub struct Options {
    /// Where to listen; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// Where the data is.
    pub database: DatabaseUrl,
    /// Seals provider keys in the database.
    pub master_key: MasterKey,
    /// The first owner's token on an empty database; without it one is made and left in `data_dir`.
    pub bootstrap_token: Option<UserTokenSecret>,
    /// Where `owner-token` is left; must exist.
    pub data_dir: PathBuf,
    /// Whether prompts, tool arguments and thoughts are recorded; counts always are.
    pub capture_content: bool,
    /// Of the embedded gateway.
    pub gateway: lychgate_gateway::Options,
}

/// Why the control plane did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address is taken, not this machine's, or not allowed.
    #[error("can't listen on {address}")]
    Listen {
        /// The address asked for.
        address: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// The database can't be opened or migrated.
    #[error("the database can't be used")]
    Database(#[from] ConnectError),
    /// The database was sealed with another master key.
    #[error("the master key does not match the database: start with the key that it was created with")]
    WrongMasterKey,
    /// The database failed.
    #[error("the database failed")]
    Store(#[source] StoreError),
    /// There is no owner and none could be made.
    #[error("the first start failed")]
    Bootstrap(#[from] BootstrapError),
    /// The embedded gateway did not start.
    #[error("the embedded gateway can't start")]
    Gateway(#[from] lychgate_gateway::StartError),
}

/// A running control plane.
pub struct Control {
    local_addr: SocketAddr,
    app: App,
    gateway: Gateway,
    jobs: Jobs,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Control({})", self.local_addr)
    }
}

impl Control {
    /// Starts; when this returns, the listener answers.
    pub async fn start(options: Options, ambient: Ambient) -> Result<Self, StartError> {
        // First, because a taken port is the likeliest failure and nothing is changed yet.
        let address = options.listen;
        let listen = |source| StartError::Listen { address, source };
        let listener = lychgate_gateway::listen(address).map_err(listen)?;
        let local_addr = listener.local_addr().map_err(listen)?;

        let store = Store::connect(&options.database, ambient.clone()).await?;
        store.migrate().await?;
        let sealer = Sealer::new(options.master_key);
        store
            .master_key_check(&Caller::control_plane(), &sealer)
            .await
            .map_err(|error| match error {
                StoreError::WrongMasterKey => StartError::WrongMasterKey,
                other => StartError::Store(other),
            })?;
        bootstrap::owner(&store, &ambient, options.bootstrap_token, &options.data_dir).await?;

        // Before anybody attaches: from this place on everybody is told everything.
        let place = store.changes_last(&Caller::control_plane()).await;
        let (attachments, detachments) = Attachments::new(place.map_err(StartError::Store)?);
        let app = App::new(store, sealer, ambient.clone(), attachments, options.capture_content);
        app.read_credentials().await.map_err(StartError::Store)?;
        let gateway = Gateway::start(options.gateway, ControlLinkService::embedded(app.clone()), ambient)?;
        let jobs = Jobs::start(&app, detachments);
        let (stop, stopped) = oneshot::channel::<()>();
        // Dropping the handle stops the listener, too.
        let stopped = async move { drop(stopped.await) };
        let routes = router::all(&app, &gateway);
        let serving = tokio::spawn(lychgate_gateway::serve(listener, gateway.front(routes), stopped));
        Ok(Self {
            local_addr,
            app,
            gateway,
            jobs,
            stop,
            serving,
        })
    }

    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// The embedded gateway.
    pub const fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Serves the metrics of this process, the control plane and its embedded gateway, `/healthz` and `/readyz`, and nothing
    /// else.
    pub fn metrics_router(&self) -> Router {
        metrics::router(&self.app, &self.gateway)
    }

    /// Stops: attached replicas are told to attach elsewhere, requests in flight may end within `limit`.
    pub async fn shutdown(self, limit: Duration) {
        self.app.attachments.close_all();
        self.gateway.drain(limit).await;
        // The receiver is gone only if serving has ended already.
        let _ = self.stop.send(());
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the listener's task failed");
        }
        self.gateway.close().await;
        self.jobs.stop().await;
        self.app.store.close().await;
    }
}
