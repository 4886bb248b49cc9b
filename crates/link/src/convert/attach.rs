//! What goes up and down an attachment.

use crate::convert::configuration::{read_configuration, read_spool_key};
use crate::field::{BadMessage, id_bytes, read_hash, read_id};
use crate::generated as wire;
use crate::link::{CloseReason, Down, Heartbeat, Hello, Message};
use crate::version::ProtocolVersion;
use lychgate_types::secret::SpoolKeys;
use lychgate_types::{GatewayKeyId, ReplicaId, Timestamp};
use std::sync::Arc;

/// [`CloseReason::ShuttingDown`] on the wire; the other reasons are refusals, by their own names.
const SHUTTING_DOWN: &str = "shutting_down";

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
            sent_at: beat.sent_at.map(Timestamp::as_micros),
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
            sent_at: beat.sent_at.map(Timestamp::from_micros),
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
                spool_keys,
            } => Some(Wire::Configuration(wire::Configuration {
                resumed,
                spool_key: spool_keys.own.expose().to_vec(),
                gateway_key_id: spool_keys
                    .gateway_key
                    .map_or_else(Vec::new, |key| id_bytes(key.as_uuid())),
                replaced_spool_keys: spool_keys.replaced.iter().map(|key| key.expose().to_vec()).collect(),
                ..configuration.as_ref().into()
            })),
            Message::TokensRevoked(hashes) => Some(Wire::TokensRevoked(wire::TokensRevoked {
                token_hashes: hashes.iter().map(|hash| hash.as_bytes().to_vec()).collect(),
            })),
            Message::Drain => Some(Wire::Drain(wire::Drain {})),
            Message::Close(reason) => Some(Wire::Close(wire::Close {
                reason: match reason {
                    CloseReason::ShuttingDown => SHUTTING_DOWN.to_owned(),
                    CloseReason::Refused(refusal) => refusal.as_str().to_owned(),
                },
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
                spool_keys: SpoolKeys {
                    gateway_key: match &configuration.gateway_key_id[..] {
                        [] => None,
                        id => Some(GatewayKeyId::from_uuid(read_id(id, "configuration.gateway_key_id")?)),
                    },
                    own: read_spool_key(std::mem::take(&mut configuration.spool_key))?,
                    replaced: std::mem::take(&mut configuration.replaced_spool_keys)
                        .into_iter()
                        .map(read_spool_key)
                        .collect::<Result<_, _>>()?,
                },
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
            Some(Wire::Close(close)) => read_close(&close.reason),
            None => Message::Unknown,
        };
        Ok(Self {
            after: down.after,
            sequence: down.sequence,
            message,
        })
    }
}

/// A reason that this version does not know is ignored: the next attempt to attach is refused with an explanation.
fn read_close(reason: &str) -> Message {
    match reason.parse() {
        _ if reason == SHUTTING_DOWN => Message::Close(CloseReason::ShuttingDown),
        Ok(refusal) => Message::Close(CloseReason::Refused(refusal)),
        Err(_) => Message::Unknown,
    }
}
