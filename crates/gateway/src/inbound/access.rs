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

/// A request; its line is written when this is dropped: with its answer's body, or with the request itself where the client left
/// before the head.
pub(crate) struct Access {
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
    answer: Option<Answer>,
    response_bytes: u64,
    is_complete: bool,
}

struct Answer {
    after: Duration,
    status: StatusCode,
    reason: Option<String>,
    interception_id: Option<String>,
    request_id: Option<String>,
}

impl Access {
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
            answer: None,
            response_bytes: 0,
            is_complete: false,
        }
    }

    /// The answer has a head.
    pub(crate) fn answered<B: http_body::Body>(&mut self, answer: &Response<B>) {
        let headers = answer.headers();
        self.answer = Some(Answer {
            after: self.start.elapsed(),
            status: answer.status(),
            reason: text(headers, &REASON),
            interception_id: text(headers, &INTERCEPTION_ID),
            request_id: REQUEST_IDS.iter().find_map(|name| text(headers, name)),
        });
        self.is_complete = answer.body().is_end_stream();
    }

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
    status: Option<u16>,
    reason: Option<&'a str>,
    interception_id: Option<&'a str>,
    request_id: Option<&'a str>,
    request_bytes: Option<u64>,
    response_bytes: u64,
    headers_ms: Option<f64>,
    duration_ms: f64,
    complete: bool,
}

impl Drop for Access {
    fn drop(&mut self) {
        let answer = self.answer.as_ref();
        let line = Line {
            time: self.at,
            peer: self.peer,
            method: self.method.as_str(),
            path: &self.path,
            http_version: match self.version {
                Version::HTTP_2 => "2",
                Version::HTTP_10 => "1.0",
                _ => "1.1",
            },
            host: self.host.as_deref(),
            user_agent: self.user_agent.as_deref(),
            status: answer.map(|answer| answer.status.as_u16()),
            reason: answer.and_then(|answer| answer.reason.as_deref()),
            interception_id: answer.and_then(|answer| answer.interception_id.as_deref()),
            request_id: answer.and_then(|answer| answer.request_id.as_deref()),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            headers_ms: answer.map(|answer| millis(answer.after)),
            duration_ms: millis(self.start.elapsed()),
            complete: self.is_complete,
        };
        self.log.write(&line);
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

    #[tokio::test]
    async fn a_client_that_leaves_before_the_head_has_a_line_too() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("access.log");
        let (log, guard) = AccessLog::to_file(&path, Ambient::system()).unwrap();
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        drop(Access::new(
            &log,
            &Request::get("/ai/claude/v1/messages").body(()).unwrap(),
            peer,
        ));
        drop(guard);
        let text = std::fs::read_to_string(path).unwrap();
        assert!(
            text.contains(r#""status":null"#) && text.contains(r#""complete":false"#),
            "{text}"
        );
    }

    #[test]
    fn what_clients_send_is_bounded_and_secrets_are_withheld() {
        assert_eq!(shown(b"/ai/claude/v1/messages"), "/ai/claude/v1/messages");
        assert_eq!(shown(&[b'a'; 10_000]).len(), TEXT);
        let token = lychgate_types::secret::UserTokenSecret::generate(&Ambient::system());
        let path = format!("/ai/{}/v1", token.expose());
        assert_eq!(shown(path.as_bytes()), "[withheld: it contains a secret]");
    }
}
