//! [`LinkError`] as a gRPC status and back. The reason of a refusal travels as its name in the `lychgate-reason` metadata; the
//! status' message is for people and never parsed.

use crate::error::{LinkError, Refusal};
use crate::field::BadMessage;
use lychgate_types::KeyRefusal;
use tonic::metadata::{MetadataMap, MetadataValue};
use tonic::{Code, Status};

const REASON: &str = "lychgate-reason";
const REQUEST_ID: &str = "lychgate-request-id";

impl From<LinkError> for Status {
    fn from(error: LinkError) -> Self {
        let mut metadata = MetadataMap::new();
        let (code, message) = match error {
            LinkError::Unreachable(why) => (Code::Unavailable, why),
            LinkError::Internal { ref request_id } => {
                put(&mut metadata, REQUEST_ID, request_id);
                (Code::Internal, error.to_string())
            }
            LinkError::Refused(Refusal { reason, message }) => {
                put(&mut metadata, REASON, reason.as_str());
                (code(reason), message.into_owned())
            }
        };
        Self::with_metadata(code, message, metadata)
    }
}

const fn code(reason: KeyRefusal) -> Code {
    match reason {
        KeyRefusal::TooManyAttempts => Code::ResourceExhausted,
        KeyRefusal::ProtocolVersion => Code::FailedPrecondition,
        KeyRefusal::SourceNotAllowed | KeyRefusal::ReplicaIdTaken | KeyRefusal::Other => Code::PermissionDenied,
        KeyRefusal::Malformed
        | KeyRefusal::Unknown
        | KeyRefusal::Revoked
        | KeyRefusal::Expired
        | KeyRefusal::Rotated
        | KeyRefusal::Disabled => Code::Unauthenticated,
    }
}

impl From<BadMessage> for Status {
    fn from(error: BadMessage) -> Self {
        Self::invalid_argument(error.to_string())
    }
}

/// Reads a status that a control plane, or whatever answers in its place, sent.
pub(crate) fn read_status(status: &Status) -> LinkError {
    let text = |key: &str| {
        let value = status.metadata().get(key)?;
        value.to_str().ok().filter(|text| !text.is_empty())
    };
    // A status without a reason may be that of a proxy in between, and says nothing about the key.
    if let Some(reason) = text(REASON) {
        return LinkError::Refused(Refusal {
            reason: reason.parse().unwrap_or(KeyRefusal::Other),
            message: status.message().to_owned().into(),
        });
    }
    match status.code() {
        Code::Internal if status.metadata().contains_key(REQUEST_ID) => LinkError::Internal {
            request_id: text(REQUEST_ID).unwrap_or_default().to_owned(),
        },
        Code::Unimplemented => {
            LinkError::Unreachable("what answers at this URL is not a Lychgate control plane".to_owned())
        }
        _ => LinkError::Unreachable(innermost_cause(status)),
    }
}

/// The innermost cause says more ("connection refused") than gRPC's own words ("transport error").
fn innermost_cause(status: &Status) -> String {
    let mut innermost: Option<&dyn std::error::Error> = std::error::Error::source(status);
    while let Some(next) = innermost.and_then(std::error::Error::source) {
        innermost = Some(next);
    }
    let words = innermost.map_or_else(|| status.message().to_owned(), ToString::to_string);
    // What rustls says of an answer in clear text.
    match words.contains("InvalidContentType") {
        true => {
            "it does not speak TLS on this port: use http://, or the port of the TLS proxy in front of it".to_owned()
        }
        false => words,
    }
}

fn put(metadata: &mut MetadataMap, key: &'static str, value: &str) {
    if let Ok(value) = MetadataValue::try_from(value) {
        metadata.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProtocolVersion, VersionRefusal};

    #[test]
    fn every_error_survives_the_round_trip() {
        let v = |major, minor| ProtocolVersion { major, minor };
        let refused = |reason, message: &str| {
            let message = message.to_owned().into();
            LinkError::Refused(Refusal { reason, message })
        };
        let versions = VersionRefusal::UpgradeReplica {
            replica: v(1, 9),
            control_plane: v(2, 0),
        };
        let special = [
            LinkError::Internal {
                request_id: "r1".into(),
            },
            LinkError::Unreachable("it is restarting".into()),
            refused(KeyRefusal::Malformed, "it was cut"),
            LinkError::Refused(versions.into()),
        ];
        let reasons = KeyRefusal::ALL.iter().map(|reason| LinkError::refused(*reason));
        for error in reasons.chain(special) {
            assert_eq!(read_status(&error.clone().into()), error);
        }
    }

    #[test]
    fn a_reason_of_a_newer_control_plane_keeps_its_message() {
        let mut status = Status::permission_denied("the moon is in the wrong phase");
        status
            .metadata_mut()
            .insert(REASON, MetadataValue::from_static("wrong_moon"));
        let LinkError::Refused(refusal) = read_status(&status) else {
            panic!("not a refusal")
        };
        assert_eq!(refusal.reason, KeyRefusal::Other);
        assert_eq!(refusal.message, "the moon is in the wrong phase");
    }

    #[test]
    fn a_status_without_a_reason_says_nothing_about_the_key() {
        for code in [Code::Unauthenticated, Code::PermissionDenied, Code::Unavailable] {
            let error = read_status(&Status::new(code, "a proxy's own words"));
            assert_eq!(error, LinkError::Unreachable("a proxy's own words".into()));
        }
    }
}
