//! Parsing what is relayed.

use crate::samples::{FRAMED, STREAMED, body, event, frame, request};
use divan::counter::BytesCount;
use divan::{Bencher, black_box};
use lychgate_types::provider::Api;
use lychgate_wire::{ReaderOptions, ResponseReader, read_request};

const KEEP: ReaderOptions = ReaderOptions { capture_content: true };

/// One event of a stream, in one piece: after the first, the stencil matches each.
#[divan::bench(args = STREAMED)]
fn stream_event(bencher: Bencher<'_, '_>, api: Api) {
    let mut reader = ResponseReader::new(api, true, KEEP);
    bencher.bench_local(|| reader.push(black_box(event(api))));
}

/// The same event with CRLF line ends, of which no stencil is made: what each event would cost without stencils.
#[divan::bench(args = STREAMED)]
fn stream_event_without_stencil(bencher: Bencher<'_, '_>, api: Api) {
    let mut reader = ResponseReader::new(api, true, KEEP);
    let event = String::from_utf8_lossy(event(api)).replace('\n', "\r\n");
    bencher.bench_local(|| reader.push(black_box(event.as_bytes())));
}

/// One event in two pieces.
#[divan::bench(args = STREAMED)]
fn stream_event_cut_in_two(bencher: Bencher<'_, '_>, api: Api) {
    let mut reader = ResponseReader::new(api, true, KEEP);
    let (head, tail) = event(api).split_at(event(api).len() / 2);
    bencher.bench_local(|| {
        reader.push(black_box(head));
        reader.push(black_box(tail));
    });
}

/// Frames of Bedrock's streams, each a piece of text: how many bytes a second.
#[divan::bench(args = FRAMED)]
fn stream_frames(bencher: Bencher<'_, '_>, api: Api) {
    let mut reader = ResponseReader::new(api, true, KEEP);
    let frames = frame(api).repeat(64);
    bencher
        .counter(BytesCount::of_slice(&frames))
        .bench_local(|| reader.push(black_box(&frames)));
}

/// The same in pieces as they come from a network, most of which end within a frame.
#[divan::bench(args = FRAMED)]
fn stream_frames_in_pieces(bencher: Bencher<'_, '_>, api: Api) {
    let mut reader = ResponseReader::new(api, true, KEEP);
    let frames = frame(api).repeat(64);
    bencher.counter(BytesCount::of_slice(&frames)).bench_local(|| {
        for piece in frames.chunks(1448) {
            reader.push(black_box(piece));
        }
    });
}

/// What the two above are measured against: the same bytes, only copied.
#[divan::bench(args = FRAMED)]
fn frames_copied(bencher: Bencher<'_, '_>, api: Api) {
    let frames = frame(api).repeat(64);
    let mut copy = Vec::with_capacity(frames.len());
    bencher.counter(BytesCount::of_slice(&frames)).bench_local(|| {
        copy.clear();
        copy.extend_from_slice(black_box(&frames));
        black_box(&copy);
    });
}

/// A small JSON response, from its first byte to what is recorded of it.
#[divan::bench(args = STREAMED)]
fn blocking_answer(bencher: Bencher<'_, '_>, api: Api) {
    bencher.bench_local(|| {
        let mut reader = ResponseReader::new(api, false, KEEP);
        reader.push(black_box(body(api)));
        reader.finish(200)
    });
}

#[divan::bench(args = STREAMED)]
fn request_of_1_kib(bencher: Bencher<'_, '_>, api: Api) {
    let body = request(1 << 10);
    bencher.bench_local(|| read_request(api, None, black_box(&body)));
}

#[divan::bench(args = STREAMED)]
fn request_of_32_kib(bencher: Bencher<'_, '_>, api: Api) {
    let body = request(32 << 10);
    bencher.bench_local(|| read_request(api, None, black_box(&body)));
}
