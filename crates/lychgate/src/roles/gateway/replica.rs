//! A replica: the data plane, its control link, its listener, and the key file that it follows.

use super::super::{VERSION, access_log, chain, key_file};
use super::settings::GatewaySettings;
use crate::failure::{Failure, Outcome};
use lychgate_gateway::{AccessLogGuard, Gateway, OfflineStart, Options};
use lychgate_link::client::GrpcLink;
use lychgate_types::Ambient;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// A running replica.
#[derive(Debug)]
pub(crate) struct Replica {
    /// Where it listens.
    pub(crate) local_addr: SocketAddr,
    /// The data plane.
    pub(crate) gateway: Gateway,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
    following: Option<JoinHandle<()>>,
    _access_log: Option<AccessLogGuard>,
}

impl Replica {
    /// Starts serving on the listener; attaches to the control plane in the background.
    pub(crate) fn start(settings: GatewaySettings, listener: TcpListener, ambient: Ambient) -> Outcome<Self> {
        let local_addr = listener.local_addr().map_err(Failure::failed)?;
        tracing::info!(prefix = settings.key.prefix(), "authenticating with this gateway key");
        let (give, key) = watch::channel(settings.key);
        let link = GrpcLink::new(&settings.control_urls, key.clone(), ambient.clone());
        let link = link.map_err(|why| Failure::Usage(chain(&why)))?;
        let address = settings.advertise.unwrap_or_else(|| local_addr.to_string());
        let (access_log, guard) = access_log::open(settings.access_log, &ambient)?;
        let defaults = Options::new(settings.name, address, VERSION);
        let options = Options {
            labels: settings.labels,
            spool: settings.spool,
            trusted_proxies: settings.trusted_proxies,
            max_offline: settings.max_offline.unwrap_or(defaults.max_offline),
            offline: settings.offline_start.then_some(OfflineStart { key }),
            access_log,
            ..defaults
        };
        let options = settings.inbound.apply(settings.upstream.apply(options));
        let gateway = Gateway::start(options, Arc::new(link), ambient).map_err(|why| Failure::Failed(chain(&why)))?;
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(lychgate_gateway::serve(
            listener,
            gateway.front(gateway.standalone_router()),
            async {
                // Sent or dropped, it has to stop.
                let _ = stopped.await;
            },
        ));
        let following = settings.key_file.map(|path| tokio::spawn(key_file::follow(path, give)));
        Ok(Self {
            local_addr,
            gateway,
            stop,
            serving,
            following,
            _access_log: guard,
        })
    }

    /// Accepts no new requests, lets those in flight finish within the limit, and delivers what is recorded.
    pub(crate) async fn stop(self, limit: Duration) {
        self.gateway.drain(limit).await;
        // The receiver is gone only if serving has ended already.
        let _ = self.stop.send(());
        if let Err(error) = self.serving.await {
            tracing::error!(%error, "the listener task failed");
        }
        self.gateway.close().await;
        if let Some(following) = self.following {
            following.abort();
        }
    }
}
