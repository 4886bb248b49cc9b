//! Relaying one frame of a stream: untouched and unwatched, read beside the relay, and with the usage chunk's filter in the way.

use crate::samples::{STREAMED, event};
use axum::body::HttpBody;
use bytes::Bytes;
use divan::Bencher;
use http_body_util::BodyExt as _;
use hyper::body::{Frame, SizeHint};
use lychgate_stream::{Failure, Idle, Last, LastWords, RelayBody, Watch};
use lychgate_types::provider::Api;
use lychgate_wire::{ReaderOptions, ResponseReader, UsageChunkFilter};
use std::convert::Infallible;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

/// One event again and again, without an end.
struct Endless(Bytes);

impl HttpBody for Endless {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(Some(Ok(Frame::data(self.0.clone()))))
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::default()
    }
}

#[derive(Default)]
struct Watching {
    reader: Option<ResponseReader>,
    filter: Option<UsageChunkFilter>,
}

impl Watch<Endless> for Watching {
    fn data(&mut self, bytes: Bytes) -> Bytes {
        if let Some(reader) = &mut self.reader {
            reader.push(&bytes);
        }
        match &mut self.filter {
            Some(filter) => filter.push(bytes),
            None => bytes,
        }
    }

    fn complete(self) -> Last {
        Last::default()
    }

    fn failed(self, _: &Failure) -> LastWords {
        LastWords::End(Last::default())
    }

    fn left(self, _: Endless) {}
}

fn relay(bencher: Bencher<'_, '_>, api: Api, watching: Watching) {
    let body = Endless(Bytes::from_static(event(api)));
    let mut relay = RelayBody::new(body, watching, Idle::new(Duration::from_secs(300)));
    let mut cx = Context::from_waker(std::task::Waker::noop());
    bencher.bench_local(|| Pin::new(&mut relay.frame()).poll(&mut cx));
}

fn reader(api: Api) -> Option<ResponseReader> {
    Some(ResponseReader::new(api, true, ReaderOptions { capture_content: true }))
}

#[divan::bench]
fn frame_unwatched(bencher: Bencher<'_, '_>) {
    relay(bencher, Api::OpenAiChatCompletions, Watching::default());
}

#[divan::bench(args = STREAMED)]
fn frame_read(bencher: Bencher<'_, '_>, api: Api) {
    let watching = Watching {
        reader: reader(api),
        filter: None,
    };
    relay(bencher, api, watching);
}

#[divan::bench]
fn frame_read_and_filtered(bencher: Bencher<'_, '_>) {
    let api = Api::OpenAiChatCompletions;
    let watching = Watching {
        reader: reader(api),
        filter: Some(UsageChunkFilter::new()),
    };
    relay(bencher, api, watching);
}
