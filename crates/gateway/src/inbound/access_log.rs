//! The access log: one JSON object a line for each request to the listener, data plane or not, written when its answer has
//! ended. `docs/access-log.md` describes the fields.
//!
//! Lines go to a thread of their own. Where that can't keep up with its disk, lines are dropped and counted; no request waits.
//!
//! Not here: the program's own log (crate `telemetry`), and what a request cost (its record, by `interception_id`).

use crate::error::REASON;
use crate::exchange::headers::INTERCEPTION_ID;
use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HOST, USER_AGENT};
use http::{HeaderMap, HeaderName, Method, Request, Response, StatusCode, Version};
use http_body::Frame;
use lychgate_types::secret::holds_secret_escaped;
use lychgate_types::{Ambient, Timestamp};
use serde::Serialize;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::Instant;
use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Lines that wait to be written; about 4 MiB.
const WAITING_LINES: usize = 8192;
/// Longest text of a client that a line repeats, in bytes.
const TEXT: usize = 256;
/// How often the file is looked for by its name.
const LOOK_EVERY: Duration = Duration::from_secs(1);
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Where lines are sent.
#[derive(Debug, Clone)]
pub struct AccessLog {
    lines: NonBlocking,
    ambient: Ambient,
}

/// Writes what is waiting when it is dropped.
#[derive(Debug)]
pub struct AccessLogGuard(#[expect(dead_code, reason = "it works by being dropped")] WorkerGuard);

impl AccessLog {
    /// Writes to standard output.
    pub fn to_stdout(ambient: Ambient) -> (Self, AccessLogGuard) {
        Self::to_writer(io::stdout(), ambient)
    }

    /// Appends to a file, which only its owner and group can read. Once another file has its name, or none, the name is opened
    /// anew: log rotation needs no signal.
    pub fn to_file(path: &Path, ambient: Ambient) -> io::Result<(Self, AccessLogGuard)> {
        Ok(Self::to_writer(NamedFile::open(path)?, ambient))
    }

    fn to_writer(writer: impl Write + Send + 'static, ambient: Ambient) -> (Self, AccessLogGuard) {
        let builder = NonBlockingBuilder::default().lossy(true).thread_name("access-log");
        let (lines, guard) = builder.buffered_lines_limit(WAITING_LINES).finish(writer);
        (Self { lines, ambient }, AccessLogGuard(guard))
    }

    /// Lines dropped so far.
    pub(crate) fn dropped(&self) -> u64 {
        self.lines.error_counter().dropped_lines() as u64
    }

    /// Begins the line of a request.
    pub(crate) fn begin<B>(&self, request: &Request<B>, peer: SocketAddr) -> Asked {
        let headers = request.headers();
        Asked {
            log: self.clone(),
            at: self.ambient.now(),
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
}

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
    pub(crate) fn answered<B>(self, answer: &Response<B>) -> Access {
        let headers = answer.headers();
        Access {
            answered_after: self.start.elapsed(),
            status: answer.status(),
            reason: text(headers, &REASON),
            interception_id: text(headers, &INTERCEPTION_ID),
            request_id: text(headers, &REQUEST_ID),
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
        if let Ok(mut line) = serde_json::to_vec(&line) {
            line.push(b'\n');
            // It fails only where the line is dropped, which is counted.
            let _ = self.asked.log.lines.write_all(&line);
        }
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

/// A file that is opened anew when its name leads elsewhere.
struct NamedFile {
    path: PathBuf,
    file: File,
    looked: Instant,
}

impl NamedFile {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).mode(0o640).open(path)?;
        Ok(Self {
            path: path.to_owned(),
            file,
            looked: Instant::now(),
        })
    }

    fn is_elsewhere(&self) -> bool {
        let identity = |found: io::Result<std::fs::Metadata>| found.ok().map(|found| (found.dev(), found.ino()));
        identity(std::fs::metadata(&self.path)) != identity(self.file.metadata())
    }
}

impl Write for NamedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.looked.elapsed() >= LOOK_EVERY {
            self.looked = Instant::now();
            if self.is_elsewhere()
                && let Ok(anew) = Self::open(&self.path)
            {
                *self = anew;
            }
        }
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_was_rotated_is_left_for_the_new_one_of_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let (path, rotated) = (
            directory.path().join("access.log"),
            directory.path().join("access.log.1"),
        );
        let mut file = NamedFile::open(&path).unwrap();
        file.write_all(b"first\n").unwrap();
        std::fs::rename(&path, &rotated).unwrap();
        file.write_all(b"second\n").unwrap();
        file.looked -= LOOK_EVERY;
        file.write_all(b"third\n").unwrap();
        assert_eq!(std::fs::read_to_string(&rotated).unwrap(), "first\nsecond\n");
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "third\n");
    }

    /// A disk that hangs, until its other end is dropped.
    struct Hanging(std::sync::mpsc::Receiver<()>);

    impl Write for Hanging {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[tokio::test]
    async fn no_request_waits_for_a_disk_that_hangs_and_lines_dropped_are_counted() {
        let (hangs, disk) = std::sync::mpsc::channel();
        let (log, _guard) = AccessLog::to_writer(Hanging(disk), Ambient::system());
        let (request, answer) = (Request::new(()), Response::new(()));
        let peer = SocketAddr::from(([127, 0, 0, 1], 1));
        for _ in 0..WAITING_LINES + 10 {
            drop(log.begin(&request, peer).answered(&answer));
        }
        // One or two are in the writer's hands.
        assert!((5..=10).contains(&log.dropped()), "{}", log.dropped());
        drop(hangs);
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
