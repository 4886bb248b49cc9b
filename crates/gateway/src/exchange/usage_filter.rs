//! Keeps the usage chunk that only the gateway asked for from the client, also where the answer comes compressed: such a one goes
//! on decoded.
//!
//! Not here: which chunk that is (crate `wire`).

use crate::exchange::body_kind::BodyKind;
use crate::exchange::content_coding::Coding;
use crate::exchange::content_coding::answer::Decoder;
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use lychgate_wire::UsageChunkFilter;

#[derive(Debug)]
pub(crate) struct UsageFilter {
    decoder: Option<Decoder>,
    chunks: UsageChunkFilter,
}

impl UsageFilter {
    /// For an answer with this head, which changes with its body; `None` where it is no stream, or can't be decoded.
    pub(crate) fn new(kind: &mut BodyKind, headers: &mut HeaderMap) -> Option<Self> {
        if !kind.may_be_stream || kind.coding == Coding::Unknown {
            return None;
        }
        let decoder = Decoder::new(kind.coding);
        if decoder.is_some() {
            headers.remove(CONTENT_ENCODING);
            kind.coding = Coding::Plain;
        }
        Some(Self {
            decoder,
            chunks: UsageChunkFilter::default(),
        })
    }

    /// Takes the next bytes of the body and gives those for the client.
    pub(crate) fn push(&mut self, bytes: Bytes) -> Bytes {
        let Some(decoder) = &mut self.decoder else {
            return self.chunks.push(bytes);
        };
        let mut passed = BytesMut::new();
        decoder.push(&bytes, |decoded| {
            passed.extend_from_slice(&self.chunks.push(Bytes::copy_from_slice(decoded)));
        });
        passed.freeze()
    }

    /// Whether the rest of the body could not be decoded, so that the client does not get it.
    pub(crate) fn is_broken(&self) -> bool {
        self.decoder.as_ref().is_some_and(Decoder::is_broken)
    }

    /// What is still held when the body has ended.
    pub(crate) fn finish(self) -> Bytes {
        self.chunks.finish()
    }
}
