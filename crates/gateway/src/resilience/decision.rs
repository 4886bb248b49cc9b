//! What the end of an attempt means: for the circuit breaker, for the key that was sent, and for further attempts. One table
//! says all of it.
//!
//! Pure, so that each row can be tested. Not here: how long to wait before a retry (`retry`), and whether the retry budget, the
//! breaker and the time that is left allow another attempt (`exchange::selector`).

use crate::error::SHOULD_RETRY;
use crate::resilience::retry::asked_wait;
use http::{HeaderMap, StatusCode};
use lychgate_types::Ambient;
use std::fmt;
use std::time::Duration;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AttemptEnd {
    /// The head of an answer arrived.
    Answered { status: u16, asked: Asked },
    /// An error arrived that says that the account of the key has no credit left.
    OutOfCredit { status: u16 },
    /// An error with status 403 that is about the model or the request, or of which nobody knows whether it is about the key.
    NotAboutTheKey { status: u16 },
    /// What arrived is no answer: not HTTP, or a change of protocol that nobody asked for. The same request would get it again.
    NoHttp,
    /// No connection could be made, or it broke before the head.
    ConnectionFailed,
    /// The provider's name resolves to a private address, which its configuration does not allow.
    AddressForbidden,
    /// The head did not arrive in time.
    HeadTimedOut,
    /// The head promised a body, and the end of the answer came in its place.
    BodyMissing,
    /// The connection broke within the body.
    BodyCut,
    /// The provider fell silent within the body.
    BodyStalled,
    /// The body was never silent, but took longer than an exchange may.
    BodyTooLong,
}

/// What a provider asks of its clients, in the headers of an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Asked {
    /// `x-should-retry`.
    retry: Option<bool>,
    /// `Retry-After` and its kin.
    wait: Option<Duration>,
}

/// What follows from an attempt's end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Consequences {
    pub(crate) breaker: BreakerReport,
    /// How long the key that was sent cools down.
    pub(crate) cooldown: Option<Duration>,
    pub(crate) decision: RetryDecision,
}

/// What the circuit breaker is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BreakerReport {
    /// The provider answers: a breaker that is half open closes.
    Success,
    /// Counts towards opening it.
    Failure,
    Nothing,
}

/// What to do after an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum RetryDecision {
    /// The client gets this answer, good or bad.
    Forward,
    /// The key was refused, or the same must not be sent with it again: try another one, or the next candidate.
    RotateKey,
    /// The key is over its limit: try another one at once, or the same one after the wait that the provider asks for.
    RateLimited(Option<Duration>),
    /// Try the same provider again, after the wait that it asks for or a backoff of our own.
    Retry(Option<Duration>),
    /// Try the next candidate: this one has taken too long already, or will never do.
    Failover,
}

impl AttemptEnd {
    pub(crate) fn answered(status: StatusCode, headers: &HeaderMap, ambient: &Ambient) -> Self {
        let asked = if status.is_client_error() || status.is_server_error() {
            let retry = headers.get(SHOULD_RETRY).map(http::HeaderValue::as_bytes);
            Asked {
                retry: match retry {
                    Some(b"true") => Some(true),
                    Some(b"false") => Some(false),
                    _ => None,
                },
                wait: asked_wait(headers, ambient.now()),
            }
        } else {
            Asked::default()
        };
        let status = status.as_u16();
        Self::Answered { status, asked }
    }

    /// An answer with a good status that begins with an error, which would have had this status.
    pub(crate) fn error_in_body(status: u16) -> Self {
        let asked = Asked::default();
        Self::Answered { status, asked }
    }

    /// The table. `key_cooldown` is the configured cooldown of the provider's key that was sent; `None` where it was the user's
    /// own, which is the user's own affair. Statuses from `failure_status` count towards opening the breaker.
    pub(crate) fn consequences(self, key_cooldown: Option<Duration>, failure_status: u32) -> Consequences {
        use AttemptEnd as End;
        use BreakerReport::{Failure, Nothing, Success};
        use RetryDecision::{Failover, Forward, RateLimited, Retry, RotateKey};
        let asked = self.asked();
        let (breaker, cooldown, decision) = match self {
            End::Answered { status, .. } => match status {
                // Whose credit is tied up by what is in flight is told when to come again; whose is used up is not.
                402 if asked.wait.is_some() => (Success, key_cooldown.and(asked.wait), RateLimited(asked.wait)),
                401..=403 if key_cooldown.is_some() => (Success, key_cooldown, RotateKey),
                429 => (
                    Success,
                    key_cooldown.map(|own| asked.wait.unwrap_or(own)),
                    RateLimited(asked.wait),
                ),
                408 | 409 => (Success, None, Retry(asked.wait)),
                500..=599 if u32::from(status) >= failure_status => (Failure, None, Retry(asked.wait)),
                500..=599 => (Success, None, Retry(asked.wait)),
                _ => (Success, None, Forward),
            },
            End::OutOfCredit { .. } if key_cooldown.is_some() => (Success, key_cooldown, RotateKey),
            End::OutOfCredit { .. } => (Success, None, Forward),
            End::NotAboutTheKey { .. } if key_cooldown.is_some() => (Success, None, RotateKey),
            End::NotAboutTheKey { .. } => (Success, None, Forward),
            End::NoHttp => (Failure, None, Failover),
            End::ConnectionFailed | End::BodyMissing => (Failure, None, Retry(None)),
            End::AddressForbidden | End::HeadTimedOut => (Failure, None, Failover),
            // The head has gone to the client: nothing can be tried again.
            End::BodyCut | End::BodyStalled => (Failure, None, Forward),
            End::BodyTooLong => (Nothing, None, Forward),
        };
        // What the provider says itself has the last word about the same request with the same key. Another key or another
        // provider is not its to forbid, and a refused key stays refused.
        let decision = match (asked.retry, decision) {
            (Some(false), RateLimited(_) | Retry(_)) => RotateKey,
            (Some(true), Forward) => Retry(asked.wait),
            (_, decision) => decision,
        };
        Consequences {
            breaker,
            cooldown,
            decision,
        }
    }

    /// Whether it is the provider's failure, be it one that counts towards opening the breaker or not.
    pub(crate) fn is_failure(self, consequences: &Consequences) -> bool {
        consequences.breaker == BreakerReport::Failure || matches!(self, Self::Answered { status: 500..=599, .. })
    }

    fn asked(self) -> Asked {
        match self {
            Self::Answered { asked, .. } => asked,
            _ => Asked::default(),
        }
    }
}

impl fmt::Display for AttemptEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Answered { status, .. } => return write!(f, "it answered {status}"),
            Self::NotAboutTheKey { status } => return write!(f, "it answered {status}, not known to be about the key"),
            Self::OutOfCredit { status } => return write!(f, "it answered {status}: no credit left"),
            Self::NoHttp => "its answer is not HTTP",
            Self::ConnectionFailed => "the connection failed",
            Self::AddressForbidden => "its address is private",
            Self::HeadTimedOut => "its headers came too late",
            Self::BodyMissing => "its body is missing",
            Self::BodyCut => "its body was cut",
            Self::BodyStalled => "its body stalled",
            Self::BodyTooLong => "its body took too long",
        })
    }
}

#[cfg(test)]
mod tests;
