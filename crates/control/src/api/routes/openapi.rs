//! `GET /api/v1/openapi.json`: the document itself, for anybody.

use axum::response::{IntoResponse, Response};
use http::header;
use std::sync::LazyLock;

static DOCUMENT: LazyLock<String> = LazyLock::new(crate::api::openapi::openapi);

/// Needs no token: the document is public in the repository, too.
pub(crate) async fn get() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], DOCUMENT.as_str()).into_response()
}
