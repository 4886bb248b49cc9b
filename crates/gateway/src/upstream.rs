//! The way to providers: pooled connections over HTTP/1.1 and, where the policy says so, HTTP/2; TLS with the system's CAs
//! and the operator's; outbound proxies; no redirects followed, nothing unpacked, nothing retried that may have been begun.
//!
//! Each provider has connections of its own, so none that was made under one provider's rules serves another.
//!
//! Not here: what is sent (`relay`) and where to (`provider`).

mod answer;
mod dial;
mod error;
mod h1;
mod h2;
mod pool;
pub(crate) mod private_address;
pub(crate) mod proxy;
mod stream;
pub(crate) mod tls_roots;

pub(crate) use answer::Answer;
pub(crate) use error::SendError;

use crate::upstream::proxy::OutboundProxy;
use crate::upstream::tls_roots::CaCertificates;
use arc_swap::ArcSwap;
use bytes::Bytes;
use dial::{Dialer, Target};
use http::{Request, Response, Uri};
use http_body_util::Full;
use lychgate_link::ProviderConfig;
use lychgate_types::ProviderId;
use pool::Pool;
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::task::{Context, Poll};
use std::time::Duration;

/// How often idle connections are looked through.
const SWEEP: Duration = Duration::from_secs(15);

/// A request under way. It needs nobody's borrow and may outlive its client; dropped, the request is given up.
pub(crate) struct Sending(Pin<Box<dyn Future<Output = <Sending as Future>::Output> + Send>>);

impl Future for Sending {
    type Output = Result<Response<Answer>, SendError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.0.as_mut().poll(cx)
    }
}

impl std::fmt::Debug for Sending {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sending")
    }
}

/// All connections to providers.
#[derive(Debug, Clone)]
pub(crate) struct Upstream(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    dialer: Arc<Dialer>,
    proxy: OutboundProxy,
    pools: ArcSwap<HashMap<ProviderId, Arc<Pool>>>,
}

impl Upstream {
    /// Needs a Tokio runtime, for looking through what is idle.
    pub(crate) fn new(cas: &CaCertificates, proxy: OutboundProxy) -> Result<Self, rustls::Error> {
        let shared = Arc::new(Shared {
            dialer: Arc::new(Dialer::new(cas)?),
            proxy,
            pools: ArcSwap::default(),
        });
        tokio::spawn(sweep(Arc::downgrade(&shared)));
        Ok(Self(shared))
    }

    /// Sends a request of this provider (to one of its URLs, without `Host`); the answer's head comes from the future. The
    /// provider's policy says how long connecting may take, and which HTTP is spoken.
    pub(crate) fn send(&self, provider: &ProviderConfig, request: Request<Full<Bytes>>) -> Sending {
        let patience = Duration::from_millis(provider.policy.timeouts.connect_ms.into());
        match self.0.pool(provider, request.uri()) {
            Some(pool) => Sending(Box::pin(pool.exchange(request, patience))),
            None => {
                let error = SendError::Connect("the URL is not absolute".into());
                Sending(Box::pin(std::future::ready(Err(error))))
            }
        }
    }
}

impl Shared {
    fn pool(&self, provider: &ProviderConfig, url: &Uri) -> Option<Arc<Pool>> {
        let known = self.pools.load();
        if let Some(pool) = known.get(&provider.id)
            && pool.target.fits(provider, url)
        {
            return Some(Arc::clone(pool));
        }
        let target = Target::new(provider, url, &self.proxy)?;
        let made = Arc::new(Pool::new(target, Arc::clone(&self.dialer)));
        // One that another request makes at the same time is lost with its connections; that is rare and harmless.
        self.pools.rcu(|pools| {
            let mut pools = HashMap::clone(pools);
            pools.insert(provider.id, Arc::clone(&made));
            pools
        });
        Some(made)
    }

    /// Closes what is over, and forgets pools that nobody has a use for.
    fn sweep(&self) {
        let unused: Vec<ProviderId> = self
            .pools
            .load()
            .iter()
            .filter(|(_, pool)| !pool.sweep() && Arc::strong_count(pool) == 1)
            .map(|(id, _)| *id)
            .collect();
        if !unused.is_empty() {
            self.pools.rcu(|pools| {
                let mut pools = HashMap::clone(pools);
                pools.retain(|id, _| !unused.contains(id));
                pools
            });
        }
    }
}

async fn sweep(shared: Weak<Shared>) {
    loop {
        tokio::time::sleep(SWEEP).await;
        match shared.upgrade() {
            Some(shared) => shared.sweep(),
            None => return,
        }
    }
}
