//! What is to be said of an exchange that is over: completed, failed, or left by its client, and with which error.

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
    /// The client left between two attempts, while nothing was under way.
    ClientGaveUp,
    /// No answer came: the status and message that the client got instead.
    NoAnswer(StatusCode, String),
    /// The gateway itself broke.
    Broken,
}

/// Outcome, error type and error message.
pub(crate) type Judgement = (Outcome, Option<String>, Option<String>);

pub(crate) fn classify(
    record: &InterceptionRecord,
    ending: Ending,
    facts: &ResponseFacts,
    readable: bool,
) -> Judgement {
    let ours = |status: StatusCode, message: String| {
        let error_type = error_type(record.provider_type, status.as_u16());
        (Outcome::Failed, Some(error_type.to_owned()), Some(message))
    };
    match (ending, &facts.error) {
        (Ending::ClientLeft | Ending::ClientGaveUp, _) => (Outcome::ClientAborted, None, None),
        (Ending::NoAnswer(status, message), _) => ours(status, message),
        (Ending::Broken, _) => ours(StatusCode::INTERNAL_SERVER_ERROR, "the gateway failed inside".into()),
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
        (Ending::Complete, None) if readable && !facts.complete => ours(
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
    use crate::exchange::recorder::tests::a_record;

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
        for (ending, facts, readable, outcome, error) in [
            (Ending::Complete, &complete, true, Outcome::Completed, None),
            (Ending::Complete, &partial, true, Outcome::Failed, Some("api_error")),
            (Ending::Complete, &partial, false, Outcome::Completed, None),
            (
                Ending::Complete,
                &refused,
                true,
                Outcome::Failed,
                Some("overloaded_error"),
            ),
            (Ending::Cut, &partial, true, Outcome::Failed, Some("api_error")),
            (Ending::Stalled, &partial, true, Outcome::Failed, Some("timeout_error")),
            (Ending::ClientLeft, &complete, true, Outcome::ClientAborted, None),
            (Ending::ClientGaveUp, &refused, true, Outcome::ClientAborted, None),
            (Ending::Empty, &partial, true, Outcome::Failed, Some("api_error")),
            (gone, &partial, false, Outcome::Failed, Some("api_error")),
            (Ending::Broken, &partial, false, Outcome::Failed, Some("api_error")),
        ] {
            let case = format!("{ending:?}");
            let (found, error_type, message) = classify(&a_record(), ending, facts, readable);
            assert_eq!((found, error_type.as_deref()), (outcome, error), "{case}");
            assert_eq!(message.is_some(), error.is_some());
        }
    }
}
