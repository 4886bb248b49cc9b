//! One control plane's address: its connection, how many calls it has in flight, and whether it works.
//!
//! Not here: which one is asked (`pool`).

use crate::MAX_MESSAGE_BYTES;
use crate::generated::link_client::LinkClient;
use lychgate_types::Ambient;
use lychgate_types::backoff::Backoff;
use parking_lot::{Mutex, MutexGuard};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;
use tonic::transport::{Channel, ClientTlsConfig};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A control plane that is gone without a word is found out within twice this.
const PING_EVERY: Duration = Duration::from_secs(5);
/// How long a failing one is left alone, at first and at most. Short: while it is the only one, what only it knows is refused.
const LEFT_ALONE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How long one that failed is tried by one call alone.
const TRIAL: Duration = Duration::from_secs(5);

/// A control URL that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the control URL {url:?} can't be used: {reason}; write for example https://lychgate.example.com")]
pub struct ControlUrlError {
    url: String,
    reason: String,
}

/// One control plane.
pub(super) struct Endpoint {
    pub(super) url: Box<str>,
    client: LinkClient<Channel>,
    in_flight: AtomicUsize,
    trouble: Mutex<Option<Trouble>>,
}

/// What is known of one that failed last.
struct Trouble {
    backoff: Backoff,
    until: Instant,
    why: String,
}

impl Endpoint {
    /// Prepares the connection to `url` (`http` or `https`, no path). Needs a Tokio runtime; asks nobody yet.
    pub(super) fn new(url: &str) -> Result<Self, ControlUrlError> {
        let refuse = |reason: &str| ControlUrlError {
            url: without_userinfo(url),
            reason: reason.to_owned(),
        };
        let uri: http::Uri = url.parse().map_err(|_| refuse("it is not a URL"))?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(refuse("it starts neither with https:// nor with http://")),
        };
        if uri.authority().is_none_or(|authority| authority.as_str().contains('@')) {
            return Err(refuse("it needs a host and takes no user name or password"));
        }
        if !matches!(uri.path(), "" | "/") || uri.query().is_some() {
            return Err(refuse("it takes no path and no query"));
        }
        let mut endpoint = tonic::transport::Endpoint::from(uri)
            .connect_timeout(CONNECT_TIMEOUT)
            .tcp_nodelay(true)
            .http2_keep_alive_interval(PING_EVERY)
            .keep_alive_timeout(PING_EVERY)
            .keep_alive_while_idle(true);
        if https {
            let tls = ClientTlsConfig::new().with_native_roots();
            endpoint = endpoint
                .tls_config(tls)
                .map_err(|_| refuse("TLS can't be set up: are the system's CA certificates installed?"))?;
        }
        let client = LinkClient::new(endpoint.connect_lazy())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES);
        Ok(Self {
            url: url.into(),
            client,
            in_flight: AtomicUsize::new(0),
            trouble: Mutex::default(),
        })
    }

    /// The connection, for one call.
    pub(super) fn client(&self) -> LinkClient<Channel> {
        self.client.clone()
    }

    /// Calls that are not answered yet.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Counts a call in.
    pub(super) fn enter(self: &Arc<Self>) -> Flight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        Flight(Arc::clone(self))
    }

    /// Whether it may be asked now.
    pub(super) fn is_open(&self) -> bool {
        self.open_at().is_none_or(|at| at <= Instant::now())
    }

    /// From when on it may be asked again; `None`: it works.
    pub(super) fn open_at(&self) -> Option<Instant> {
        self.trouble().as_ref().map(|trouble| trouble.until)
    }

    /// Why it is left alone, if it is.
    pub(super) fn why(&self) -> Option<String> {
        self.trouble().as_ref().map(|trouble| trouble.why.clone())
    }

    /// It is about to be asked: where it failed last, others wait for what becomes of this call.
    pub(super) fn try_out(&self) {
        if let Some(trouble) = self.trouble().as_mut() {
            trouble.until = trouble.until.max(Instant::now() + TRIAL);
        }
    }

    /// It answered.
    pub(super) fn worked(&self) {
        *self.trouble() = None;
    }

    /// It could not be reached, or its connection broke.
    pub(super) fn failed(&self, why: &str, ambient: &Ambient) {
        let mut known = self.trouble();
        let mut backoff = known
            .take()
            .map_or(Backoff::new(LEFT_ALONE.0, LEFT_ALONE.1), |trouble| trouble.backoff);
        let until = Instant::now() + backoff.next(ambient);
        *known = Some(Trouble {
            backoff,
            until,
            why: why.to_owned(),
        });
    }

    fn trouble(&self) -> MutexGuard<'_, Option<Trouble>> {
        self.trouble.lock()
    }
}

/// A call's presence.
pub(super) struct Flight(Arc<Endpoint>);

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

fn without_userinfo(url: &str) -> String {
    match (url.find("://"), url.rfind('@')) {
        (Some(scheme), Some(at)) if at > scheme => format!("{}…{}", &url[..scheme + 3], &url[at..]),
        _ => url.to_owned(),
    }
}
