//! The pieces, each at its edges.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::{Body, Frame, SizeHint};
use http_body_util::{BodyExt, Full};
use lychgate_stream::{
    Failure, Idle, Joined, Last, LastWords, Paced, ReadError, ReadLimits, RelayBody, Watch, discard, read_bounded,
};
use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

type Script = VecDeque<Step>;

enum Step {
    Data(&'static str),
    Trailers,
    Broken,
    /// Nothing, for ever.
    Silence,
}

/// A body that does what it is told; of known length when nothing but data is to come.
struct Scripted {
    steps: Script,
    knows_length: bool,
}

impl Body for Scripted {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        match self.steps.pop_front() {
            Some(Data(text)) => Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(text.as_bytes()))))),
            Some(Trailers) => Poll::Ready(Some(Ok(Frame::trailers(Default::default())))),
            Some(Broken) => Poll::Ready(Some(Err(std::io::ErrorKind::ConnectionReset.into()))),
            Some(Silence) => {
                self.steps.push_front(Silence);
                Poll::Pending
            }
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.knows_length && self.steps.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self
            .steps
            .iter()
            .map(|step| if let Data(text) = step { text.len() as u64 } else { 0 })
            .sum();
        if self.knows_length {
            SizeHint::with_exact(length)
        } else {
            SizeHint::default()
        }
    }
}

/// Writes down what it is told.
struct Log {
    lines: Arc<Mutex<Vec<String>>>,
    last: &'static str,
    /// Whether a failure is passed off as a proper end.
    mends: bool,
    /// Withholds this piece.
    without: &'static str,
}

impl Log {
    fn say(&self, line: impl Into<String>) {
        self.lines.lock().unwrap().push(line.into());
    }
}

impl Watch<Scripted> for Log {
    fn data(&mut self, bytes: Bytes) -> Bytes {
        self.say(std::str::from_utf8(&bytes).unwrap());
        if bytes == self.without { Bytes::new() } else { bytes }
    }
    fn keeps_length(&self) -> bool {
        self.without.is_empty()
    }
    fn complete(self) -> Last {
        self.say("complete");
        Bytes::from_static(self.last.as_bytes()).into()
    }
    fn failed(self, failure: &Failure) -> LastWords {
        self.say(failure.to_string());
        let last = Bytes::from_static(self.last.as_bytes()).into();
        if self.mends {
            LastWords::End(last)
        } else {
            LastWords::Failure(last)
        }
    }
    fn left(self, rest: Scripted) {
        self.say(format!("left with {} to come", rest.steps.len()));
    }
}

struct Case {
    steps: Vec<Step>,
    knows_length: bool,
    last: &'static str,
    mends: bool,
    without: &'static str,
}

fn of(steps: Vec<Step>) -> Case {
    Case {
        steps,
        knows_length: false,
        last: "",
        mends: false,
        without: "",
    }
}

impl Case {
    fn relay(self) -> (RelayBody<Scripted, Log>, Arc<Mutex<Vec<String>>>) {
        let lines = Arc::default();
        let log = Log {
            lines: Arc::clone(&lines),
            last: self.last,
            mends: self.mends,
            without: self.without,
        };
        let body = Scripted {
            steps: self.steps.into(),
            knows_length: self.knows_length,
        };
        (RelayBody::new(body, log, Idle::new(Duration::from_secs(10))), lines)
    }

    /// What the reader sees and, for each of it, what the watcher had been told by then.
    async fn run(self) -> Vec<String> {
        let (mut body, lines) = self.relay();
        let mut seen = Vec::new();
        loop {
            let frame = body.frame().await;
            let told = lines.lock().unwrap().join(" ");
            match frame {
                None => {
                    seen.push(format!("end | {told}"));
                    assert!(body.is_end_stream());
                    return seen;
                }
                Some(Err(failure)) => seen.push(format!("{failure} | {told}")),
                Some(Ok(frame)) => match frame.into_data() {
                    Ok(data) => seen.push(format!("{} | {told}", std::str::from_utf8(&data).unwrap())),
                    Err(_) => seen.push(format!("trailers | {told}")),
                },
            }
        }
    }
}

use Step::{Broken, Data, Silence, Trailers};

#[tokio::test]
async fn the_end_is_told_before_the_reader_can_know() {
    assert_eq!(
        of(vec![Data("a"), Data("b")]).run().await,
        ["a | a", "b | a b", "end | a b complete"]
    );
    let known = Case {
        knows_length: true,
        ..of(vec![Data("a"), Data("b")])
    };
    assert_eq!(known.run().await, ["a | a", "b | a b complete", "end | a b complete"]);
    let trailing = Case {
        knows_length: true,
        ..of(vec![Data("a"), Trailers])
    };
    assert_eq!(
        trailing.run().await,
        ["a | a", "trailers | a complete", "end | a complete"]
    );
}

#[tokio::test]
async fn an_empty_body_ends_where_it_begins() {
    let (body, lines) = Case {
        knows_length: true,
        ..of(vec![])
    }
    .relay();
    assert!(body.is_end_stream());
    assert_eq!(*lines.lock().unwrap(), ["complete"]);
    drop(body);
    assert_eq!(lines.lock().unwrap().len(), 1);
}

#[tokio::test]
async fn the_watcher_may_withhold_and_add() {
    let case = Case {
        without: "b",
        last: "z",
        knows_length: true,
        ..of(vec![Data("a"), Data("b")])
    };
    let (body, _) = case.relay();
    assert_eq!(body.size_hint().exact(), None);
    let case = Case {
        without: "b",
        last: "z",
        knows_length: true,
        ..of(vec![Data("a"), Data("b"), Data("c"), Data("b")])
    };
    assert_eq!(
        case.run().await,
        ["a | a", "c | a b c", "z | a b c b complete", "end | a b c b complete"]
    );
}

#[tokio::test]
async fn the_length_goes_on_when_the_bytes_do() {
    let (mut body, _) = Case {
        knows_length: true,
        ..of(vec![Data("abc"), Data("de")])
    }
    .relay();
    assert_eq!(body.size_hint().exact(), Some(5));
    body.frame().await.unwrap().unwrap();
    assert_eq!(body.size_hint().exact(), Some(2));
}

#[tokio::test(start_paused = true)]
async fn a_failure_reaches_the_reader_behind_all_the_bytes() {
    let cut = of(vec![Data("a"), Broken]).run().await;
    assert_eq!(
        cut,
        [
            "a | a",
            "the body was cut | a the body was cut",
            "end | a the body was cut"
        ]
    );
    let held = Case {
        last: "z",
        ..of(vec![Data("a"), Broken])
    }
    .run()
    .await;
    assert_eq!(
        held[1..3],
        ["z | a the body was cut", "the body was cut | a the body was cut"]
    );
    let mended = Case {
        last: "z",
        mends: true,
        ..of(vec![Data("a"), Broken])
    }
    .run()
    .await;
    assert_eq!(mended[1..], ["z | a the body was cut", "end | a the body was cut"]);

    // The server gets a moment to write what it has before it is told to drop everything.
    let (mut body, _) = of(vec![Data("a"), Broken]).relay();
    body.frame().await.unwrap().unwrap();
    assert!(body.frame().now_or_never().is_none());
    assert!(body.frame().await.unwrap().is_err());
}

#[tokio::test(start_paused = true)]
async fn silence_is_measured_from_the_last_piece() {
    let (mut body, lines) = of(vec![Data("a"), Silence]).relay();
    body.frame().await.unwrap().unwrap();
    // Time in which nobody asks is the reader's, not the sender's.
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(body.frame().now_or_never().is_none());
    tokio::time::advance(Duration::from_millis(9999)).await;
    assert!(body.frame().now_or_never().is_none());
    assert!(matches!(body.frame().await, Some(Err(Failure::Idle))));
    assert_eq!(*lines.lock().unwrap(), ["a", "the body stalled"]);
}

#[tokio::test(start_paused = true)]
async fn a_piece_starts_the_silence_anew() {
    let mut idle = Idle::new(Duration::from_secs(10));
    let expired =
        async |idle: &mut Idle| std::future::poll_fn(|cx| Poll::Ready(idle.poll_expired(cx).is_ready())).await;
    for _ in 0..3 {
        assert!(!expired(&mut idle).await);
        tokio::time::advance(Duration::from_secs(9)).await;
        assert!(!expired(&mut idle).await);
        idle.moved();
    }
    assert!(!expired(&mut idle).await);
    tokio::time::advance(Duration::from_millis(10_001)).await;
    assert!(expired(&mut idle).await);
}

#[tokio::test(start_paused = true)]
async fn the_whole_has_an_end_however_much_comes() {
    let relayed = |idle, steps| {
        let lines = Arc::new(Mutex::new(Vec::new()));
        let log = Log {
            lines: Arc::clone(&lines),
            last: "",
            mends: true,
            without: "",
        };
        (RelayBody::new(scripted(steps), log, idle), lines)
    };
    let end = || tokio::time::Instant::now() + Duration::from_secs(5);

    // Silence that would be borne for longer.
    let (mut body, lines) = relayed(
        Idle::new(Duration::from_secs(60)).until(end()),
        vec![Data("a"), Silence],
    );
    let begun = tokio::time::Instant::now();
    while body.frame().await.is_some() {}
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    assert_eq!(*lines.lock().unwrap(), ["a", "the body took too long"]);

    // Silence comes first.
    let (mut body, lines) = relayed(Idle::new(Duration::from_secs(2)).until(end()), vec![Data("a"), Silence]);
    while body.frame().await.is_some() {}
    assert_eq!(*lines.lock().unwrap(), ["a", "the body stalled"]);

    // A reader so slow that there is always something to read.
    let steps = (0..10_000).map(|_| Data("a")).collect();
    let (mut body, lines) = relayed(Idle::new(Duration::from_secs(60)).until(end()), steps);
    while body.frame().await.is_some() {
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    let lines = lines.lock().unwrap();
    assert_eq!(lines.last().unwrap(), "the body took too long");
    assert!(lines.len() < 50, "{}", lines.len());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_takes_nothing_is_given_up() {
    let limit = Duration::from_secs(60);
    let (ours, mut theirs) = tokio::io::duplex(8);
    let mut paced = Paced::new(ours, limit);
    let begun = tokio::time::Instant::now();
    paced.write_all(b"12345678").await.unwrap();
    // Each byte taken starts the time anew.
    for _ in 0..3 {
        let (taken, written) = tokio::join!(
            async {
                tokio::time::sleep(Duration::from_secs(50)).await;
                theirs.read_u8().await
            },
            paced.write_all(b"9"),
        );
        taken.unwrap();
        written.unwrap();
    }
    assert_eq!(begun.elapsed(), Duration::from_secs(150));
    let error = paced.write_all(b"0").await.unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::TimedOut);
    assert_eq!(begun.elapsed(), Duration::from_secs(150) + limit);
    // Reading has no such limit.
    let (read, ()) = tokio::join!(paced.read_u8(), async {
        tokio::time::sleep(limit * 10).await;
        theirs.write_u8(7).await.unwrap();
    });
    assert_eq!(read.unwrap(), 7);
}

#[tokio::test]
async fn who_leaves_leaves_the_rest_once() {
    let (mut body, lines) = of(vec![Data("a"), Data("b"), Data("c")]).relay();
    body.frame().await.unwrap().unwrap();
    drop(body);
    assert_eq!(*lines.lock().unwrap(), ["a", "left with 2 to come"]);
    let (mut body, lines) = of(vec![]).relay();
    assert!(body.frame().await.is_none());
    drop(body);
    assert_eq!(*lines.lock().unwrap(), ["complete"]);
}

const LIMITS: ReadLimits = ReadLimits {
    bytes: 4,
    idle: Duration::from_secs(1),
    total: Duration::from_secs(3),
};

fn scripted(steps: Vec<Step>) -> Scripted {
    Scripted {
        steps: steps.into(),
        knows_length: false,
    }
}

#[tokio::test(start_paused = true)]
async fn a_bounded_read_at_its_bounds() {
    let whole = read_bounded(&mut scripted(vec![Data("ab"), Trailers, Data("cd")]), LIMITS)
        .await
        .unwrap();
    assert_eq!(whole, "abcd");
    assert_eq!(read_bounded(&mut scripted(vec![]), LIMITS).await.unwrap(), "");
    for over in [vec![Data("abcde")], vec![Data("ab"), Data("cde")]] {
        assert!(matches!(
            read_bounded(&mut scripted(over), LIMITS).await,
            Err(ReadError::TooLarge)
        ));
    }
    for broken in [vec![Broken], vec![Data("a"), Broken]] {
        assert!(matches!(
            read_bounded(&mut scripted(broken), LIMITS).await,
            Err(ReadError::Broken(_))
        ));
    }
    for slow in [vec![Silence], vec![Data("a"), Silence]] {
        assert!(matches!(
            read_bounded(&mut scripted(slow), LIMITS).await,
            Err(ReadError::TooSlow)
        ));
    }
}

#[tokio::test]
async fn a_declared_length_over_the_limit_is_refused_unread() {
    let mut body = Scripted {
        steps: vec![Data("abcde")].into(),
        knows_length: true,
    };
    assert!(matches!(
        read_bounded(&mut body, LIMITS).await,
        Err(ReadError::TooLarge)
    ));
    assert_eq!(body.steps.len(), 1);
}

#[tokio::test]
async fn a_body_in_one_piece_is_not_copied() {
    let bytes = Bytes::from_static(b"abcd");
    let read = read_bounded(&mut Full::new(bytes.clone()), LIMITS).await.unwrap();
    assert_eq!(read.as_ptr(), bytes.as_ptr());
}

/// One byte every 0.9 seconds: never idle, and yet too slow.
struct Drip(Pin<Box<tokio::time::Sleep>>);

impl Body for Drip {
    type Data = Bytes;
    type Error = std::io::Error;
    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        std::task::ready!(self.0.as_mut().poll(cx));
        self.0 = Box::pin(tokio::time::sleep(Duration::from_millis(900)));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"a")))))
    }
}

#[tokio::test(start_paused = true)]
async fn a_trickle_is_too_slow_as_a_whole() {
    let mut drip = Drip(Box::pin(tokio::time::sleep(Duration::ZERO)));
    let limits = ReadLimits { bytes: 1000, ..LIMITS };
    assert!(matches!(read_bounded(&mut drip, limits).await, Err(ReadError::TooSlow)));
}

#[tokio::test(start_paused = true)]
async fn a_discard_ends_by_bytes_time_or_end() {
    let mut body = scripted(vec![Data("abc"), Data("def"), Data("ghi")]);
    discard(&mut body, 4, Duration::from_secs(1)).await;
    assert_eq!(body.steps.len(), 1);
    let mut body = scripted(vec![Data("abc"), Broken, Data("def")]);
    discard(&mut body, 100, Duration::from_secs(1)).await;
    assert_eq!(body.steps.len(), 1);
    let before = tokio::time::Instant::now();
    discard(&mut scripted(vec![Silence]), 100, Duration::from_secs(1)).await;
    assert!(before.elapsed() < Duration::from_millis(1100));
}

/// What a body gives, as text; `!` stands for trailers, `X` for a failure, `~` for silence.
fn pieces<B: Body<Data = Bytes> + Unpin>(mut body: B) -> Vec<String> {
    let mut pieces = Vec::new();
    loop {
        match body.frame().now_or_never() {
            None => pieces.push("~".to_owned()),
            Some(None) => return pieces,
            Some(Some(Err(_))) => pieces.push("X".to_owned()),
            Some(Some(Ok(frame))) => pieces.push(match frame.into_data() {
                Ok(data) => String::from_utf8(data.to_vec()).unwrap(),
                Err(_) => "!".to_owned(),
            }),
        }
        if pieces.last().is_some_and(|last| last == "~") {
            return pieces;
        }
    }
}

#[test]
fn small_pieces_that_are_there_go_on_together() {
    for (steps, wanted) in [
        (vec![], vec![]),
        (vec![Data("a")], vec!["a"]),
        (vec![Data("a"), Data(""), Data("bc"), Data("d")], vec!["abcd"]),
        (vec![Data("a"), Data("b"), Silence], vec!["ab", "~"]),
        (vec![Data("a"), Data("b"), Trailers], vec!["ab", "!"]),
        (vec![Data("a"), Broken, Data("b")], vec!["a", "X", "b"]),
        (vec![Broken], vec!["X"]),
    ] {
        assert_eq!(pieces(Joined::new(scripted(steps))), wanted);
    }
}

#[test]
fn what_is_large_is_not_copied_and_what_is_joined_stays_within_bounds() {
    static LARGE: &str = match std::str::from_utf8(&[b'x'; 5000]) {
        Ok(text) => text,
        Err(_) => unreachable!(),
    };
    let frame = Joined::new(scripted(vec![Data(LARGE), Data("a")]))
        .frame()
        .now_or_never();
    assert_eq!(
        frame.unwrap().unwrap().unwrap().into_data().unwrap().as_ptr(),
        LARGE.as_ptr()
    );
    let many = |_| Data(&LARGE[..4000]);
    let sizes: Vec<_> = pieces(Joined::new(scripted((0..10).map(many).collect())))
        .iter()
        .map(String::len)
        .collect();
    assert_eq!(sizes, [20_000, 20_000]);
}

#[test]
fn a_joined_body_of_known_length_ends_with_its_last_piece() {
    let mut case = Joined::new(Scripted {
        steps: vec![Data("ab"), Data("c")].into(),
        knows_length: true,
    });
    assert_eq!(case.size_hint().exact(), Some(3));
    assert!(!case.is_end_stream());
    assert_eq!(
        case.frame()
            .now_or_never()
            .unwrap()
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap(),
        "abc"
    );
    assert!(case.is_end_stream());
}
