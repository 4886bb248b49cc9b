//! Decoding of answers that come compressed although nobody asked for it: for the reader alone, since the client gets them as
//! they are.
//!
//! Not here: what is read of them (crate `wire`).

use super::{Coding, FREE_BYTES, MOST_RATIO, ZSTD_WINDOW_LOG};
use lychgate_wire::ResponseReader;
use std::io::{self, Write};

/// Most bytes that one answer is decoded to.
const MOST_BYTES: u64 = 256 << 20;

/// A reader behind the decoder that its answer needs.
#[derive(Debug)]
pub(crate) struct Decoding {
    state: State,
    /// The body turned out to be coded in another way, or to be over a limit: no more of it is read.
    broken: bool,
}

enum State {
    Plain(ResponseReader),
    /// What `deflate` means, zlib's format or none, is told by its first byte.
    Deflate(Option<ResponseReader>),
    Coded(Coded),
}

impl std::fmt::Debug for State {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Plain(_) => "plain",
            Self::Deflate(_) | Self::Coded(_) => "coded",
        })
    }
}

enum Coded {
    Gzip(Box<flate2::write::MultiGzDecoder<Sink>>),
    Zlib(Box<flate2::write::ZlibDecoder<Sink>>),
    Raw(Box<flate2::write::DeflateDecoder<Sink>>),
    Brotli(Box<brotli_decompressor::DecompressorWriter<Sink>>),
    Zstd(Box<zstd::stream::write::Decoder<'static, Sink>>),
}

/// Where decoded bytes go, bounded.
struct Sink {
    /// `None` once it was taken.
    reader: Option<ResponseReader>,
    /// Compressed bytes so far.
    taken: u64,
    /// Decoded bytes so far.
    given: u64,
}

impl Sink {
    fn new(reader: ResponseReader) -> Self {
        Self {
            reader: Some(reader),
            taken: 0,
            given: 0,
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.given += bytes.len() as u64;
        if self.given > MOST_BYTES || self.given > FREE_BYTES + self.taken.saturating_mul(MOST_RATIO) {
            return Err(io::Error::other("the answer is decoded to too much"));
        }
        if let Some(reader) = &mut self.reader {
            reader.push(bytes);
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Decoding {
    /// A reader of a body in that coding; `None` where it can't be read.
    pub(crate) fn new(coding: Coding, reader: ResponseReader) -> Option<Self> {
        let state = match coding {
            Coding::Plain => State::Plain(reader),
            Coding::Deflate => State::Deflate(Some(reader)),
            Coding::Gzip => State::Coded(Coded::Gzip(Box::new(flate2::write::MultiGzDecoder::new(Sink::new(
                reader,
            ))))),
            Coding::Brotli => {
                let decoder = brotli_decompressor::DecompressorWriter::new(Sink::new(reader), 4096);
                State::Coded(Coded::Brotli(Box::new(decoder)))
            }
            Coding::Zstd => {
                let mut decoder = zstd::stream::write::Decoder::new(Sink::new(reader)).ok()?;
                decoder.window_log_max(ZSTD_WINDOW_LOG).ok()?;
                State::Coded(Coded::Zstd(Box::new(decoder)))
            }
            Coding::Unknown => return None,
        };
        Some(Self { state, broken: false })
    }

    /// Whether the rest of the body could not be decoded.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Takes the next bytes of the body. What was read before one that can't be decoded stays read.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.broken = self.broken || self.state.push(bytes).is_err();
    }

    /// The reader, as far as it has read.
    pub(crate) fn reader(&self) -> Option<&ResponseReader> {
        match &self.state {
            State::Plain(reader) => Some(reader),
            State::Deflate(reader) => reader.as_ref(),
            State::Coded(coded) => coded.sink().reader.as_ref(),
        }
    }

    /// The reader, of a body that has ended.
    pub(crate) fn into_reader(self) -> Option<ResponseReader> {
        match self.state {
            State::Plain(reader) => Some(reader),
            State::Deflate(reader) => reader,
            // What a cut body still owes is no error: what came of it was read.
            State::Coded(mut coded) => coded.sink_mut().reader.take(),
        }
    }
}

impl State {
    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(first) = bytes.first() else { return Ok(()) };
        if let Self::Deflate(reader) = self {
            let Some(reader) = reader.take() else {
                return Err(io::Error::other("there is no reader any more"));
            };
            let sink = Sink::new(reader);
            *self = Self::Coded(if first & 0x0f == 8 {
                Coded::Zlib(Box::new(flate2::write::ZlibDecoder::new(sink)))
            } else {
                Coded::Raw(Box::new(flate2::write::DeflateDecoder::new(sink)))
            });
        }
        match self {
            Self::Plain(reader) => {
                reader.push(bytes);
                Ok(())
            }
            Self::Coded(coded) => coded.push(bytes),
            Self::Deflate(_) => Ok(()),
        }
    }
}

impl Coded {
    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        // In pieces, so that the ratio is judged by what was taken for what was given.
        for piece in bytes.chunks(16 << 10) {
            self.sink_mut().taken += piece.len() as u64;
            let writer: &mut dyn Write = match self {
                Self::Gzip(decoder) => decoder,
                Self::Zlib(decoder) => decoder,
                Self::Raw(decoder) => decoder,
                Self::Brotli(decoder) => decoder,
                Self::Zstd(decoder) => decoder,
            };
            writer.write_all(piece)?;
            // What is decoded is read at once: an event must not wait for the next one.
            writer.flush()?;
        }
        Ok(())
    }

    fn sink(&self) -> &Sink {
        match self {
            Self::Gzip(decoder) => decoder.get_ref(),
            Self::Zlib(decoder) => decoder.get_ref(),
            Self::Raw(decoder) => decoder.get_ref(),
            Self::Brotli(decoder) => decoder.get_ref(),
            Self::Zstd(decoder) => decoder.get_ref(),
        }
    }

    fn sink_mut(&mut self) -> &mut Sink {
        match self {
            Self::Gzip(decoder) => decoder.get_mut(),
            Self::Zlib(decoder) => decoder.get_mut(),
            Self::Raw(decoder) => decoder.get_mut(),
            Self::Brotli(decoder) => decoder.get_mut(),
            Self::Zstd(decoder) => decoder.get_mut(),
        }
    }
}
