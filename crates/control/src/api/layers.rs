//! The middleware of the API in order, each with its reason. The data plane and the control link have their own; `/healthz`
//! and `/readyz` stand before all of it.

use crate::api::error::{ApiError, write_problem};
use crate::state::counts::{Counts, class};
use axum::Router;
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, header};
use lychgate_types::{Ambient, RequestId};
use std::sync::Arc;
use tracing::Instrument;

const X_REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Puts the layers around the API's routes. A request meets them from the last `.layer` up to the first.
pub(crate) fn around(routes: Router, ambient: Ambient, counts: Arc<Counts>) -> Router {
    routes
        // Innermost, so that everything around it sees a response, never an unwinding stack.
        .layer(from_fn(to_the_end))
        // Outside the panic layer, so that a panic's answer has a request id and the same headers as any other.
        .layer(from_fn_with_state(ambient, request_id_and_problems))
        // Outside what may change the status.
        .layer(from_fn_with_state(counts, counted))
        // Outermost: no answer leaves without these.
        .layer(from_fn(security_headers))
}

/// Runs the handler in a task of its own: a client that leaves cancels nothing, so what is committed is also told to the
/// attachments; and a panic becomes an answer.
async fn to_the_end(request: Request, next: Next) -> Response {
    match tokio::spawn(next.run(request).in_current_span()).await {
        Ok(response) => response,
        Err(_) => ApiError::internal(Panicked).into_response(),
    }
}

/// The panic's own message went to the log by the panic hook; it may hold anything, so nothing of it is kept here.
#[derive(Debug, thiserror::Error)]
#[error("the handler panicked")]
struct Panicked;

/// Makes the request's id (a client's own is not trusted), and writes the bodies of error responses with it.
async fn request_id_and_problems(State(ambient): State<Ambient>, mut request: Request, next: Next) -> Response {
    let request_id: RequestId = ambient.new_id();
    request.extensions_mut().insert(request_id);
    let span = tracing::info_span!("api", %request_id, method = %request.method(), path = request.uri().path());
    let mut response = write_problem(next.run(request).instrument(span).await, request_id);
    if let Ok(value) = HeaderValue::from_str(&request_id.to_string()) {
        response.headers_mut().insert(X_REQUEST_ID, value);
    }
    response
}

async fn counted(State(counts): State<Arc<Counts>>, request: Request, next: Next) -> Response {
    let response = next.run(request).await;
    counts.api.count(class(response.status()));
    response
}

async fn security_headers(request: Request, next: Next) -> Response {
    let mut response = next.run(request).await;
    let headers = response.headers_mut();
    // Answers can hold secrets (a new key) and what only this caller may see: no cache keeps them.
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    let policy = HeaderValue::from_static("default-src 'none'; frame-ancestors 'none'");
    headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    response
}

#[cfg(test)]
mod tests {
    use super::*;
    use axum::body::Body;
    use axum::routing::get;
    use http::StatusCode;
    use http_body_util::BodyExt;
    use tokio::sync::Notify;
    use tower::ServiceExt;

    async fn answer(routes: Router) -> (StatusCode, String) {
        let request = Request::get("/").body(Body::empty()).unwrap();
        let response = around(routes, Ambient::system(), Arc::default())
            .oneshot(request)
            .await
            .unwrap();
        let status = response.status();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, String::from_utf8(body.to_vec()).unwrap())
    }

    #[tokio::test]
    async fn internal_errors_are_not_disclosed() {
        async fn fails() -> ApiError {
            ApiError::internal(std::io::Error::other("relation \"users\" does not exist"))
        }
        async fn panics() -> StatusCode {
            panic!("secret")
        }
        for routes in [
            Router::new().route("/", get(fails)),
            Router::new().route("/", get(panics)),
        ] {
            let (status, body) = answer(routes).await;
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
            assert!(
                body.contains("\"code\":\"internal_error\"") && body.contains("\"request_id\""),
                "{body}"
            );
            assert!(!body.contains("relation") && !body.contains("secret"), "{body}");
        }
    }

    #[tokio::test]
    async fn a_client_that_leaves_cancels_nothing() {
        let (begun, go_on, done) = (
            Arc::new(Notify::new()),
            Arc::new(Notify::new()),
            Arc::new(Notify::new()),
        );
        let signals = (begun.clone(), go_on.clone(), done.clone());
        let handler = async move || {
            let (begun, go_on, done) = signals.clone();
            begun.notify_one();
            go_on.notified().await;
            done.notify_one();
        };
        let request = Request::get("/").body(Body::empty()).unwrap();
        let routes = Router::new().route("/", get(handler));
        let call = around(routes, Ambient::system(), Arc::default()).oneshot(request);
        let call = tokio::spawn(call);
        begun.notified().await;
        call.abort();
        assert!(call.await.unwrap_err().is_cancelled());
        go_on.notify_one();
        done.notified().await;
    }
}
