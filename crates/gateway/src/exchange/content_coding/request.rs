//! Decoding of request bodies: what the gateway reads of them is what the provider gets, so they go on decoded.

use super::{Coding, Codings, FREE_BYTES, MOST_RATIO, ZSTD_WINDOW_LOG};
use crate::body_budget::{HeldBody, NoRoom, Room};
use bytes::Bytes;
use std::io::{self, BufReader, Read};

/// So much is decoded at a time.
const PIECE: usize = 16 << 10;
/// Room for what is decoded is doubled up to a step of this size: a body that just fits is not refused for room that it does not use.
const STEP: usize = 4 << 20;

/// Why a body was not decoded.
#[derive(Debug)]
pub(crate) enum DecodeError {
    /// It is not what its codings say, or it is cut.
    Malformed,
    /// It is decoded to more than a body may have.
    TooLarge,
    /// It is decoded to so much more than came that no text would be.
    TooDense,
    /// There is no room for more of it.
    NoRoom(NoRoom),
}

/// The body without its codings, of which the last one was applied last. While it is decoded both forms take their room.
pub(crate) fn decode(
    coded: &Bytes,
    codings: Codings,
    most_bytes: usize,
    mut room: Room,
) -> Result<HeldBody, DecodeError> {
    let dense = coded.len() as u64 * MOST_RATIO + FREE_BYTES;
    let most = dense.min(most_bytes as u64);
    let mut reader: Box<dyn Read + '_> = Box::new(&coded[..]);
    for coding in codings.into_iter().rev().filter(|coding| *coding != Coding::Plain) {
        reader = Box::new(Bounded {
            reader: decoder(coding, reader).map_err(|_| DecodeError::Malformed)?,
            left: most,
        });
    }
    let mut decoded = Vec::new();
    let mut piece = [0; PIECE];
    loop {
        let read = match reader.read(&mut piece) {
            Ok(0) => break,
            Ok(read) => read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                return Err(match most < most_bytes as u64 {
                    true => DecodeError::TooDense,
                    false => DecodeError::TooLarge,
                });
            }
            Err(_) => return Err(DecodeError::Malformed),
        };
        if decoded.capacity() - decoded.len() < read {
            let step = decoded.capacity().min(STEP);
            let capacity = (decoded.capacity() + step).clamp(decoded.len() + read, most_bytes);
            room.grow(coded.len() + capacity).map_err(DecodeError::NoRoom)?;
            decoded.reserve_exact(capacity - decoded.len());
        }
        decoded.extend_from_slice(&piece[..read]);
    }
    drop(reader);
    decoded.shrink_to_fit();
    room.shrink(decoded.len());
    Ok(HeldBody::new(decoded.into(), room))
}

fn decoder<'a>(coding: Coding, reader: Box<dyn Read + 'a>) -> io::Result<Box<dyn Read + 'a>> {
    let mut reader = BufReader::new(reader);
    Ok(match coding {
        Coding::Gzip => Box::new(flate2::bufread::MultiGzDecoder::new(reader)),
        // What `deflate` means, zlib's format or none, is told by its first byte.
        Coding::Deflate => match io::BufRead::fill_buf(&mut reader)?.first() {
            Some(first) if first & 0x0f == 8 => Box::new(flate2::bufread::ZlibDecoder::new(reader)),
            _ => Box::new(flate2::bufread::DeflateDecoder::new(reader)),
        },
        Coding::Brotli => Box::new(brotli_decompressor::Decompressor::new(reader, 4096)),
        Coding::Zstd => {
            let mut decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG)?;
            Box::new(decoder)
        }
        Coding::Plain | Coding::Unknown => Box::new(reader),
    })
}

/// A decoder that fails once it has given more than it may. Each one is bounded, since what comes out of the last says nothing
/// of what the others do.
struct Bounded<R> {
    reader: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = self.reader.read(into)?;
        self.left = self.left.checked_sub(read as u64).ok_or(io::ErrorKind::FileTooLarge)?;
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::body_budget::{BodyBudget, BodyBudgetLimits};
    use lychgate_types::{Ambient, Holder};
    use std::io::Write as _;

    /// Found by review: room was doubled to the whole limit, which beside the coded form was more than a share.
    #[test]
    fn the_largest_body_fits_in_a_share_in_both_forms() {
        const LIMIT: usize = 9 << 20;
        let mut noise = vec![0; LIMIT];
        Ambient::system().fill(&mut noise);
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(&noise).unwrap();
        let coded = Bytes::from(gzip.finish().unwrap());
        let [one, usual, largest] = [LIMIT, 32 << 20, 128 << 20].map(BodyBudgetLimits::holding);
        assert!(usual.one >= 2 * (32 << 20) && largest.one > 2 * (128 << 20) && largest.all >= 2 * largest.one);
        assert_eq!((one.one, one.all), (usual.one, usual.all));
        let codings = [Coding::Gzip, Coding::Plain, Coding::Plain, Coding::Plain];
        for (share, fits) in [(coded.len() + LIMIT, true), (coded.len() + LIMIT / 2, false)] {
            let share = share.next_multiple_of(64 << 10);
            let budget = BodyBudget::new(BodyBudgetLimits { all: share, one: share });
            let mut room = budget.room(Holder::from_number(1));
            room.grow(coded.len()).unwrap();
            match decode(&coded, codings, LIMIT, room) {
                Ok(body) => assert!(fits && body.bytes == noise),
                Err(error) => assert!(!fits && matches!(error, DecodeError::NoRoom(_)), "{error:?}"),
            }
        }
    }
}
