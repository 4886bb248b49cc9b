//! The conversation between a replica and a control plane, in the product's own types.

use crate::configuration::Configuration;
use crate::error::LinkError;
use crate::record::EncodedRecord;
use crate::version::ProtocolVersion;
use async_trait::async_trait;
use futures_util::stream::BoxStream;
use lychgate_types::secret::{SecretHash, SpoolKeys};
use lychgate_types::{Holder, InterceptionId, KeyRefusal, ReplicaId, StoredObject, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// A replica's side of the conversation with a control plane. Its holder already has a credential for it: the gateway key or,
/// in process, the control plane's own identity.
#[async_trait]
pub trait ControlLink: Send + Sync + std::fmt::Debug + 'static {
    /// Opens the long stream. Down come the whole configuration and then changes; up go heartbeats, whenever the watched value
    /// changes and at least every ten seconds. Dropping the attachment detaches. So does dropping the heartbeats' sender: the
    /// stream then ends, and its end confirms that the last heartbeat was received.
    async fn attach(&self, hello: Hello, heartbeats: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError>;

    /// Returns once the credential differs from the one shown at the last attach: it is time for an attachment with the new
    /// one. The old attachment should be dropped only after that. By default never returns.
    async fn renewed(&self) {
        std::future::pending::<()>().await;
    }

    /// Asks what the holder of the token with this hash may do.
    async fn authorize(&self, token: SecretHash) -> Result<Authorization, LinkError>;

    /// Asks what is known of the objects that providers store under these ids, as seen from the user of this token; at most
    /// [`crate::limits::OWNED_OBJECTS`]. The answers have their order.
    async fn owns(&self, token: SecretHash, objects: &[String]) -> Result<Vec<StoredObject>, LinkError>;

    /// Delivers records. Success means that they are committed (or rejected for good, see [`Receipt::rejected`]); delivering
    /// the same ones again changes nothing.
    async fn deliver(&self, replica: ReplicaId, records: Vec<EncodedRecord>) -> Result<Receipt, LinkError>;
}

/// An open attachment. A stream that ends without a [`Message::Close`] is a lost connection.
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
    /// [`Down::sequence`] of the last message applied, on any attachment; 0 before the first. If the control plane knows every
    /// revocation since, leases stay valid (`resumed` in [`Message::Configuration`]).
    pub resume_after: u64,
}

/// What a replica reports about itself while attached.
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
    /// Records that no control plane could take, kept aside for an operator to look at.
    pub set_aside: u64,
    /// When it was sent, by the replica's clock; `None` of an older replica. Control planes tell by it whether that clock is right.
    pub sent_at: Option<Timestamp>,
}

/// A message to a replica, with its position in the feed of changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Down {
    /// The sequence number that this message continues from. A replica at another position has missed a message: it forgets its
    /// leases and attaches again. Meaningless in a close, and in the first message of an attachment that is not resumed.
    pub after: u64,
    /// The sequence number that this message brings the replica to.
    pub sequence: u64,
    /// The message itself.
    pub message: Message,
}

/// What a control plane sends to an attached replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Message {
    /// The whole configuration, at the start and after each change.
    Configuration {
        /// The same for all replicas of a gateway key.
        configuration: Arc<Configuration>,
        /// In the first one of an attachment: whether the replica's leases are still valid, apart from those revoked by the
        /// messages that follow. If not, the replica forgets all of them. Meaningless in later ones.
        resumed: bool,
        /// What the replica seals and opens its spool with. They belong to the gateway key, and stay when the key's secret is rotated.
        spool_keys: SpoolKeys,
    },
    /// Tokens that are no longer valid, whatever their lease says.
    TokensRevoked(Vec<SecretHash>),
    /// Take no new requests, finish those in flight, stay attached.
    Drain,
    /// A message that this version does not know: ignored, except for its position in the feed.
    Unknown,
    /// The control plane closes this attachment; the stream ends after it.
    Close(CloseReason),
}

/// Why the control plane closed an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CloseReason {
    /// The control plane is stopping: attach elsewhere or again.
    ShuttingDown,
    /// The replica is no longer accepted.
    Refused(KeyRefusal),
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

/// The answer to a token hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Authorization {
    /// The token is valid.
    Known {
        /// Whether its holder may send AI requests.
        may_send_requests: bool,
        /// Stands for the user.
        holder: Holder,
        /// How long the replica may rely on this.
        lease: Duration,
    },
    /// The token is not valid.
    Denied {
        /// Why.
        reason: DenyReason,
        /// How long the replica may go on refusing without asking again.
        lease: Duration,
    },
}

/// Why a token is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DenyReason {
    /// No such token.
    Unknown,
    /// It has expired.
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
