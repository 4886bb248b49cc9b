//! Between the wire's messages and the product's types. What a peer sends is untrusted: each reading says what was wrong.
//!
//! Interception records have their own file, [`crate::record`].

use crate::generated as wire;
use crate::link::{
    Authorization, CloseReason, Configuration, DenyReason, Down, Heartbeat, Hello, Message, ProviderConfig,
    ProviderKeyConfig, Receipt, Rejected,
};
use crate::policy::{self as route, read_policy};
use crate::version::ProtocolVersion;
use lychgate_types::policy::ProviderPolicy;
use lychgate_types::secret::{ProviderSecret, SecretHash, SpoolKey};
use lychgate_types::{InterceptionId, Name, ProviderId, ProviderKeyId, ReplicaId};
use prost::Message as _;
use std::sync::Arc;
use std::time::Duration;
use uuid::Uuid;
use zeroize::Zeroizing;

/// A message that breaks the protocol: which field, in words for the peer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the link message's field `{0}` is missing or malformed")]
pub struct BadMessage(pub(crate) &'static str);

impl std::fmt::Debug for wire::ProviderKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProviderKey")
    }
}

impl std::fmt::Debug for wire::Configuration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Configuration")
    }
}

pub(crate) fn id_bytes(id: Uuid) -> Vec<u8> {
    id.into_bytes().to_vec()
}

pub(crate) fn read_id(bytes: &[u8], field: &'static str) -> Result<Uuid, BadMessage> {
    Uuid::from_slice(bytes).map_err(|_| BadMessage(field))
}

pub(crate) fn read_hash(bytes: &[u8], field: &'static str) -> Result<SecretHash, BadMessage> {
    bytes
        .try_into()
        .map(SecretHash::from_bytes)
        .map_err(|_| BadMessage(field))
}

impl From<Hello> for wire::Hello {
    fn from(hello: Hello) -> Self {
        Self {
            replica_id: id_bytes(hello.replica_id.as_uuid()),
            name: hello.name,
            version: hello.version,
            protocol_major: hello.protocol.major,
            protocol_minor: hello.protocol.minor,
            address: hello.address,
            labels: hello.labels.into_iter().collect(),
            resume_after: hello.resume_after,
        }
    }
}

impl TryFrom<wire::Hello> for Hello {
    type Error = BadMessage;
    fn try_from(hello: wire::Hello) -> Result<Self, BadMessage> {
        Ok(Self {
            replica_id: ReplicaId::from_uuid(read_id(&hello.replica_id, "hello.replica_id")?),
            name: hello.name,
            version: hello.version,
            protocol: ProtocolVersion {
                major: hello.protocol_major,
                minor: hello.protocol_minor,
            },
            address: hello.address,
            labels: hello.labels.into_iter().collect(),
            resume_after: hello.resume_after,
        })
    }
}

impl From<Heartbeat> for wire::Heartbeat {
    fn from(beat: Heartbeat) -> Self {
        Self {
            spool_depth: beat.spool_depth,
            in_flight: beat.in_flight,
            configuration_version: beat.configuration_version,
            draining: beat.draining,
            set_aside: beat.set_aside,
        }
    }
}

impl From<wire::Heartbeat> for Heartbeat {
    fn from(beat: wire::Heartbeat) -> Self {
        Self {
            spool_depth: beat.spool_depth,
            in_flight: beat.in_flight,
            configuration_version: beat.configuration_version,
            draining: beat.draining,
            set_aside: beat.set_aside,
        }
    }
}

impl From<Down> for wire::Down {
    fn from(down: Down) -> Self {
        use wire::down::Message as Wire;
        let message = match down.message {
            Message::Configuration {
                configuration,
                resumed,
                spool_key,
            } => Some(Wire::Configuration(wire::Configuration {
                resumed,
                spool_key: spool_key.expose().to_vec(),
                ..configuration.as_ref().into()
            })),
            Message::TokensRevoked(hashes) => Some(Wire::TokensRevoked(wire::TokensRevoked {
                token_hashes: hashes.iter().map(|hash| hash.as_bytes().to_vec()).collect(),
            })),
            Message::Drain => Some(Wire::Drain(wire::Drain {})),
            Message::Close(reason) => Some(Wire::Close(wire::Close {
                reason: close_to_wire(reason).into(),
            })),
            Message::Unknown => None,
        };
        Self {
            after: down.after,
            sequence: down.sequence,
            message,
        }
    }
}

impl TryFrom<wire::Down> for Down {
    type Error = BadMessage;
    fn try_from(down: wire::Down) -> Result<Self, BadMessage> {
        use wire::down::Message as Wire;
        let message = match down.message {
            Some(Wire::Configuration(mut configuration)) => Message::Configuration {
                resumed: configuration.resumed,
                spool_key: read_spool_key(std::mem::take(&mut configuration.spool_key))?,
                configuration: Arc::new(read_configuration(configuration)?),
            },
            Some(Wire::TokensRevoked(revoked)) => {
                let hashes = revoked
                    .token_hashes
                    .iter()
                    .map(|hash| read_hash(hash, "tokens_revoked.token_hashes"));
                Message::TokensRevoked(hashes.collect::<Result<_, _>>()?)
            }
            Some(Wire::Drain(wire::Drain {})) => Message::Drain,
            Some(Wire::Close(close)) => read_close(close.reason()).map_or(Message::Unknown, Message::Close),
            None => Message::Unknown,
        };
        Ok(Self {
            after: down.after,
            sequence: down.sequence,
            message,
        })
    }
}

const fn close_to_wire(reason: CloseReason) -> wire::close::Reason {
    match reason {
        CloseReason::KeyRevoked => wire::close::Reason::KeyRevoked,
        CloseReason::KeyExpired => wire::close::Reason::KeyExpired,
        CloseReason::ShuttingDown => wire::close::Reason::ShuttingDown,
        CloseReason::KeyRotated => wire::close::Reason::KeyRotated,
        CloseReason::KeyDisabled => wire::close::Reason::KeyDisabled,
        CloseReason::SourceNotAllowed => wire::close::Reason::SourceNotAllowed,
    }
}

/// `None` is a reason that this version does not know: the refusal of the next attachment will say it in words.
const fn read_close(reason: wire::close::Reason) -> Option<CloseReason> {
    Some(match reason {
        wire::close::Reason::KeyRevoked => CloseReason::KeyRevoked,
        wire::close::Reason::KeyExpired => CloseReason::KeyExpired,
        wire::close::Reason::ShuttingDown => CloseReason::ShuttingDown,
        wire::close::Reason::KeyRotated => CloseReason::KeyRotated,
        wire::close::Reason::KeyDisabled => CloseReason::KeyDisabled,
        wire::close::Reason::SourceNotAllowed => CloseReason::SourceNotAllowed,
        wire::close::Reason::Unspecified => return None,
    })
}

fn read_spool_key(bytes: Vec<u8>) -> Result<SpoolKey, BadMessage> {
    let bytes = Zeroizing::new(bytes);
    let bytes = bytes.as_slice().try_into();
    bytes
        .map(SpoolKey::from_bytes)
        .map_err(|_| BadMessage("configuration.spool_key"))
}

impl Configuration {
    /// As bytes, for a replica's own sealed snapshot. The providers' keys are in it.
    pub fn encode(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(wire::Configuration::from(self).encode_to_vec())
    }

    /// Reads what [`Self::encode`] made.
    pub fn decode(bytes: &[u8]) -> Result<Self, BadMessage> {
        read_configuration(wire::Configuration::decode(bytes).map_err(|_| BadMessage("configuration"))?)
    }
}

impl From<&Configuration> for wire::Configuration {
    fn from(configuration: &Configuration) -> Self {
        let provider = |provider: &ProviderConfig| wire::Provider {
            id: id_bytes(provider.id.as_uuid()),
            name: provider.name.as_str().to_owned(),
            r#type: provider.provider_type.as_str().to_owned(),
            base_url: provider.base_url.clone(),
            enabled: provider.enabled,
            allow_private: provider.allow_private,
            policy: Some(provider.policy.into()),
            keys: provider
                .keys
                .iter()
                .map(|key| wire::ProviderKey {
                    id: id_bytes(key.id.as_uuid()),
                    secret: key.secret.expose().to_owned(),
                })
                .collect(),
        };
        Self {
            version: configuration.version,
            capture_content: configuration.capture_content,
            providers: configuration.providers.iter().map(provider).collect(),
            routes: configuration.routes.iter().map(route::to_wire).collect(),
            ..Self::default()
        }
    }
}

fn read_configuration(configuration: wire::Configuration) -> Result<Configuration, BadMessage> {
    let mut providers = Vec::with_capacity(configuration.providers.len());
    for provider in configuration.providers {
        // A type of a newer control plane: this replica can't serve it, but serves the others.
        let Ok(provider_type) = provider.r#type.parse() else {
            tracing::warn!(
                provider = provider.name,
                "provider passed over: this replica does not know its type"
            );
            continue;
        };
        let key = |key: wire::ProviderKey| {
            Ok(ProviderKeyConfig {
                id: ProviderKeyId::from_uuid(read_id(&key.id, "provider.keys.id")?),
                secret: ProviderSecret::new(key.secret),
            })
        };
        providers.push(ProviderConfig {
            id: ProviderId::from_uuid(read_id(&provider.id, "provider.id")?),
            name: Name::parse(&provider.name).map_err(|_| BadMessage("provider.name"))?,
            provider_type,
            base_url: provider.base_url,
            enabled: provider.enabled,
            allow_private: provider.allow_private,
            policy: provider.policy.map_or_else(ProviderPolicy::default, read_policy),
            keys: provider.keys.into_iter().map(key).collect::<Result<_, _>>()?,
        });
    }
    Ok(Configuration {
        version: configuration.version,
        capture_content: configuration.capture_content,
        providers,
        routes: configuration
            .routes
            .into_iter()
            .map(route::from_wire)
            .collect::<Result<_, _>>()?,
    })
}

impl From<Authorization> for wire::AuthorizeResponse {
    fn from(authorization: Authorization) -> Self {
        use wire::authorize_response::Answer;
        let (answer, lease) = match authorization {
            Authorization::Known {
                may_send_requests,
                lease,
            } => (Answer::Known(wire::Known { may_send_requests }), lease),
            Authorization::Denied { reason, lease } => {
                let reason = match reason {
                    DenyReason::Unknown => wire::denied::Reason::Unknown,
                    DenyReason::Expired => wire::denied::Reason::Expired,
                    DenyReason::Revoked => wire::denied::Reason::Revoked,
                    DenyReason::Suspended => wire::denied::Reason::Suspended,
                };
                (Answer::Denied(wire::Denied { reason: reason.into() }), lease)
            }
        };
        Self {
            answer: Some(answer),
            lease_millis: u64::try_from(lease.as_millis()).unwrap_or(u64::MAX),
        }
    }
}

impl TryFrom<wire::AuthorizeResponse> for Authorization {
    type Error = BadMessage;
    fn try_from(response: wire::AuthorizeResponse) -> Result<Self, BadMessage> {
        use wire::authorize_response::Answer;
        let lease = Duration::from_millis(response.lease_millis);
        match response.answer {
            Some(Answer::Known(known)) => Ok(Self::Known {
                may_send_requests: known.may_send_requests,
                lease,
            }),
            Some(Answer::Denied(denied)) => {
                let reason = match denied.reason() {
                    wire::denied::Reason::Expired => DenyReason::Expired,
                    wire::denied::Reason::Revoked => DenyReason::Revoked,
                    wire::denied::Reason::Suspended => DenyReason::Suspended,
                    wire::denied::Reason::Unknown | wire::denied::Reason::Unspecified => DenyReason::Unknown,
                };
                Ok(Self::Denied { reason, lease })
            }
            None => Err(BadMessage("authorize_response.answer")),
        }
    }
}

impl From<Receipt> for wire::DeliverResponse {
    fn from(receipt: Receipt) -> Self {
        let rejected = |rejected: Rejected| wire::Rejected {
            id: id_bytes(rejected.id.as_uuid()),
            reason: rejected.reason,
        };
        Self {
            rejected: receipt.rejected.into_iter().map(rejected).collect(),
        }
    }
}

impl TryFrom<wire::DeliverResponse> for Receipt {
    type Error = BadMessage;
    fn try_from(response: wire::DeliverResponse) -> Result<Self, BadMessage> {
        let rejected = |rejected: wire::Rejected| {
            let id = InterceptionId::from_uuid(read_id(&rejected.id, "rejected.id")?);
            Ok(Rejected {
                id,
                reason: rejected.reason,
            })
        };
        Ok(Self {
            rejected: response.rejected.into_iter().map(rejected).collect::<Result<_, _>>()?,
        })
    }
}
