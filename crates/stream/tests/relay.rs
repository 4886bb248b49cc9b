//! The relay: what its watcher and its reader see, and when it gives up.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::Body;
use http_body_util::BodyExt;
use lychgate_stream::{Failure, Idle, Last, LastWords, Paced, RelayBody, Watch};
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;
use support::Step::{self, Broken, Data, Silence, Trailers};
use support::{Scripted, scripted};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

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
    // Each byte taken restarts the timer.
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
