//! What an operator can set.

use crate::access_log::AccessLog;
use crate::body_budget::BodyBudgetLimits;
use crate::cors::CorsOrigin;
use crate::snapshot::OfflineStart;
use crate::spool::SpoolOptions;
use crate::upstream::proxy::OutboundProxy;
use crate::upstream::tls_roots::CaCertificates;
use lychgate_link::places::PlaceLimits;
use lychgate_types::Cidr;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

/// Largest body of a request, unless something else is set.
const BODY_BYTES: usize = 32 << 20;
/// Largest head of an HTTP/1.1 request, and largest piece of a body that is read at once, unless something else is set.
pub(crate) const HEAD_BYTES: usize = 256 << 10;

/// How a gateway runs. [`Options::new`] gives the defaults.
#[derive(Debug, Clone)]
pub struct Options {
    /// What this replica is called in listings; the host name by default.
    pub name: String,
    /// Where clients reach it, `host:port`.
    pub address: String,
    /// The product's version.
    pub version: String,
    /// The operator's own labels.
    pub labels: BTreeMap<String, String>,
    /// Largest request body, in bytes.
    pub body_limit: usize,
    /// Largest head of a request, in bytes; over HTTP/2 at most 64 KiB.
    pub head_limit: usize,
    /// Origins whose pages may call from a browser.
    pub cors: Vec<CorsOrigin>,
    /// Longest wait for the next part of a request body.
    pub body_idle_timeout: Duration,
    /// Longest time for a whole request body.
    pub body_timeout: Duration,
    /// Bytes of request bodies that are held at the same time.
    pub body_budget: BodyBudgetLimits,
    /// Requests refused before their token is known whose bodies are read on over HTTP/1.1, so that their clients get to read why.
    pub refused_bodies: PlaceLimits,
    /// CA certificates for verifying providers, in addition to the system's.
    pub provider_cas: CaCertificates,
    /// Proxies that providers are reached through.
    pub proxy: OutboundProxy,
    /// How far a provider's answer is read on after its client has disconnected.
    pub drain_limits: DrainLimits,
    /// What is read of a response in the background before it is deleted.
    pub last_look: DrainLimits,
    /// How long requests are accepted while the control plane can't be reached.
    pub max_offline: Duration,
    /// What a start without a control plane needs; with `None`, the replica stays unready until it reaches one.
    pub offline: Option<OfflineStart>,
    /// Most requests in flight whose token is known, streams included; more are refused.
    pub max_requests: u64,
    /// Where records wait for delivery.
    pub spool: SpoolOptions,
    /// Proxies before the listener, whose word for a client's address is taken.
    pub trusted_proxies: Arc<[Cidr]>,
    /// Tells of each request.
    pub access_log: Option<AccessLog>,
}

/// Limits for reading an answer on after its client has disconnected, only to record its usage.
#[derive(Debug, Clone, Copy)]
pub struct DrainLimits {
    /// Most bytes.
    pub bytes: usize,
    /// Longest time.
    pub time: Duration,
}

impl Options {
    /// The defaults, for a replica of this name, address (`host:port`) and product version.
    pub fn new(name: impl Into<String>, address: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            address: address.into(),
            version: version.into(),
            labels: BTreeMap::new(),
            body_limit: BODY_BYTES,
            head_limit: HEAD_BYTES,
            cors: Vec::new(),
            body_idle_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(300),
            body_budget: BodyBudgetLimits::holding(BODY_BYTES),
            refused_bodies: PlaceLimits { all: 256, one: 128 },
            provider_cas: CaCertificates::default(),
            proxy: OutboundProxy::default(),
            drain_limits: DrainLimits {
                bytes: 1 << 20,
                time: Duration::from_secs(30),
            },
            last_look: DrainLimits {
                bytes: 8 << 20,
                time: Duration::from_secs(10),
            },
            max_offline: Duration::from_secs(15 * 60),
            offline: None,
            max_requests: 10_000,
            spool: SpoolOptions::new("./lychgate-spool"),
            trusted_proxies: Arc::default(),
            access_log: None,
        }
    }
}
