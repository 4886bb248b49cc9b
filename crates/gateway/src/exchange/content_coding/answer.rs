//! Decoding of answers that come compressed although nobody asked for it: for the reader, since the client gets them as they are,
//! and for the client where something is to be taken out of them.
//!
//! Not here: what is read of them (crate `wire`).

use super::{Coding, FREE_BYTES, MOST_RATIO, ZSTD_WINDOW_LOG};
use lychgate_wire::ResponseReader;
use std::io::{self, Write};

/// Most bytes that one answer is decoded to.
pub(crate) const MOST_BYTES: u64 = 256 << 20;
/// So much is decoded at a time.
const PIECE: usize = 16 << 10;

/// A reader behind the decoder that its answer needs.
#[derive(Debug)]
pub(crate) struct Decoding {
    reader: ResponseReader,
    /// `None` where the body is not compressed.
    decoder: Option<Decoder>,
}

impl Decoding {
    /// A reader of a body in that coding; `None` where it can't be read.
    pub(crate) fn new(coding: Coding, reader: ResponseReader) -> Option<Self> {
        let decoder = match coding {
            Coding::Plain => None,
            coding => Some(Decoder::new(coding)?),
        };
        Some(Self { reader, decoder })
    }

    /// Takes the next bytes of the body. What was read before one that can't be decoded stays read.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        match &mut self.decoder {
            None => self.reader.push(bytes),
            Some(decoder) => decoder.push(bytes, |decoded| self.reader.push(decoded)),
        }
    }

    /// Takes one event that came in a message of its own.
    pub(crate) fn push_event(&mut self, event: &[u8]) {
        self.reader.push_event(event);
    }

    /// Whether the rest of the body could not be decoded.
    pub(crate) fn is_broken(&self) -> bool {
        self.decoder.as_ref().is_some_and(Decoder::is_broken)
    }

    /// The reader, as far as it has read.
    pub(crate) fn reader(&self) -> &ResponseReader {
        &self.reader
    }

    /// The reader, of a body that has ended. What a cut body still owes is no error: what came of it was read.
    pub(crate) fn into_reader(self) -> ResponseReader {
        self.reader
    }
}

/// Decodes a body while it comes.
pub(crate) struct Decoder {
    coded: Coded,
    /// The body turned out to be coded in another way, or to be over a limit: no more of it is decoded.
    broken: bool,
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("broken", &self.broken).finish()
    }
}

enum Coded {
    Gzip(Box<flate2::write::MultiGzDecoder<Sink>>),
    /// What `deflate` means, zlib's format or none, is told by its first byte.
    Deflate,
    Zlib(Box<flate2::write::ZlibDecoder<Sink>>),
    Raw(Box<flate2::write::DeflateDecoder<Sink>>),
    Brotli(Box<brotli_decompressor::DecompressorWriter<Sink>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Sink>>),
}

/// Where decoded bytes go, bounded.
#[derive(Default)]
struct Sink {
    /// Those that were not handed on yet.
    decoded: Vec<u8>,
    /// Compressed bytes so far.
    taken: u64,
    /// Decoded bytes so far.
    given: u64,
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.given += bytes.len() as u64;
        if self.given > MOST_BYTES || self.given > FREE_BYTES + self.taken.saturating_mul(MOST_RATIO) {
            return Err(io::Error::other("the answer is decoded to too much"));
        }
        self.decoded.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Decoder {
    /// A decoder of that coding; `None` where it is not known, or none at all.
    pub(crate) fn new(coding: Coding) -> Option<Self> {
        let sink = Sink::default();
        let coded = match coding {
            Coding::Deflate => Coded::Deflate,
            Coding::Gzip => Coded::Gzip(Box::new(flate2::write::MultiGzDecoder::new(sink))),
            Coding::Brotli => Coded::Brotli(Box::new(brotli_decompressor::DecompressorWriter::new(sink, 4096))),
            Coding::Zstd => {
                let mut decoder = zstd::stream::write::Decoder::new(sink).ok()?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).ok()?;
                Coded::Zstd(Box::new(decoder))
            }
            Coding::Plain | Coding::Unknown => return None,
        };
        Some(Self { coded, broken: false })
    }

    /// Takes the next bytes of the body and hands on what they decode to.
    pub(crate) fn push(&mut self, bytes: &[u8], mut on_decoded: impl FnMut(&[u8])) {
        // In pieces, so that the ratio is judged by what was taken for what was given.
        for piece in bytes.chunks(PIECE) {
            if self.broken {
                return;
            }
            self.broken = self.coded.push(piece).is_err();
            let decoded = self.coded.sink_mut().map(|sink| std::mem::take(&mut sink.decoded));
            if let Some(decoded) = decoded.filter(|decoded| !decoded.is_empty()) {
                on_decoded(&decoded);
            }
        }
    }

    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }
}

impl Coded {
    fn push(&mut self, piece: &[u8]) -> io::Result<()> {
        if let (Self::Deflate, Some(first)) = (&self, piece.first()) {
            let sink = Sink::default();
            *self = match first & 0x0f {
                8 => Self::Zlib(Box::new(flate2::write::ZlibDecoder::new(sink))),
                _ => Self::Raw(Box::new(flate2::write::DeflateDecoder::new(sink))),
            };
        }
        if let Some(sink) = self.sink_mut() {
            sink.taken += piece.len() as u64;
        }
        let writer: &mut dyn Write = match self {
            Self::Deflate => return Ok(()),
            Self::Gzip(decoder) => decoder,
            Self::Zlib(decoder) => decoder,
            Self::Raw(decoder) => decoder,
            Self::Brotli(decoder) => decoder,
            Self::Zstd(decoder) => decoder,
        };
        writer.write_all(piece)?;
        // What is decoded is read at once: an event must not wait for the next one.
        writer.flush()
    }

    fn sink_mut(&mut self) -> Option<&mut Sink> {
        Some(match self {
            Self::Deflate => return None,
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zlib(decoder) => decoder.get_mut(),
            Self::Raw(decoder) => decoder.get_mut(),
            Self::Brotli(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
        })
    }
}
