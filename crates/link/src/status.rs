//! [`LinkError`] as a gRPC status and back. The reason is a word in the `lychgate-reason` metadata, not parsed from text.

use crate::convert::BadMessage;
use crate::link::{LinkError, RefusalReason};
use crate::version::{ProtocolVersion, VersionRefusal};
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

const REASON: &str = "lychgate-reason";
const REQUEST_ID: &str = "lychgate-request-id";
const REPLICA_VERSION: &str = "lychgate-replica-protocol";
const CONTROL_PLANE_VERSION: &str = "lychgate-control-plane-protocol";

impl From<LinkError> for Status {
    fn from(error: LinkError) -> Self {
        let text = match &error {
            // The reason's own words travel, without the sentence around them, so that they are not said twice.
            LinkError::Unreachable(why) => why.clone(),
            error => error.to_string(),
        };
        let mut metadata = MetadataMap::new();
        let code = match error {
            LinkError::Unreachable(_) => Code::Unavailable,
            LinkError::Internal { request_id } => {
                put(&mut metadata, REQUEST_ID, &request_id);
                Code::Internal
            }
            LinkError::Refused(reason) => {
                put(&mut metadata, REASON, word(&reason));
                if let RefusalReason::Version(refusal) = &reason {
                    let (VersionRefusal::UpgradeControlPlane { replica, control_plane }
                    | VersionRefusal::UpgradeReplica { replica, control_plane }) = refusal;
                    put(&mut metadata, REPLICA_VERSION, &replica.to_string());
                    put(&mut metadata, CONTROL_PLANE_VERSION, &control_plane.to_string());
                }
                match &reason {
                    RefusalReason::TooManyAttempts => Code::ResourceExhausted,
                    RefusalReason::Version(_) => Code::FailedPrecondition,
                    // Likewise.
                    RefusalReason::KeyMalformed(detail) => {
                        return Self::with_metadata(Code::Unauthenticated, detail.clone(), metadata);
                    }
                    RefusalReason::Other(words) => {
                        return Self::with_metadata(Code::PermissionDenied, words.clone(), metadata);
                    }
                    RefusalReason::SourceNotAllowed => Code::PermissionDenied,
                    RefusalReason::KeyUnknown
                    | RefusalReason::KeyRevoked
                    | RefusalReason::KeyExpired
                    | RefusalReason::KeyRotated
                    | RefusalReason::KeyDisabled => Code::Unauthenticated,
                }
            }
        };
        Self::with_metadata(code, text, metadata)
    }
}

impl From<BadMessage> for Status {
    fn from(error: BadMessage) -> Self {
        Self::invalid_argument(error.to_string())
    }
}

impl From<BadMessage> for LinkError {
    fn from(error: BadMessage) -> Self {
        Self::Unreachable(error.to_string())
    }
}

/// Reads a status that a control plane (or whatever answers in its place) sent.
pub(crate) fn read_status(status: &Status) -> LinkError {
    let metadata = status.metadata();
    let text = |key: &str| {
        metadata
            .get(key)
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default()
    };
    match text(REASON) {
        "key_malformed" => LinkError::Refused(RefusalReason::KeyMalformed(status.message().to_owned())),
        "key_unknown" => LinkError::Refused(RefusalReason::KeyUnknown),
        "key_revoked" => LinkError::Refused(RefusalReason::KeyRevoked),
        "key_expired" => LinkError::Refused(RefusalReason::KeyExpired),
        "key_rotated" => LinkError::Refused(RefusalReason::KeyRotated),
        "key_disabled" => LinkError::Refused(RefusalReason::KeyDisabled),
        "source_not_allowed" => LinkError::Refused(RefusalReason::SourceNotAllowed),
        "too_many_attempts" => LinkError::Refused(RefusalReason::TooManyAttempts),
        "version" => match (version(text(REPLICA_VERSION)), version(text(CONTROL_PLANE_VERSION))) {
            (Some(replica), Some(control_plane)) => match control_plane.accepts(replica) {
                Err(refusal) => LinkError::Refused(refusal.into()),
                Ok(()) => LinkError::Unreachable(status.message().to_owned()),
            },
            _ => LinkError::Unreachable(status.message().to_owned()),
        },
        // A word of a newer control plane. A status without one may be that of a proxy in between, and says nothing of the key.
        word if !word.is_empty() => LinkError::Refused(RefusalReason::Other(status.message().to_owned())),
        _ if status.code() == Code::Internal && metadata.get(REQUEST_ID).is_some() => LinkError::Internal {
            request_id: text(REQUEST_ID).to_owned(),
        },
        _ if status.code() == Code::Unimplemented => {
            LinkError::Unreachable("what answers at this URL is not a Lychgate control plane".to_owned())
        }
        _ => LinkError::Unreachable(reason_of(status)),
    }
}

/// The innermost cause says more ("connection refused") than gRPC's own words ("transport error").
fn reason_of(status: &Status) -> String {
    let mut innermost: Option<&dyn std::error::Error> = std::error::Error::source(status);
    while let Some(next) = innermost.and_then(std::error::Error::source) {
        innermost = Some(next);
    }
    innermost.map_or_else(|| status.message().to_owned(), ToString::to_string)
}

fn word(reason: &RefusalReason) -> &'static str {
    match reason {
        RefusalReason::KeyMalformed(_) => "key_malformed",
        RefusalReason::KeyUnknown => "key_unknown",
        RefusalReason::KeyRevoked => "key_revoked",
        RefusalReason::KeyExpired => "key_expired",
        RefusalReason::KeyRotated => "key_rotated",
        RefusalReason::KeyDisabled => "key_disabled",
        RefusalReason::SourceNotAllowed => "source_not_allowed",
        RefusalReason::Other(_) => "other",
        RefusalReason::TooManyAttempts => "too_many_attempts",
        RefusalReason::Version(_) => "version",
    }
}

fn version(text: &str) -> Option<ProtocolVersion> {
    let (major, minor) = text.split_once('.')?;
    Some(ProtocolVersion {
        major: major.parse().ok()?,
        minor: minor.parse().ok()?,
    })
}

fn put(metadata: &mut MetadataMap, key: &'static str, value: &str) {
    if let Ok(value) = MetadataValue::try_from(value) {
        metadata.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::read_status;
    use crate::{LinkError, ProtocolVersion, RefusalReason, VersionRefusal};

    #[test]
    fn every_error_comes_back_as_it_went() {
        let v = |major, minor| ProtocolVersion { major, minor };
        let errors = [
            LinkError::Internal {
                request_id: "r1".into(),
            },
            LinkError::Refused(RefusalReason::KeyMalformed("it was cut".into())),
            LinkError::Refused(RefusalReason::KeyUnknown),
            LinkError::Refused(RefusalReason::KeyRevoked),
            LinkError::Refused(RefusalReason::KeyExpired),
            LinkError::Refused(RefusalReason::KeyRotated),
            LinkError::Refused(RefusalReason::KeyDisabled),
            LinkError::Refused(RefusalReason::SourceNotAllowed),
            LinkError::Refused(RefusalReason::Other("the moon is wrong".into())),
            LinkError::Refused(RefusalReason::TooManyAttempts),
            LinkError::Refused(
                VersionRefusal::UpgradeReplica {
                    replica: v(1, 9),
                    control_plane: v(2, 0),
                }
                .into(),
            ),
            LinkError::Refused(
                VersionRefusal::UpgradeControlPlane {
                    replica: v(1, 9),
                    control_plane: v(1, 0),
                }
                .into(),
            ),
        ];
        for error in errors {
            assert_eq!(read_status(&error.clone().into()), error);
        }
    }
}
