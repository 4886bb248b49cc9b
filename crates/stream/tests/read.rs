//! Bounded reads and discards.

mod support;

use bytes::Bytes;
use http_body::{Body, Frame};
use http_body_util::Full;
use lychgate_stream::{ReadError, ReadLimits, discard, read_bounded};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use support::Step::{Broken, Data, Silence, Trailers};
use support::{Scripted, scripted};

const LIMITS: ReadLimits = ReadLimits {
    bytes: 4,
    idle: Duration::from_secs(1),
    total: Duration::from_secs(3),
};

/// As much as is wanted.
fn room(_: usize) -> Result<(), ()> {
    Ok(())
}

#[tokio::test]
async fn room_is_asked_for_before_a_piece_is_kept() {
    let mut body = scripted(vec![Data("ab"), Data("c"), Data("d")]);
    let mut asked = Vec::new();
    let read = read_bounded(&mut body, LIMITS, |size| {
        asked.push(size);
        if size > 2 { Err("full") } else { Ok(()) }
    });
    assert!(matches!(read.await, Err(ReadError::NoRoom("full"))));
    assert_eq!((asked, body.steps.len()), (vec![2, 4], 1), "the rest is unread");
}

#[tokio::test(start_paused = true)]
async fn a_bounded_read_at_its_bounds() {
    let whole = read_bounded(&mut scripted(vec![Data("ab"), Trailers, Data("cd")]), LIMITS, room)
        .await
        .unwrap();
    assert_eq!(whole, "abcd");
    assert_eq!(read_bounded(&mut scripted(vec![]), LIMITS, room).await.unwrap(), "");
    for over in [vec![Data("abcde")], vec![Data("ab"), Data("cde")]] {
        assert!(matches!(
            read_bounded(&mut scripted(over), LIMITS, room).await,
            Err(ReadError::TooLarge)
        ));
    }
    for broken in [vec![Broken], vec![Data("a"), Broken]] {
        assert!(matches!(
            read_bounded(&mut scripted(broken), LIMITS, room).await,
            Err(ReadError::Broken(_))
        ));
    }
    for slow in [vec![Silence], vec![Data("a"), Silence]] {
        assert!(matches!(
            read_bounded(&mut scripted(slow), LIMITS, room).await,
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
        read_bounded(&mut body, LIMITS, room).await,
        Err(ReadError::TooLarge)
    ));
    assert_eq!(body.steps.len(), 1);
}

#[tokio::test]
async fn a_body_in_one_piece_is_not_copied() {
    let bytes = Bytes::from_static(b"abcd");
    let read = read_bounded(&mut Full::new(bytes.clone()), LIMITS, room).await.unwrap();
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
    assert!(matches!(
        read_bounded(&mut drip, limits, room).await,
        Err(ReadError::TooSlow)
    ));
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
