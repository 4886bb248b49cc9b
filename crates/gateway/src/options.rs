//! What an operator can set.

use crate::snapshot::OfflineStart;
use crate::upstream::proxy::OutboundProxy;
use crate::upstream::tls_roots::CaCertificates;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// How a gateway runs. [`Options::new`] gives the defaults.
#[derive(Debug, Clone)]
pub struct Options {
    /// What this replica is called in listings; host name by default.
    pub name: String,
    /// Where clients reach it, `host:port`.
    pub address: String,
    /// The product's version.
    pub version: String,
    /// The operator's own labels.
    pub labels: BTreeMap<String, String>,
    /// Largest request body, in bytes.
    pub body_limit: usize,
    /// Longest wait for the next piece of a request body.
    pub body_idle_timeout: Duration,
    /// Longest time for a whole request body.
    pub body_timeout: Duration,
    /// CA certificates that providers are believed by, beside the system's.
    pub provider_cas: CaCertificates,
    /// Proxies that providers are reached through.
    pub proxy: OutboundProxy,
    /// How far a provider's answer is read on when its client has left.
    pub drain_limits: DrainLimits,
    /// How long requests are taken while the control plane is away.
    pub max_offline: Duration,
    /// What a start without a control plane takes; `None`: such a replica stays unready.
    pub offline: Option<OfflineStart>,
    /// Requests served at the same time, streams included; more are refused.
    pub max_requests: u64,
    /// Where records wait for delivery.
    pub spool: SpoolOptions,
}

/// Bounds of reading on for nobody's sake but the books'.
#[derive(Debug, Clone, Copy)]
pub struct DrainLimits {
    /// Most bytes.
    pub bytes: usize,
    /// Longest time.
    pub time: Duration,
}

/// Where records wait until the control plane has acknowledged them, and how much may wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolOptions {
    /// A directory for this process alone; made where it is missing.
    pub directory: PathBuf,
    /// Most bytes on disk.
    pub max_bytes: u64,
    /// What records survive.
    pub sync: SpoolSync,
    /// What becomes of requests when there is no room for their records.
    pub when_full: SpoolFull,
}

lychgate_types::text_enum! {
    /// What records survive.
    #[derive(Default)]
    SpoolSync {
        /// The end of the process at once; a loss of power but for the last 100 ms.
        #[default]
        Interval = "interval",
        /// A loss of power too: the end of an answer waits for the disk.
        Always = "always",
    }

    /// What becomes of requests when there is no room for their records.
    #[derive(Default)]
    SpoolFull {
        /// They are refused: nothing is relayed unrecorded.
        #[default]
        Refuse = "refuse",
        /// They go on, and are counted.
        Unrecorded = "unrecorded",
    }
}

impl SpoolOptions {
    /// The defaults, in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            max_bytes: 1 << 30,
            sync: SpoolSync::default(),
            when_full: SpoolFull::default(),
        }
    }
}

impl Options {
    /// The defaults, for a replica of this name, address (`host:port`) and product version.
    pub fn new(name: impl Into<String>, address: impl Into<String>, version: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            address: address.into(),
            version: version.into(),
            labels: BTreeMap::new(),
            body_limit: 32 << 20,
            body_idle_timeout: Duration::from_secs(30),
            body_timeout: Duration::from_secs(300),
            provider_cas: CaCertificates::default(),
            proxy: OutboundProxy::default(),
            drain_limits: DrainLimits {
                bytes: 1 << 20,
                time: Duration::from_secs(30),
            },
            max_offline: Duration::from_secs(15 * 60),
            offline: None,
            max_requests: 10_000,
            spool: SpoolOptions::new("./lychgate-spool"),
        }
    }
}
