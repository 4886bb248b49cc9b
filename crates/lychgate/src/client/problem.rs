//! What a server says when it refuses (`application/problem+json`), in words.

use crate::failure::Failure;
use serde::Deserialize;

/// Why a call failed.
#[derive(Debug)]
pub(crate) enum CallError {
    /// The server refused, and said why.
    Problem(Box<Problem>),
    /// No connection could be made.
    Unreachable(String),
    /// The request can't be made, or what answered is not a Lychgate server.
    Unusable(String),
    /// The request was sent, but no response arrived: the server may have done what was asked.
    Lost(String),
}

/// The server's `application/problem+json`.
#[derive(Debug, Deserialize)]
pub(crate) struct Problem {
    /// The HTTP status.
    pub(crate) status: u16,
    #[serde(default)]
    title: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    request_id: String,
    #[serde(default)]
    validations: Vec<Validation>,
}

#[derive(Debug, Deserialize)]
struct Validation {
    field: String,
    detail: String,
}

impl CallError {
    /// The HTTP status that the server refused with.
    pub(crate) fn status(&self) -> Option<u16> {
        match self {
            Self::Problem(problem) => Some(problem.status),
            Self::Unreachable(_) | Self::Unusable(_) | Self::Lost(_) => None,
        }
    }

    /// Whether no server has seen the request.
    pub(super) fn not_sent(&self) -> bool {
        matches!(self, Self::Unreachable(_))
    }

    /// Whether the same request may get a response if it is sent again.
    pub(super) fn may_succeed_later(&self) -> bool {
        match self {
            Self::Problem(problem) => problem.status == 503,
            Self::Unreachable(_) | Self::Unusable(_) => false,
            Self::Lost(_) => true,
        }
    }

    /// Of a request that changes something: the user has to know that it may have been changed.
    pub(super) fn of_a_change(self) -> Self {
        match self {
            Self::Lost(text) => Self::Lost(format!(
                "{text}\n  the server may have made the change all the same: check before you try again"
            )),
            other => other,
        }
    }

    /// Of the second try of such a request: even if this one did not reach the server, the first one may have.
    pub(super) fn after_a_lost_response(self) -> Self {
        match self {
            Self::Unreachable(text) | Self::Unusable(text) | Self::Lost(text) => Self::Lost(text).of_a_change(),
            refused @ Self::Problem(_) => refused,
        }
    }
}

impl From<CallError> for Failure {
    fn from(error: CallError) -> Self {
        match error {
            // A mistyped filter is a mistake on the command line, though only the server can tell.
            CallError::Problem(problem) if problem.code == "filter_unmatched" => Self::Usage(problem.to_string()),
            CallError::Problem(problem) => Self::Failed(problem.to_string()),
            CallError::Unreachable(text) | CallError::Unusable(text) | CallError::Lost(text) => Self::Failed(text),
        }
    }
}

impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let plain = crate::terminal::plain::plain;
        let what = if self.detail.is_empty() {
            &self.title
        } else {
            &self.detail
        };
        write!(f, "{} ({} {})", plain(what), self.status, plain(&self.code))?;
        for validation in &self.validations {
            write!(f, "\n  {}: {}", plain(&validation.field), plain(&validation.detail))?;
        }
        match self.status {
            401 => f.write_str(
                "\n  get a token that is valid, then set LYCHGATE_TOKEN or LYCHGATE_TOKEN_FILE, or run: lychgate login",
            )?,
            403 if self.code == "scope_missing" => f.write_str(
                "\n  scopes are given when a token is made: `lychgate tokens create --scope SCOPE` (repeatable), or --scope '*' for all that its user may do",
            )?,
            403 => f.write_str("\n  `lychgate whoami` shows the role and the scopes of the token in use")?,
            500.. if !self.request_id.is_empty() => {
                write!(
                    f,
                    "\n  the server's log has more under request {}",
                    plain(&self.request_id)
                )?;
            }
            _ => {}
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_shown_with_its_fields() {
        let problem: Problem = serde_json::from_str(
            r#"{"type":"about:blank","title":"Bad Request","status":400,"code":"invalid_name","detail":"the name is not valid",
                "request_id":"r","validations":[{"field":"name","detail":"a name has\u001b[2J 1 to 64 characters"}]}"#,
        )
        .unwrap();
        assert_eq!(
            problem.to_string(),
            "the name is not valid (400 invalid_name)\n  name: a name has\\u{1b}[2J 1 to 64 characters"
        );
    }
}
