//! The conversation, in the product's own types.

use crate::version::{ProtocolVersion, VersionRefusal};
use async_trait::async_trait;
use futures_util::stream::BoxStream;
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::policy::ProviderPolicy;
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::{ProviderSecret, SecretHash};
use lychgate_types::{InterceptionId, Name, ProviderId, ProviderKeyId, ReplicaId, RouteId};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A replica's side of the conversation with a control plane. Whoever holds one has already been given a credential for it
/// (the gateway key, or, in process, the control plane's own standing).
#[async_trait]
pub trait ControlLink: Send + Sync + std::fmt::Debug + 'static {
    /// Opens the long stream: down come the whole configuration and then changes, up go heartbeats whenever the watched
    /// value changes and at least every ten seconds. Dropping the attachment detaches.
    async fn attach(&self, hello: Hello, heartbeats: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError>;

    /// Asks what the holder of the token with this hash may do.
    async fn authorize(&self, token: SecretHash) -> Result<Authorization, LinkError>;

    /// Hands records over. An answer means that they are committed (or set aside for ever, see [`Receipt::rejected`]);
    /// handing the same ones over again changes nothing.
    async fn deliver(&self, replica: ReplicaId, records: Vec<Arc<InterceptionRecord>>) -> Result<Receipt, LinkError>;
}

/// An open attachment. The stream's end without a [`Down::Close`] is a lost connection.
pub struct Attachment {
    /// What the control plane sends, in order; the first item is [`Down::Configuration`].
    pub events: BoxStream<'static, Result<Down, LinkError>>,
}

impl std::fmt::Debug for Attachment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Attachment")
    }
}

/// How a replica introduces itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hello {
    /// Made at process start.
    pub replica_id: ReplicaId,
    /// Host name by default.
    pub name: String,
    /// The product's version.
    pub version: String,
    /// The link protocol's version.
    pub protocol: ProtocolVersion,
    /// Where clients reach it, `host:port`.
    pub address: String,
    /// The operator's own labels.
    pub labels: BTreeMap<String, String>,
}

/// What a replica tells of itself while attached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Heartbeat {
    /// Records not yet acknowledged.
    pub spool_depth: u64,
    /// Client requests being served.
    pub in_flight: u64,
    /// [`Configuration::version`] in force; 0 before the first.
    pub configuration_version: u64,
}

/// What comes down the attachment.
#[derive(Debug, Clone)]
pub enum Down {
    /// The whole configuration, at the start and after each change.
    Configuration(Arc<Configuration>),
    /// Tokens that must not be believed any longer, whatever their lease says.
    TokensRevoked(Vec<SecretHash>),
    /// The control plane closes this attachment; the stream ends after it.
    Close(CloseReason),
}

/// Why the control plane closed an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The gateway key was deleted.
    KeyRevoked,
    /// The gateway key's time is over.
    KeyExpired,
    /// The control plane is stopping: attach elsewhere or again.
    ShuttingDown,
}

/// All that a replica needs to know to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Grows with every change.
    pub version: u64,
    /// Whether prompts, tool arguments and thoughts are recorded; counts always are.
    pub capture_content: bool,
    /// The providers that this replica may use, disabled ones too (their requests are answered with a clear error).
    pub providers: Vec<ProviderConfig>,
    /// Where requests for certain models go instead; the first one that fits counts.
    pub routes: Vec<RouteConfig>,
}

/// Where requests to one provider for certain models go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteConfig {
    /// Its id.
    pub id: RouteId,
    /// The provider that the client addressed.
    pub provider: ProviderId,
    /// The model asked for: its exact name, or a beginning followed by `*`.
    pub model: String,
    /// One of these is drawn by weight; the others are tried after it, heaviest first.
    pub targets: Vec<RouteTarget>,
    /// Tried in this order when no target answered well.
    pub fallbacks: Vec<RouteTarget>,
}

/// One place where a request may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTarget {
    /// A provider of the same wire family.
    pub provider: ProviderId,
    /// The model to ask for there; `None` keeps the client's.
    pub model: Option<String>,
    /// Its share among the targets, at least 1; without meaning among fallbacks.
    pub weight: u32,
}

/// One provider.
#[derive(Debug, Clone)]
pub struct ProviderConfig {
    /// Its id.
    pub id: ProviderId,
    /// The path segment after `/ai/`.
    pub name: Name,
    /// Its wire family.
    pub provider_type: ProviderType,
    /// Absolute `http` or `https` URL without query; the path is kept in front of the API's own.
    pub base_url: String,
    /// Whether requests may go there.
    pub enabled: bool,
    /// Whether it may live on a loopback, private or link-local address.
    pub allow_private: bool,
    /// Retries, deadlines, breaker.
    pub policy: ProviderPolicy,
    /// The central keys, in the operator's order.
    pub keys: Vec<ProviderKeyConfig>,
}

/// One central key of a provider.
#[derive(Debug, Clone)]
pub struct ProviderKeyConfig {
    /// Its id, for logs and metrics.
    pub id: ProviderKeyId,
    /// The secret.
    pub secret: ProviderSecret,
}

impl PartialEq for ProviderKeyConfig {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.secret.expose() == other.secret.expose()
    }
}
impl Eq for ProviderKeyConfig {}

impl PartialEq for ProviderConfig {
    fn eq(&self, other: &Self) -> bool {
        (self.id, &self.name, self.provider_type, &self.base_url)
            == (other.id, &other.name, other.provider_type, &other.base_url)
            && (self.enabled, self.allow_private, &self.policy, &self.keys)
                == (other.enabled, other.allow_private, &other.policy, &other.keys)
    }
}
impl Eq for ProviderConfig {}

/// The answer to a token hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authorization {
    /// The token is good.
    Known {
        /// Whether its holder may send AI requests.
        may_send_requests: bool,
        /// How long the replica may go on believing this.
        lease: Duration,
    },
    /// The token is not good.
    Denied {
        /// Why.
        reason: DenyReason,
        /// How long the replica may go on refusing without asking again.
        lease: Duration,
    },
}

/// Why a token is not good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenyReason {
    /// No such token.
    Unknown,
    /// Its time is over.
    Expired,
    /// It was revoked.
    Revoked,
    /// Its user is suspended or deleted.
    Suspended,
}

/// What became of a batch.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Receipt {
    /// Records that can never be taken: set them aside, do not send them again.
    pub rejected: Vec<Rejected>,
}

/// A record that can't be taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Which.
    pub id: InterceptionId,
    /// Why, for the replica's log.
    pub reason: String,
}

/// Why the conversation failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// The control plane could not be reached, or the connection broke. Try again.
    #[error("the control plane can't be reached: {0}")]
    Unreachable(String),
    /// The control plane refused the gateway key or the version. Trying again at once is useless.
    #[error("the control plane refused this replica: {0}")]
    Refused(RefusalReason),
    /// The control plane failed inside. Try again later.
    #[error("the control plane had an internal error (request {request_id})")]
    Internal {
        /// Names the failure in the control plane's log; empty where unknown.
        request_id: String,
    },
}

/// Why a replica is not let in.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefusalReason {
    /// Not a gateway key at all, or a mistyped one.
    #[error("the gateway key is malformed: {0}")]
    KeyMalformed(String),
    /// No such key (any more).
    #[error("the gateway key is unknown: it was deleted, or belongs to another deployment")]
    KeyUnknown,
    /// The key was deleted while this replica was attached.
    #[error("the gateway key was revoked")]
    KeyRevoked,
    /// The key's time is over.
    #[error("the gateway key has expired")]
    KeyExpired,
    /// Too many bad attempts from this address.
    #[error("too many failed attempts; wait before trying again")]
    TooManyAttempts,
    /// The versions do not fit.
    #[error("{0}")]
    Version(#[from] VersionRefusal),
}
