//! What is put into a body while its sender is silent, and when.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body_util::BodyExt as _;
use lychgate_stream::{Failure, Idle, Last, LastWords, RelayBody, Watch};
use std::time::Duration;
use support::Step::{self, Broken, Data, Silence, Trailers};
use support::{Scripted, scripted};
use tokio::time::{Instant, advance};

/// Puts a `-` behind an `a`.
#[derive(Default)]
struct Filling(Option<u8>);

impl Watch<Scripted> for Filling {
    fn data(&mut self, bytes: Bytes) -> Bytes {
        self.0 = bytes.last().copied();
        bytes
    }
    fn filler(&mut self) -> Option<Bytes> {
        (self.0 == Some(b'a')).then(|| Bytes::from_static(b"-"))
    }
    fn complete(self) -> Last {
        Last::default()
    }
    fn failed(self, _: &Failure) -> LastWords {
        LastWords::Failure(Last::default())
    }
    fn left(self, _: Scripted) {}
}

/// What the reader of a body that falls silent sees, and after how many seconds.
async fn seen(text: &'static str, idle: Idle) -> Vec<(String, u64)> {
    seen_of(vec![Data(text), Silence], idle).await
}

async fn seen_of(steps: Vec<Step>, idle: Idle) -> Vec<(String, u64)> {
    let mut body = RelayBody::new(scripted(steps), Filling::default(), idle);
    let begun = Instant::now();
    let mut seen = Vec::new();
    while let Some(frame) = body.frame().await {
        let text = match frame {
            Ok(frame) => frame
                .into_data()
                .map_or("trailers".to_owned(), |data| String::from_utf8(data.to_vec()).unwrap()),
            Err(failure) => failure.to_string(),
        };
        seen.push((text, begun.elapsed().as_secs()));
    }
    seen
}

fn told(lines: &[(&str, u64)]) -> Vec<(String, u64)> {
    lines.iter().map(|(text, at)| ((*text).to_owned(), *at)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_filler_comes_again_and_again_and_restarts_no_limit() {
    let idle = || Idle::new(Duration::from_secs(50)).telling_every(Duration::from_secs(15));
    let stalled = ("the body stalled", 50);
    assert_eq!(
        seen("a", idle()).await,
        told(&[("a", 0), ("-", 15), ("-", 30), ("-", 45), stalled])
    );
    assert_eq!(
        seen("b", idle()).await,
        told(&[("b", 0), stalled]),
        "where none may stand"
    );
    let end = Instant::now() + Duration::from_secs(20);
    let late = ("the body took too long", 20);
    assert_eq!(seen("a", idle().until(end)).await, told(&[("a", 0), ("-", 15), late]));
    let short = Idle::new(Duration::from_secs(15)).telling_every(Duration::from_secs(15));
    assert_eq!(seen("a", short).await, told(&[("a", 0), ("the body stalled", 15)]));
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_never_silent_gets_none() {
    let idle = || Idle::new(Duration::from_secs(50)).telling_every(Duration::from_secs(15));
    let ended = seen_of(vec![Data("a"), Data("a"), Trailers], idle()).await;
    assert_eq!(ended, told(&[("a", 0), ("a", 0), ("trailers", 0)]));
    let broken = seen_of(vec![Data("a"), Broken], idle()).await;
    assert_eq!(broken, told(&[("a", 0), ("the body was cut", 0)]));
}

#[tokio::test(start_paused = true)]
async fn who_does_not_read_gets_no_more_than_one() {
    let idle = Idle::new(Duration::from_secs(500)).telling_every(Duration::from_secs(15));
    let mut body = RelayBody::new(scripted(vec![Data("a"), Silence]), Filling::default(), idle);
    body.frame().await.unwrap().unwrap();
    assert!(body.frame().now_or_never().is_none());
    advance(Duration::from_secs(100)).await;
    assert!(body.frame().now_or_never().is_some());
    assert!(body.frame().now_or_never().is_none());
    advance(Duration::from_millis(14_999)).await;
    assert!(body.frame().now_or_never().is_none());
    advance(Duration::from_millis(2)).await;
    assert!(body.frame().now_or_never().is_some());
}
