//! What the record says of an exchange that has ended: completed, failed or aborted by its client, and with which error.

use crate::error::INTERNAL;
use http::StatusCode;
use lychgate_types::interception::{InterceptionRecord, Outcome};
use lychgate_wire::error::error_type;
use lychgate_wire::{ErrorFacts, ResponseFacts};

/// How an exchange ended.
#[derive(Debug)]
pub(crate) enum Ending {
    /// The provider's answer came to its proper end.
    Complete,
    /// The provider's answer broke off.
    Cut,
    /// The provider's answer came to a proper end before its first byte.
    Empty,
    /// The provider fell silent within its answer.
    Stalled,
    /// The client left; what could still be read has been read.
    ClientLeft,
    /// The client left between two attempts.
    ClientGaveUp,
    /// No answer came: the status and message that the client got instead.
    NoAnswer(StatusCode, String),
    /// The gateway itself broke.
    Broken,
}

/// Outcome, error type and error message.
pub(crate) type Classified = (Outcome, Option<String>, Option<String>);

/// `facts` are what was read of the answer; `None` where nothing of it can be read.
pub(crate) fn classify(record: &InterceptionRecord, ending: Ending, facts: Option<&ResponseFacts>) -> Classified {
    let ours = |status: StatusCode, message: String| {
        let error_type = error_type(record.provider_type.wire_family(), status.as_u16());
        (Outcome::Failed, Some(error_type.to_owned()), Some(message))
    };
    match (ending, facts.and_then(|facts| facts.error.as_ref())) {
        (Ending::ClientLeft | Ending::ClientGaveUp, _) => (Outcome::ClientAborted, None, None),
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
        (Ending::Complete, None) => (Outcome::Completed, None, None),
    }
}

/// What a client is told whose answer had a head and no body.
pub(crate) const EMPTY: &str = "the provider's answer ended before its first byte";
/// What a client is told whose stream fell silent.
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
            (Ending::Cut, Some(&partial), Outcome::Failed, Some("api_error")),
            (Ending::Stalled, Some(&partial), Outcome::Failed, Some("timeout_error")),
            (Ending::ClientLeft, Some(&complete), Outcome::ClientAborted, None),
            (Ending::ClientGaveUp, Some(&refused), Outcome::ClientAborted, None),
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
