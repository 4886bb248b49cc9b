//! The HTTP client for providers: pooled connections over HTTP/1.1 and, if the policy allows it, HTTP/2; TLS with the system's
//! CAs and the operator's; outbound proxies. It follows no redirects, decompresses nothing, and retries nothing that the
//! provider may have begun to process.
//!
//! Each provider has its own connections, so that none made under one provider's rules serves another.
//!
//! Not here: what is sent (`exchange`) and where to (`routing::provider`).

mod answer;
mod dial;
mod error;
pub(crate) mod h1;
mod h2;
mod pool;
pub(crate) mod private_address;
pub(crate) mod proxy;
mod resolver;
mod stream;
pub(crate) mod tls_roots;
mod upgrade;

pub(crate) use answer::Answer;
pub(crate) use error::SendError;
pub(crate) use upgrade::Upgrade;

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

/// How often idle connections are swept.
const SWEEP_INTERVAL: Duration = Duration::from_secs(15);

/// A request in flight. It borrows nothing and may outlive its client; dropping it cancels the request.
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
pub(crate) struct Upstream(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    dialer: Arc<Dialer>,
    proxy: OutboundProxy,
    pools: ArcSwap<HashMap<ProviderId, Arc<Pool>>>,
}

impl Upstream {
    /// Needs a Tokio runtime, for sweeping.
    pub(crate) fn new(cas: &CaCertificates, proxy: OutboundProxy) -> Result<Self, rustls::Error> {
        let inner = Arc::new(Inner {
            dialer: Arc::new(Dialer::new(cas)?),
            proxy,
            pools: ArcSwap::default(),
        });
        tokio::spawn(sweep(Arc::downgrade(&inner)));
        Ok(Self(inner))
    }

    /// Sends a request to this provider (to one of its URLs, without `Host`); the future yields the head of the answer. The
    /// provider's policy says how long connecting may take, and which HTTP version is spoken.
    pub(crate) fn send(&self, provider: &ProviderConfig, request: Request<Full<Bytes>>) -> Sending {
        let connect_timeout = Duration::from_millis(provider.policy.timeouts.connect_ms.into());
        match self.0.pool(provider, request.uri()) {
            Some(pool) => Sending(Box::pin(pool.exchange(request, connect_timeout))),
            None => {
                let error = SendError::Connect("the URL is not absolute".into());
                Sending(Box::pin(std::future::ready(Err(error))))
            }
        }
    }
}

impl Inner {
    fn pool(&self, provider: &ProviderConfig, url: &Uri) -> Option<Arc<Pool>> {
        let known = self.pools.load();
        if let Some(pool) = known.get(&provider.id)
            && pool.target.fits(provider, url)
        {
            return Some(Arc::clone(pool));
        }
        let target = Target::new(provider, url, &self.proxy)?;
        let made = Arc::new(Pool::new(target, Arc::clone(&self.dialer)));
        // If another request makes one at the same time, one of them is lost with its connections; that is rare and harmless.
        self.pools.rcu(|pools| {
            let mut pools = HashMap::clone(pools);
            pools.insert(provider.id, Arc::clone(&made));
            pools
        });
        Some(made)
    }

    /// Closes expired connections, and drops pools that are not used.
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

async fn sweep(inner: Weak<Inner>) {
    loop {
        tokio::time::sleep(SWEEP_INTERVAL).await;
        match inner.upgrade() {
            Some(inner) => inner.sweep(),
            None => return,
        }
    }
}
