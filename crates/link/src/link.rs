//! The conversation, in the product's own types.

use crate::record::EncodedRecord;
use crate::version::{ProtocolVersion, VersionRefusal};
use async_trait::async_trait;
use futures_util::stream::BoxStream;
use lychgate_types::policy::ProviderPolicy;
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::{ProviderSecret, SecretHash, SpoolKey};
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
    /// value changes and at least every ten seconds. Dropping the attachment detaches; so does the end of the heartbeats, after
    /// which the stream ends: whoever waits for that knows that the last one was heard.
    async fn attach(&self, hello: Hello, heartbeats: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError>;

    /// Returns once the credential is another than the one that was shown when attaching last: it is time for an attachment
    /// that shows the new one. The old one is to be dropped only after that. By default never.
    async fn renewed(&self) {
        std::future::pending::<()>().await;
    }

    /// Asks what the holder of the token with this hash may do.
    async fn authorize(&self, token: SecretHash) -> Result<Authorization, LinkError>;

    /// Hands records over. An answer means that they are committed (or set aside for ever, see [`Receipt::rejected`]);
    /// handing the same ones over again changes nothing.
    async fn deliver(&self, replica: ReplicaId, records: Vec<EncodedRecord>) -> Result<Receipt, LinkError>;
}

/// An open attachment. The stream's end without a [`Message::Close`] is a lost connection.
pub struct Attachment {
    /// What the control plane sends, in order; the first item is [`Message::Configuration`].
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
    /// [`Down::sequence`] of the last message applied, on whatever attachment it came; 0 before the first. Where the control
    /// plane can tell all revocations since, leases stay good (`resumed` in [`Message::Configuration`]).
    pub resume_after: u64,
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
    /// Whether it takes no new requests ([`Message::Drain`], or its process is ending).
    pub draining: bool,
    /// Records that nobody could take and that lie aside, for an operator to look at.
    pub set_aside: u64,
}

/// What comes down the attachment, with its place in the feed of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    /// The sequence number that this message continues from. A replica that stands elsewhere has missed one: it forgets its
    /// leases and attaches anew. Without meaning in the first message of an attachment that is not resumed, and in a close.
    pub after: u64,
    /// The sequence number that this message brings the replica to.
    pub sequence: u64,
    /// What is said.
    pub message: Message,
}

/// What a control plane says to an attached replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The whole configuration, at the start and after each change.
    Configuration {
        /// The same for all replicas of a gateway key.
        configuration: Arc<Configuration>,
        /// In the first one of an attachment: whether the replica's leases are still good, but for those revoked by what
        /// follows. Else all are to be forgotten. Without meaning in later ones.
        resumed: bool,
        /// What the replica seals its spool with. It belongs to the gateway key, and stays when its secret is rotated.
        spool_key: SpoolKey,
    },
    /// Tokens that must not be believed any longer, whatever their lease says.
    TokensRevoked(Vec<SecretHash>),
    /// Take no new requests, finish those in flight, stay attached.
    Drain,
    /// Something that this version does not know: passed over, but for its place in the feed.
    Unknown,
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
    /// The gateway key was rotated, and the time of the secret that this replica showed is over.
    KeyRotated,
    /// The gateway key was disabled; it may be enabled again.
    KeyDisabled,
    /// The gateway key no longer lets in from this replica's address.
    SourceNotAllowed,
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

impl From<Message> for Down {
    /// A message outside the feed's order, as a close is.
    fn from(message: Message) -> Self {
        Self {
            after: 0,
            sequence: 0,
            message,
        }
    }
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
    /// The secret was replaced by another.
    #[error("the gateway key was rotated; give this replica the new secret")]
    KeyRotated,
    /// The key was disabled.
    #[error("the gateway key is disabled")]
    KeyDisabled,
    /// The key lets in from certain addresses only.
    #[error("the gateway key does not let in from this address")]
    SourceNotAllowed,
    /// A reason of a newer control plane, in its words.
    #[error("{0}")]
    Other(String),
    /// Too many bad attempts from this address.
    #[error("too many failed attempts; wait before trying again")]
    TooManyAttempts,
    /// The versions do not fit.
    #[error("{0}")]
    Version(#[from] VersionRefusal),
}
