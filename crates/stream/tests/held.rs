//! An end that is held back until something else is done.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bytes::Bytes;
use futures_util::FutureExt as _;
use http_body::{Body, Frame, SizeHint};
use http_body_util::BodyExt as _;
use lychgate_stream::{Failure, Idle, Last, LastWords, RelayBody, Watch};
use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::sync::oneshot;

/// These frames, and then the end; of known length or not. `~` stands for trailers, `!` for a broken connection.
struct Frames {
    frames: VecDeque<&'static str>,
    known: bool,
}

impl Body for Frames {
    type Data = Bytes;
    type Error = std::io::Error;

    fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, std::io::Error>>> {
        Poll::Ready(self.frames.pop_front().map(|text| match text {
            "~" => Ok(Frame::trailers(Default::default())),
            "!" => Err(std::io::ErrorKind::ConnectionReset.into()),
            text => Ok(Frame::data(Bytes::from_static(text.as_bytes()))),
        }))
    }

    fn is_end_stream(&self) -> bool {
        self.known && self.frames.is_empty()
    }

    fn size_hint(&self) -> SizeHint {
        let length = self.frames.iter().map(|text| text.len() as u64).sum();
        if self.known {
            SizeHint::with_exact(length)
        } else {
            SizeHint::default()
        }
    }
}

/// Holds the end back until it is released or refused.
struct Holder {
    leave: oneshot::Receiver<Result<(), &'static str>>,
    last: &'static str,
}

impl Holder {
    fn last(self) -> Last {
        let hold = async move { self.leave.await?.map_err(Into::into) };
        Last::new(Bytes::from_static(self.last.as_bytes()), Some(Box::pin(hold)))
    }
}

impl Watch<Frames> for Holder {
    fn data(&mut self, bytes: Bytes) -> Bytes {
        bytes
    }

    fn complete(self) -> Last {
        self.last()
    }

    fn failed(self, _: &Failure) -> LastWords {
        LastWords::Failure(self.last())
    }

    fn left(self, _: Frames) {}
}

type Leave = oneshot::Sender<Result<(), &'static str>>;

fn held(frames: &[&'static str], known: bool, last: &'static str) -> (RelayBody<Frames, Holder>, Leave) {
    let (say, leave) = oneshot::channel();
    let body = Frames {
        frames: frames.iter().copied().collect(),
        known,
    };
    let relay = RelayBody::new(body, Holder { leave, last }, Idle::new(Duration::from_secs(10)));
    (relay, say)
}

/// What comes until the reader has to wait, or until the end or failure.
fn next(body: &mut RelayBody<Frames, Holder>) -> Vec<String> {
    let mut seen = Vec::new();
    while let Some(frame) = body.frame().now_or_never() {
        match frame {
            None => {
                assert!(body.is_end_stream());
                seen.push("end".to_owned());
                return seen;
            }
            Some(Err(failure)) => seen.push(failure.to_string()),
            Some(Ok(frame)) => match frame.into_data() {
                Ok(data) => seen.push(String::from_utf8(data.to_vec()).unwrap()),
                Err(_) => seen.push("trailers".to_owned()),
            },
        }
    }
    assert!(!body.is_end_stream());
    seen.push("waits".to_owned());
    seen
}

#[tokio::test]
async fn what_shows_the_end_waits_and_nothing_before_it() {
    for (frames, known, last, before, after) in [
        (&["a", "b"][..], false, "", &["a", "b", "waits"][..], &["end"][..]),
        // The last of a known length shows the end by itself.
        (&["a", "b"], true, "", &["a", "waits"], &["b", "end"]),
        (&["a", "~"], true, "", &["a", "waits"], &["trailers", "end"]),
        (&["a"], false, "z", &["a", "waits"], &["z", "end"]),
        (&["a"], true, "z", &["waits"], &["a", "z", "end"]),
        (&[], false, "", &["waits"], &["end"]),
        (&[], true, "", &["waits"], &["end"]),
    ] {
        let (mut body, leave) = held(frames, known, last);
        assert_eq!(next(&mut body), before, "{frames:?} {known}");
        leave.send(Ok(())).unwrap();
        assert_eq!(next(&mut body), after, "{frames:?} {known}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_end_that_may_not_be_shown_is_a_failure() {
    for known in [false, true] {
        let (mut body, leave) = held(&["a"], known, "z");
        next(&mut body);
        leave.send(Err("no")).unwrap();
        let failure = body.frame().await.unwrap().unwrap_err();
        assert!(matches!(failure, Failure::Held(why) if why.to_string() == "no"));
        assert!(body.frame().await.is_none() && body.is_end_stream());
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_waits_too() {
    let (mut body, leave) = held(&["a", "!"], false, "z");
    assert_eq!(next(&mut body), ["a", "waits"]);
    leave.send(Ok(())).unwrap();
    assert_eq!(next(&mut body), ["z", "waits"]);
    let failure = body.frame().await.unwrap().unwrap_err();
    assert!(matches!(failure, Failure::Cut(_)));
}

#[tokio::test]
async fn a_body_that_is_over_before_its_head_is_sent_can_be_waited_for() {
    let (mut body, leave) = held(&[], true, "");
    assert!(body.settled().now_or_never().is_none() && !body.is_end_stream());
    leave.send(Ok(())).unwrap();
    body.settled().await.unwrap();
    assert!(body.is_end_stream());

    let (mut body, leave) = held(&[], true, "");
    leave.send(Err("no")).unwrap();
    body.settled().await.unwrap_err();

    let (mut body, _leave) = held(&["a"], true, "");
    body.settled().await.unwrap();
    assert!(!body.is_end_stream());
}
