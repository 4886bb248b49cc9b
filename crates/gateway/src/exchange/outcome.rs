//! What the record says of an exchange that has ended: completed, failed or aborted by its client, and with which error.

use crate::error::INTERNAL;
use http::StatusCode;
use lychgate_types::interception::{InterceptionRecord, Outcome};
use lychgate_wire::error::error_type;
use lychgate_wire::{ErrorFacts, ResponseFacts};

/// How an exchange ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The provider's answer ended properly.
    Complete,
    /// The model had stopped; behind that the connection broke or went silent, which is no part of the answer.
    Finished,
    /// The connection broke within the provider's answer.
    Cut,
    /// The provider's answer ended properly, before its first byte.
    Empty,
    /// The provider went silent within its answer.
    Stalled,
    /// The client disconnected; the rest of the answer has been read as far as it may be.
    ClientLeft,
    /// The client disconnected between two attempts, or before one that then never reached its provider.
    ClientGaveUp,
    /// The gateway stops, and does not wait any longer.
    GatewayStopped,
    /// No answer came: the client got this status and message instead.
    NoAnswer(StatusCode, String),
    /// An internal error of the gateway.
    Broken,
}

/// Outcome, error type and error message.
pub(crate) type Classified = (Outcome, Option<String>, Option<String>);

/// `facts` is what was read of the answer; `None` where it can't be read.
pub(crate) fn classify(record: &InterceptionRecord, ending: Ending, facts: Option<&ResponseFacts>) -> Classified {
    let ours = |status: StatusCode, message: String| {
        let error_type = error_type(record.provider_type.wire_family(), status.as_u16());
        (Outcome::Failed, Some(error_type.to_owned()), Some(message))
    };
    match (ending, facts.and_then(|facts| facts.error.as_ref())) {
        (Ending::ClientLeft | Ending::ClientGaveUp, _) => (Outcome::ClientAborted, None, None),
        (Ending::GatewayStopped, _) => (Outcome::GatewayStopped, None, None),
        (Ending::NoAnswer(status, message), _) => ours(status, message),
        (Ending::Broken, _) => ours(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL.into()),
        (_, Some(ErrorFacts { error_type, message })) => {
            (Outcome::Failed, Some(error_type.clone()), Some(message.clone()))
        }
        (Ending::Stalled, None) => ours(StatusCode::GATEWAY_TIMEOUT, STALLED.into()),
        (Ending::Empty, None) => ours(StatusCode::BAD_GATEWAY, EMPTY.into()),
        (Ending::Cut, None) => ours(StatusCode::BAD_GATEWAY, "the provider's answer was cut".into()),
        (Ending::Complete, None) if record.upstream_status.is_none_or(|status| status >= 300) => ours(
            StatusCode::BAD_GATEWAY,
            "the provider answered neither with success nor with an error".into(),
        ),
        (Ending::Complete, None) if facts.is_some_and(|facts| !facts.complete) => ours(
            StatusCode::BAD_GATEWAY,
            "the provider's answer ended before its last event".into(),
        ),
        (Ending::Complete | Ending::Finished, None) => (Outcome::Completed, None, None),
    }
}

/// The error where an answer had a head and no body.
pub(crate) const EMPTY: &str = "the provider's answer ended before its first byte";
/// The error where an answer went silent.
pub(crate) const STALLED: &str = "the provider sent nothing for too long, so the gateway gave up";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::record;

    #[test]
    fn outcomes() {
        let complete = ResponseFacts {
            complete: true,
            ..ResponseFacts::default()
        };
        let partial = ResponseFacts::default();
        let refused = ResponseFacts {
            error: Some(ErrorFacts {
                error_type: "overloaded_error".into(),
                message: "busy".into(),
            }),
            complete: true,
            ..ResponseFacts::default()
        };
        let gone = Ending::NoAnswer(StatusCode::BAD_GATEWAY, "refused".into());
        for (ending, facts, outcome, error) in [
            (Ending::Complete, Some(&complete), Outcome::Completed, None),
            (Ending::Complete, Some(&partial), Outcome::Failed, Some("api_error")),
            (Ending::Complete, None, Outcome::Completed, None),
            (
                Ending::Complete,
                Some(&refused),
                Outcome::Failed,
                Some("overloaded_error"),
            ),
            (Ending::Finished, Some(&complete), Outcome::Completed, None),
            (Ending::Cut, Some(&partial), Outcome::Failed, Some("api_error")),
            (Ending::Stalled, Some(&partial), Outcome::Failed, Some("timeout_error")),
            (Ending::ClientLeft, Some(&complete), Outcome::ClientAborted, None),
            (Ending::ClientGaveUp, Some(&refused), Outcome::ClientAborted, None),
            (Ending::GatewayStopped, Some(&partial), Outcome::GatewayStopped, None),
            (Ending::Empty, Some(&partial), Outcome::Failed, Some("api_error")),
            (gone, None, Outcome::Failed, Some("api_error")),
            (Ending::Broken, None, Outcome::Failed, Some("api_error")),
        ] {
            let case = format!("{ending:?}");
            let (found, error_type, message) = classify(&record(), ending, facts);
            assert_eq!((found, error_type.as_deref()), (outcome, error), "{case}");
            assert_eq!(message.is_some(), error.is_some());
        }
    }
}
