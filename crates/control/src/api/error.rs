//! The one place where errors become HTTP: `application/problem+json` with a stable `code` ([`ProblemCode`]).
//!
//! A handler returns [`ApiError`]; its response carries a [`Problem`] without a body, and [`crate::api::layers`] writes the body,
//! because only there the request's id is known. What failed inside (the `cause`) goes to the log, never into an answer.

use crate::api::openapi::known_texts;
use crate::api::problem_code::ProblemCode;
use axum::response::{IntoResponse, Response};
use http::{HeaderValue, StatusCode, header};
use lychgate_authz::Denial;
use lychgate_store::{RouteMisfit, RuleBroken, StoreError, Unmatched};
use lychgate_telemetry::error::chain;
use lychgate_types::RequestId;
use serde::Serialize;
use std::sync::Arc;

/// What went wrong inside: for the log only.
pub(crate) type Cause = Arc<dyn std::error::Error + Send + Sync>;

/// An invalid field of a request.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub(crate) struct Validation {
    /// The field: a path such as `keys[0].key`, or the name of a query parameter. Empty if it is about the whole body.
    pub(crate) field: String,
    /// What is wrong, and what would be right.
    pub(crate) detail: String,
}

/// A failed request, on its way out.
#[derive(Debug, Clone)]
pub(crate) struct ApiError(Box<Problem>);

impl ApiError {
    /// An error that is the caller's to mend.
    pub(crate) fn new(code: ProblemCode, detail: impl Into<String>) -> Self {
        Self::invalid(code, detail, Vec::new())
    }

    /// With the fields that do not fit.
    pub(crate) fn invalid(code: ProblemCode, detail: impl Into<String>, mut validations: Vec<Validation>) -> Self {
        let more = validations.len().saturating_sub(VALIDATIONS);
        validations.truncate(VALIDATIONS);
        for validation in &mut validations {
            cut(&mut validation.field);
            cut(&mut validation.detail);
        }
        if more > 0 {
            validations.push(Validation {
                field: String::new(),
                detail: format!("and {more} more"),
            });
        }
        Self(Box::new(Problem {
            code,
            detail: detail.into(),
            validations,
            cause: None,
        }))
    }

    /// 404 for a path that names one thing.
    pub(crate) fn not_found(noun: &str) -> Self {
        let detail = format!("no such {noun}, or you may not see it");
        Self::new(ProblemCode::NotFound, detail)
    }

    /// 500; the cause goes to the log.
    pub(crate) fn internal(cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::new(ProblemCode::InternalError, INTERNAL).because(cause)
    }

    /// 503: so many callers show tokens that may be new that this one's can't be told from a stranger's at present.
    pub(crate) fn busy() -> Self {
        let detail = "too many callers show unknown tokens at present; try again shortly";
        Self::new(ProblemCode::Busy, detail)
    }

    /// 503.
    fn database_unavailable() -> Self {
        Self::new(
            ProblemCode::DatabaseUnavailable,
            "the control plane's database does not respond; try again shortly",
        )
    }

    /// The cause goes to the log.
    fn because(mut self, cause: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.0.cause = Some(Arc::new(cause));
        self
    }
}

/// So many fields that do not fit are told one by one: an answer is no larger for what was asked.
pub(crate) const VALIDATIONS: usize = 50;
/// Characters of each of their texts.
pub(crate) const VALIDATION_TEXT: usize = 300;

fn cut(text: &mut String) {
    if let Some((at, _)) = text.char_indices().nth(VALIDATION_TEXT) {
        text.truncate(at);
        text.push('…');
    }
}

const INTERNAL: &str = "internal error; the log of the control plane has details under this request id";

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Denied(Denial::Forbidden) => Self::new(
                ProblemCode::Forbidden,
                "your role, or the scopes of your token, do not allow this",
            ),
            StoreError::Denied(Denial::OutOfScope { action, resource }) => Self::new(
                ProblemCode::ScopeMissing,
                format!(
                    "the token in use does not have the scope {resource}:{action}; use, or create, one that has it"
                ),
            ),
            StoreError::Denied(Denial::Hidden) | StoreError::NotFound => Self::not_found("thing"),
            StoreError::Conflict(constraint) if constraint.name.ends_with("name_idx") => Self::new(
                ProblemCode::NameTaken,
                "the name is already in use; names are compared in lower case",
            ),
            StoreError::Rule(rule) => rule_broken(rule),
            StoreError::Unmatched(filters) => unmatched(filters),
            StoreError::Unavailable => Self::database_unavailable(),
            lost @ StoreError::Lost(_) => Self::database_unavailable().because(lost),
            full @ StoreError::NotWritable(_) => {
                Self::new(ProblemCode::DatabaseNotWritable, full.to_string()).because(full)
            }
            other => Self::internal(other),
        }
    }
}

fn unmatched(filters: Vec<Unmatched>) -> ApiError {
    let validation = |unmatched: Unmatched| Validation {
        field: unmatched.filter.to_owned(),
        detail: unmatched.why.to_owned(),
    };
    ApiError::invalid(
        ProblemCode::FilterUnmatched,
        "a filter names somebody or something that does not exist",
        filters.into_iter().map(validation).collect(),
    )
}

fn rule_broken(rule: RuleBroken) -> ApiError {
    let code = ProblemCode::from(&rule);
    match rule {
        RuleBroken::RouteProviders(misfits) => {
            let validation = |misfit: RouteMisfit| Validation {
                field: misfit.place.to_string(),
                detail: misfit.why.to_string(),
            };
            ApiError::invalid(
                code,
                "the route's providers must exist and take the requests that its own provider takes; see validations",
                misfits.into_iter().map(validation).collect(),
            )
        }
        RuleBroken::NoSuchProviders { places } => {
            let validation = |at: usize| Validation {
                field: format!("providers[{at}]"),
                detail: "no such provider".to_owned(),
            };
            ApiError::invalid(
                code,
                "some of the providers do not exist; see validations",
                places.into_iter().map(validation).collect(),
            )
        }
        rule => ApiError::new(code, rule.to_string()),
    }
}

/// Says which noun a 404 is about.
pub(crate) fn about(noun: &'static str) -> impl Fn(StoreError) -> ApiError {
    move |error| match error {
        StoreError::Denied(Denial::Hidden) | StoreError::NotFound => ApiError::not_found(noun),
        other => other.into(),
    }
}

/// What an error response carries until the layer that knows the request id writes it.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    code: ProblemCode,
    detail: String,
    validations: Vec<Validation>,
    cause: Option<Cause>,
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let status = self.0.code.status();
        let mut response = status.into_response();
        if status == StatusCode::UNAUTHORIZED {
            let scheme = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, scheme);
        }
        if status == StatusCode::SERVICE_UNAVAILABLE {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        }
        response.extensions_mut().insert(*self.0);
        response
    }
}

/// The body of every error response (RFC 9457).
#[derive(Debug, Serialize, utoipa::ToSchema)]
#[schema(as = Problem)]
pub(crate) struct ProblemBody {
    /// `urn:lychgate:problem:` and the code.
    r#type: String,
    /// The reason phrase of the status.
    title: String,
    /// The HTTP status.
    status: u16,
    /// Stable; meant for programs. docs/errors.md explains each.
    #[schema(schema_with = known_texts::<ProblemCode>)]
    code: ProblemCode,
    /// What went wrong and what to do; meant for people.
    detail: String,
    /// Identifies the request in the server's log; the same as the `x-request-id` header.
    #[schema(value_type = String, format = Uuid)]
    request_id: RequestId,
    /// The invalid fields; left out if the error is not about a field.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    validations: Vec<Validation>,
}

/// Writes the body of an error response; other responses pass. Logs what failed inside, once.
pub(crate) fn write_problem(response: Response, request_id: RequestId) -> Response {
    let status = response.status();
    if !status.is_client_error() && !status.is_server_error() {
        return response;
    }
    let (mut parts, _) = response.into_parts();
    let problem = parts
        .extensions
        .remove::<Problem>()
        .unwrap_or_else(|| Problem::of_status(status));
    if let Some(cause) = &problem.cause {
        tracing::error!(%request_id, error = %chain(&**cause), "a request failed with an internal error");
    }
    let body = ProblemBody {
        r#type: format!("urn:lychgate:problem:{}", problem.code),
        title: status.canonical_reason().unwrap_or("Error").to_owned(),
        status: status.as_u16(),
        code: problem.code,
        detail: problem.detail,
        request_id,
        validations: problem.validations,
    };
    parts.headers.remove(header::CONTENT_LENGTH);
    parts.headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/problem+json"),
    );
    Response::from_parts(parts, serde_json::to_vec(&body).unwrap_or_default().into())
}

impl Problem {
    /// For responses that no handler of ours made: unknown paths, wrong methods.
    fn of_status(status: StatusCode) -> Self {
        let (code, detail) = match status {
            StatusCode::NOT_FOUND => (
                ProblemCode::UnknownPath,
                "there is no such path; GET /api/v1/openapi.json lists all paths",
            ),
            StatusCode::METHOD_NOT_ALLOWED => (
                ProblemCode::MethodNotAllowed,
                "this path does not support this method; see the Allow header",
            ),
            status if status.is_server_error() => (ProblemCode::InternalError, INTERNAL),
            _ => (ProblemCode::BadRequest, "the request can't be read"),
        };
        Self {
            code,
            detail: detail.to_owned(),
            validations: Vec::new(),
            cause: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_does_not_grow_with_what_does_not_fit() {
        let wrong = |at: usize| Validation {
            field: format!("keys[{at}]"),
            detail: "é".repeat(100_000),
        };
        let error = ApiError::invalid(ProblemCode::InvalidRequest, "", (0..10_000).map(wrong).collect());
        let told = &error.0.validations;
        assert_eq!(told.len(), VALIDATIONS + 1);
        assert_eq!(told[0].detail.chars().count(), VALIDATION_TEXT + 1);
        assert_eq!(
            (&*told[VALIDATIONS].field, &*told[VALIDATIONS].detail),
            ("", "and 9950 more")
        );
    }
}
