//! A provider on a bare socket, which sends the scripted answers amiss: to the byte, and against HTTP where that is wanted.

use super::plan::Plan;
use crate::dice::Dice;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Names the plan that a request follows.
pub(super) const NUMBER: &str = "x-chaos";
/// More than any client reads of a head.
const GIANT: usize = 2 << 20;

/// What is done to one attempt. Places in the answer are in thousandths of all its bytes, head included.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    None,
    /// A TCP reset at this place; at 0 before any byte.
    Reset(usize),
    /// The connection is closed at this place.
    Close(usize),
    /// Nothing more comes from this place on; the connection stays open.
    Stall(usize),
    /// The whole answer, in many small pieces with pauses.
    Drip,
    /// Comments, for ever.
    Endless,
    /// This status, with a `Retry-After-Ms` if it is not zero.
    Status(u16, usize),
    /// A head that nobody wants to read.
    GiantHead,
    /// `Content-Length` promises more than comes.
    TooLong,
    /// `Content-Length` promises less than comes.
    TooShort,
    /// A head of success, and then the end of the body.
    Empty,
    /// Something that is not HTTP.
    Noise,
}

impl Fault {
    pub(super) fn draw(dice: &mut Dice) -> Self {
        match dice.below(100) {
            0..35 => Self::None,
            35..45 => Self::Reset(dice.below(1000)),
            45..50 => Self::Reset(0),
            50..57 => Self::Close(dice.below(1000)),
            57..62 => Self::Stall(dice.below(1000)),
            62..66 => Self::Drip,
            66..68 => Self::Endless,
            68..78 => Self::Status(429, dice.of(&[0, 0, 30, 60_000])),
            78..84 => Self::Status(529, 0),
            84..88 => Self::Status(dice.of(&[500, 502, 503, 504]), 0),
            88..90 => Self::GiantHead,
            90..93 => Self::TooLong,
            93..96 => Self::TooShort,
            96..98 => Self::Empty,
            _ => Self::Noise,
        }
    }

    /// Whether the provider would never come to an end by itself.
    pub(super) fn is_endless(self) -> bool {
        matches!(self, Self::Stall(_) | Self::Endless)
    }
}

/// The provider. It stops when dropped.
pub(super) struct Faulty {
    pub(super) addr: SocketAddr,
    attempts: Arc<Vec<AtomicUsize>>,
    server: JoinHandle<()>,
}

struct Shared {
    plans: Vec<Plan>,
    attempts: Arc<Vec<AtomicUsize>>,
    dice: Mutex<Dice>,
}

impl Faulty {
    pub(super) async fn start(plans: &[Plan], seed: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let addr = listener.local_addr().unwrap();
        let attempts: Arc<Vec<_>> = Arc::new(plans.iter().map(|_| AtomicUsize::new(0)).collect());
        let shared = Arc::new(Shared {
            plans: plans.to_vec(),
            attempts: Arc::clone(&attempts),
            dice: Mutex::new(Dice::new(seed ^ 0xfa17)),
        });
        let server = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let shared = Arc::clone(&shared);
                // A connection that the gateway breaks is its own affair.
                connections.spawn(async move { drop(shared.serve(stream).await) });
                while connections.try_join_next().is_some() {}
            }
        });
        Self { addr, attempts, server }
    }

    /// How many requests of each plan came.
    pub(super) fn attempts(&self) -> Vec<usize> {
        self.attempts.iter().map(|count| count.load(Ordering::SeqCst)).collect()
    }
}

impl Drop for Faulty {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Shared {
    async fn serve(&self, mut stream: TcpStream) -> io::Result<()> {
        let mut buffer = Vec::new();
        loop {
            let number = request(&mut stream, &mut buffer).await?;
            let plan = &self.plans[number];
            let attempt = self.attempts[number].fetch_add(1, Ordering::SeqCst);
            if !self.answer(&mut stream, plan, plan.fault(attempt)).await? {
                return Ok(());
            }
        }
    }

    /// Whether the connection can be used again.
    async fn answer(&self, stream: &mut TcpStream, plan: &Plan, fault: Fault) -> io::Result<bool> {
        let whole = whole(plan);
        let until = |thousandths: usize| &whole[..whole.len() * thousandths / 1000];
        match fault {
            Fault::None => stream.write_all(&whole).await?,
            Fault::Reset(place) => {
                stream.write_all(until(place)).await?;
                stream.set_zero_linger()?;
                return Ok(false);
            }
            Fault::Close(place) => {
                stream.write_all(until(place)).await?;
                return Ok(false);
            }
            Fault::Stall(place) => {
                stream.write_all(until(place)).await?;
                closed(stream).await;
                return Ok(false);
            }
            Fault::Drip => {
                for piece in whole.chunks(whole.len() / 25 + 1) {
                    stream.write_all(piece).await?;
                    let pause = self.dice.lock().unwrap().below(16) as u64;
                    tokio::time::sleep(Duration::from_millis(pause)).await;
                }
            }
            Fault::Endless => {
                stream
                    .write_all(
                        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n",
                    )
                    .await?;
                loop {
                    stream.write_all(b"f\r\n: keep-alive\n\n\r\n").await?;
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            }
            Fault::Status(status, after) => {
                let wait = if after == 0 {
                    String::new()
                } else {
                    format!("retry-after-ms: {after}\r\n")
                };
                let body = r#"{"type":"error","error":{"type":"some_error","message":"as it was drawn"}}"#;
                let length = body.len();
                let answer = format!(
                    "HTTP/1.1 {status} No\r\ncontent-type: application/json\r\n{wait}content-length: {length}\r\n\r\n{body}"
                );
                stream.write_all(answer.as_bytes()).await?;
            }
            Fault::GiantHead => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nx-giant: ").await?;
                stream.write_all(&vec![b'x'; GIANT]).await?;
                stream.write_all(b"\r\ncontent-length: 2\r\n\r\n{}").await?;
                return Ok(false);
            }
            Fault::TooLong | Fault::TooShort => {
                let length = if fault == Fault::TooLong {
                    plan.answer.len() + 7
                } else {
                    plan.answer.len() - 7
                };
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: {}\r\ncontent-length: {length}\r\n\r\n",
                    kind(plan)
                );
                stream.write_all(&[head.as_bytes(), &plan.answer].concat()).await?;
                // What is too much stays on the connection, for its next user.
                return Ok(fault == Fault::TooShort);
            }
            Fault::Empty => {
                let head = format!(
                    "HTTP/1.1 200 OK\r\ncontent-type: {}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
                    kind(plan)
                );
                stream.write_all(head.as_bytes()).await?;
            }
            Fault::Noise => {
                stream.write_all(b"\x16\x03\x01\0\xff220 mail ready\r\n\r\n").await?;
                return Ok(false);
            }
        }
        Ok(true)
    }
}

fn kind(plan: &Plan) -> &'static str {
    if plan.stream {
        "text/event-stream; charset=utf-8"
    } else {
        "application/json"
    }
}

/// The answer with nothing amiss.
fn whole(plan: &Plan) -> Vec<u8> {
    let kind = kind(plan);
    let (framing, end) = if plan.stream {
        ("transfer-encoding: chunked\r\n".to_owned(), &b"\r\n0\r\n\r\n"[..])
    } else {
        (format!("content-length: {}\r\n", plan.answer.len()), &b""[..])
    };
    let mut whole =
        format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\nrequest-id: req_chaos\r\n{framing}\r\n").into_bytes();
    if plan.stream {
        whole.extend(format!("{:x}\r\n", plan.answer.len()).bytes());
    }
    whole.extend_from_slice(&plan.answer);
    whole.extend_from_slice(end);
    whole
}

/// Reads one request; the number that it bears.
async fn request(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        if let Some(end) = buffer.windows(4).position(|window| window == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&buffer[..end]).to_ascii_lowercase();
            let number = |name: &str| -> usize {
                let value = head
                    .lines()
                    .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "));
                value
                    .unwrap_or_default()
                    .parse()
                    .unwrap_or_else(|why| panic!("{name}: {why}: {head}"))
            };
            let all = end + 4 + number("content-length");
            if buffer.len() >= all {
                buffer.drain(..all);
                return Ok(number(NUMBER));
            }
        }
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
}

/// Waits until the other side gives up.
async fn closed(stream: &mut TcpStream) {
    let mut rest = [0; 64];
    while let Ok(1..) = stream.read(&mut rest).await {}
}
