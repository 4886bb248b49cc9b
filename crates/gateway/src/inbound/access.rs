//! The line of a request in the access log, written when its answer has ended.
//!
//! Not here: where lines go (`access_log`), and what a request cost (its record, by `interception_id`).

use crate::access_log::AccessLog;
use crate::error::REASON;
use crate::exchange::headers::INTERCEPTION_ID;
use crate::exchange::recorder::REQUEST_IDS;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Version};
use http_body::Frame;
use lychgate_types::Timestamp;
use lychgate_types::secret::holds_secret_escaped;
use serde::Serialize;
use std::net::SocketAddr;
use std::time::Duration;
use tokio::time::Instant;

/// Longest text of a client that a line repeats, in bytes.
const TEXT: usize = 256;

/// A request whose answer has no head yet.
pub(crate) struct Asked {
    log: AccessLog,
    at: Timestamp,
    start: Instant,
    peer: SocketAddr,
    method: Method,
    path: String,
    version: Version,
    host: Option<String>,
    user_agent: Option<String>,
    request_bytes: Option<u64>,
}

impl Asked {
    pub(crate) fn new<B>(log: &AccessLog, request: &Request<B>, peer: SocketAddr) -> Self {
        let headers = request.headers();
        Self {
            log: log.clone(),
            at: log.now(),
            start: Instant::now(),
            peer,
            method: request.method().clone(),
            path: shown(request.uri().path().as_bytes()),
            version: request.version(),
            host: text(headers, &HOST),
            user_agent: text(headers, &USER_AGENT),
            request_bytes: headers
                .get(CONTENT_LENGTH)
                .and_then(|size| size.to_str().ok()?.parse().ok()),
        }
    }

    pub(crate) fn answered<B>(self, answer: &Response<B>) -> Access {
        let headers = answer.headers();
        Access {
            answered_after: self.start.elapsed(),
            status: answer.status(),
            reason: text(headers, &REASON),
            interception_id: text(headers, &INTERCEPTION_ID),
            request_id: REQUEST_IDS.iter().find_map(|name| text(headers, name)),
            response_bytes: 0,
            is_complete: false,
            asked: self,
        }
    }
}

/// A request that is being answered; its line is written when this is dropped.
pub(crate) struct Access {
    asked: Asked,
    answered_after: Duration,
    status: StatusCode,
    reason: Option<String>,
    interception_id: Option<String>,
    request_id: Option<String>,
    response_bytes: u64,
    is_complete: bool,
}

impl Access {
    /// Counts what is sent of the body; `None` is its end.
    pub(crate) fn sent<E>(&mut self, frame: Option<&Result<Frame<Bytes>, E>>, is_end: bool) {
        if let Some(Ok(frame)) = frame {
            self.response_bytes += frame.data_ref().map_or(0, |data| data.len() as u64);
        }
        self.is_complete = is_end && !matches!(frame, Some(Err(_)));
    }
}

#[derive(Serialize)]
struct Line<'a> {
    time: Timestamp,
    peer: SocketAddr,
    method: &'a str,
    path: &'a str,
    http_version: &'static str,
    host: Option<&'a str>,
    user_agent: Option<&'a str>,
    status: u16,
    reason: Option<&'a str>,
    interception_id: Option<&'a str>,
    request_id: Option<&'a str>,
    request_bytes: Option<u64>,
    response_bytes: u64,
    headers_ms: f64,
    duration_ms: f64,
    complete: bool,
}

impl Drop for Access {
    fn drop(&mut self) {
        let asked = &self.asked;
        let line = Line {
            time: asked.at,
            peer: asked.peer,
            method: asked.method.as_str(),
            path: &asked.path,
            http_version: match asked.version {
                Version::HTTP_2 => "2",
                Version::HTTP_10 => "1.0",
                _ => "1.1",
            },
            host: asked.host.as_deref(),
            user_agent: asked.user_agent.as_deref(),
            status: self.status.as_u16(),
            reason: self.reason.as_deref(),
            interception_id: self.interception_id.as_deref(),
            request_id: self.request_id.as_deref(),
            request_bytes: asked.request_bytes,
            response_bytes: self.response_bytes,
            headers_ms: millis(self.answered_after),
            duration_ms: millis(asked.start.elapsed()),
            complete: self.is_complete,
        };
        asked.log.write(&line);
    }
}

fn millis(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e3
}

fn text(headers: &HeaderMap, name: &HeaderName) -> Option<String> {
    headers.get(name).map(|value| shown(value.as_bytes()))
}

/// Text of a client, cut to a bounded length. People put tokens into the strangest places.
fn shown(text: &[u8]) -> String {
    if holds_secret_escaped(text) {
        return "[withheld: it contains a secret]".to_owned();
    }
    String::from_utf8_lossy(text.get(..TEXT).unwrap_or(text)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use lychgate_types::Ambient;

    #[test]
    fn what_clients_send_is_bounded_and_secrets_are_withheld() {
        assert_eq!(shown(b"/ai/claude/v1/messages"), "/ai/claude/v1/messages");
        assert_eq!(shown(&[b'a'; 10_000]).len(), TEXT);
        let token = lychgate_types::secret::UserTokenSecret::generate(&Ambient::system());
        let path = format!("/ai/{}/v1", token.expose());
        assert_eq!(shown(path.as_bytes()), "[withheld: it contains a secret]");
    }
}
