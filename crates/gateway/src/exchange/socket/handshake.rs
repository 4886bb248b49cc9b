//! The two handshakes of a relayed WebSocket: what the client has to ask for, what the provider is asked, and what each is told.
//!
//! Extensions and subprotocols are offered to nobody: without compression there is nothing to inflate, and a message goes on as it came.

use axum::body::Body;
use http::header::{
    CONNECTION, CONTENT_LENGTH, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_EXTENSIONS, SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Response, StatusCode};
use std::time::Duration;
use tokio_tungstenite::tungstenite::handshake::client::generate_key;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// Longest wait for a provider's answer to the upgrade: nothing is made meanwhile.
pub(crate) const UPGRADE_TIMEOUT: Duration = Duration::from_secs(30);
/// What belongs to the handshake of one hop.
const HOP: [HeaderName; 5] = [
    SEC_WEBSOCKET_ACCEPT,
    SEC_WEBSOCKET_EXTENSIONS,
    SEC_WEBSOCKET_KEY,
    SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION,
];
/// Length of a key: 16 bytes in base64.
const KEY_LENGTH: usize = 24;

/// What the client has to be told that asks in this way; `None` where it is no proper handshake.
pub(super) fn accepted(head: &Parts) -> Option<HeaderValue> {
    let key = head.headers.get(SEC_WEBSOCKET_KEY)?.as_bytes();
    let version = head.headers.get(SEC_WEBSOCKET_VERSION)?;
    if head.method != Method::GET || version != "13" || key.len() != KEY_LENGTH {
        return None;
    }
    HeaderValue::from_str(&derive_accept_key(key)).ok()
}

/// The headers of one hop's handshake are not for the other.
pub(super) fn strip(headers: &mut HeaderMap) {
    for name in HOP {
        headers.remove(name);
    }
}

/// Makes it a request for a WebSocket; gives what the answer has to say.
pub(super) fn ask(headers: &mut HeaderMap) -> HeaderValue {
    let key = generate_key();
    let accept = derive_accept_key(key.as_bytes());
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
    // Both are base64.
    let value = |text: String| HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(""));
    headers.insert(SEC_WEBSOCKET_KEY, value(key));
    value(accept)
}

/// Whether the provider has changed the protocol as it was asked to.
pub(super) fn is_proper(status: StatusCode, headers: &HeaderMap, accept: &HeaderValue) -> bool {
    status == StatusCode::SWITCHING_PROTOCOLS
        && headers.get(SEC_WEBSOCKET_ACCEPT) == Some(accept)
        && !headers.contains_key(SEC_WEBSOCKET_EXTENSIONS)
        && !headers.contains_key(SEC_WEBSOCKET_PROTOCOL)
}

/// The 101 for the client, with these headers of the provider's.
pub(super) fn answer(mut headers: HeaderMap, accept: HeaderValue) -> Response<Body> {
    strip(&mut headers);
    headers.remove(CONTENT_LENGTH);
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(SEC_WEBSOCKET_ACCEPT, accept);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    *response.headers_mut() = headers;
    response
}
