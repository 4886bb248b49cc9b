//! How requests are read: JSON bodies and query strings that name the field which is not valid.
//!
//! No message repeats what the caller sent as a value: a value may be a secret in the wrong place.

use crate::api::error::{ApiError, Validation};
use crate::api::problem_code::ProblemCode;
use axum::body::{Bytes, HttpBody};
use axum::extract::{FromRequest, FromRequestParts, Request};
use http::header;
use http::request::Parts;
use http_body_util::{BodyExt, Limited};
use lychgate_types::json::Object;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};

/// The largest body that the API reads, in bytes.
pub(crate) const BODY_LIMIT: usize = 1 << 20;

/// A JSON body.
pub(crate) struct Json<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequest<S> for Json<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        read_json(request).await.map(|Object(value)| Self(value))
    }
}

/// A JSON body, or none at all, or null, which stand for the default.
pub(crate) struct JsonOrNothing<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned + Default> FromRequest<S> for JsonOrNothing<T> {
    type Rejection = ApiError;

    async fn from_request(request: Request, _state: &S) -> Result<Self, ApiError> {
        if request.body().size_hint().exact() == Some(0) {
            return Ok(Self(T::default()));
        }
        let read: Option<Object<T>> = read_json(request).await?;
        Ok(Self(read.map(|Object(value)| value).unwrap_or_default()))
    }
}

async fn read_json<T: DeserializeOwned>(request: Request) -> Result<T, ApiError> {
    if !says_json(&request) {
        return Err(ApiError::new(
            ProblemCode::UnsupportedMediaType,
            "send JSON with the header content-type: application/json",
        ));
    }
    let body = read_body(request).await?;
    let mut json = serde_json::Deserializer::from_slice(&body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(misfit)?;
    json.end()
        .map_err(|_| malformed("there is more text after the end of the JSON value"))?;
    Ok(value)
}

/// Tells a member that is null from one that is left out: for `Option<Option<T>>`, with `default`.
pub(crate) fn given<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

fn says_json(request: &Request) -> bool {
    let value = request
        .headers()
        .get(header::CONTENT_TYPE)
        .and_then(|v| v.to_str().ok())
        .unwrap_or("");
    let media_type = value.split(';').next().unwrap_or("").trim().to_ascii_lowercase();
    media_type == "application/json"
}

async fn read_body(request: Request) -> Result<Bytes, ApiError> {
    match Limited::new(request.into_body(), BODY_LIMIT).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<http_body_util::LengthLimitError>() => Err(ApiError::new(
            ProblemCode::BodyTooLarge,
            "the body is larger than 1 MiB",
        )),
        Err(_) => Err(ApiError::new(
            ProblemCode::BodyIncomplete,
            "the body ended before it was complete",
        )),
    }
}

fn malformed(detail: &str) -> ApiError {
    ApiError::invalid(
        ProblemCode::MalformedJson,
        "the body is not valid JSON",
        vec![Validation {
            field: String::new(),
            detail: detail.to_owned(),
        }],
    )
}

fn misfit(error: serde_path_to_error::Error<serde_json::Error>) -> ApiError {
    let path = error.path().to_string();
    let error = error.into_inner();
    if error.classify() != serde_json::error::Category::Data {
        return malformed(&format!(
            "a JSON error at line {} column {}",
            error.line(),
            error.column()
        ));
    }
    let message = error.to_string();
    let message = message
        .rsplit_once(" at line ")
        .map_or(message.as_str(), |(head, _)| head);
    let (field, detail) = field_and_detail(path, message);
    ApiError::invalid(
        ProblemCode::InvalidRequest,
        "a field of the body is not valid",
        vec![Validation { field, detail }],
    )
}

/// Makes of serde's message one that does not repeat a value: ``invalid type: string "…", expected …``.
fn field_and_detail(path: String, message: &str) -> (String, String) {
    let path = if path == "." { String::new() } else { path };
    let within = |name: &str| {
        // The path of an unknown field holds its name already.
        let parent = match path.strip_suffix(name) {
            Some(parent) if parent.is_empty() || parent.ends_with('.') => parent.trim_end_matches('.'),
            _ => path.as_str(),
        };
        match (parent, cut(name)) {
            ("", name) => name,
            (parent, name) => format!("{parent}.{name}"),
        }
    };
    let quoted = |rest: &str| rest.split('`').nth(1).unwrap_or("").to_owned();
    if message.starts_with("unknown field ") {
        let known = message.rsplit_once(", expected ").map_or("", |(_, known)| known);
        let detail = if known.is_empty() {
            "unknown field".to_owned()
        } else {
            format!("unknown field; known: {known}")
        };
        (within(&quoted(message)), detail)
    } else if message.starts_with("missing field ") {
        (within(&quoted(message)), "missing".to_owned())
    } else if message.starts_with("duplicate field ") {
        (within(&quoted(message)), "given twice".to_owned())
    } else if let Some((_, expected)) = message.rsplit_once(", expected ") {
        (path, format!("expected {expected}"))
    } else {
        (path, "is not valid".to_owned())
    }
}

/// Field names are the caller's own text; a long one is cut.
fn cut(name: &str) -> String {
    name.chars().take(64).collect()
}

/// A query string. Parameters that `T` does not know, or that come twice, are errors.
///
/// `T`'s fields are all `Option<String>`; what the texts mean is checked by the handler, so that one answer names every parameter
/// that is not valid.
pub(crate) struct Query<T>(pub(crate) T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Query<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _state: &S) -> Result<Self, ApiError> {
        let mut map = serde_json::Map::new();
        for (name, value) in url::form_urlencoded::parse(parts.uri.query().unwrap_or("").as_bytes()) {
            let wrong = |detail: &str| {
                query_error(Validation {
                    field: cut(&name),
                    detail: detail.to_owned(),
                })
            };
            // Nothing that is looked for has any, and PostgreSQL takes no text with a NUL.
            if value.chars().any(char::is_control) {
                return Err(wrong("must contain no control characters"));
            }
            if map.insert(name.to_string(), value.as_ref().into()).is_some() {
                return Err(wrong("given twice"));
            }
        }
        serde_path_to_error::deserialize(serde_json::Value::Object(map))
            .map(Self)
            .map_err(|error| {
                let path = error.path().to_string();
                let (field, detail) = field_and_detail(path, &error.into_inner().to_string());
                query_error(Validation {
                    field,
                    detail: detail.replace("unknown field", "unknown parameter"),
                })
            })
    }
}

fn query_error(validation: Validation) -> ApiError {
    ApiError::invalid(
        ProblemCode::InvalidRequest,
        "a query parameter is not valid",
        vec![validation],
    )
}

/// The one variable segment of a path, as text: an id or a name.
pub(crate) struct PathText(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for PathText {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // What is no UTF-8 after decoding, or holds control characters, nothing can be named.
        match axum::extract::Path::<String>::from_request_parts(parts, state).await {
            Ok(axum::extract::Path(text)) if !text.chars().any(char::is_control) => Ok(Self(text)),
            Ok(_) | Err(_) => Err(ApiError::not_found("thing")),
        }
    }
}

/// The one variable segment of a path where only an id will do.
pub(crate) struct PathId<T>(pub(crate) T);

impl<S: Send + Sync, T: std::str::FromStr> FromRequestParts<S> for PathId<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let PathText(text) = PathText::from_request_parts(parts, state).await?;
        text.parse().map(Self).map_err(|_| {
            let detail = "an id is a UUID such as 0192d3c4-5b6a-7c8d-9e0f-112233445566".to_owned();
            ApiError::invalid(
                ProblemCode::InvalidId,
                "the id in the path is malformed",
                vec![Validation {
                    field: "id".to_owned(),
                    detail,
                }],
            )
        })
    }
}
