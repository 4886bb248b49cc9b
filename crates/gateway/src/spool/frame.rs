//! One record in a segment: sealed bytes between a head that says where they end and whether they are whole.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | [`MAGIC`] |
//! | 4 | CRC-32C of all that follows |
//! | 4 | length of what is sealed, tag included |
//! | 8 | number: the nonce; no two frames of one run have the same |
//! | n + 16 | the sealed record and its tag |
//!
//! Numbers are little-endian. The checksum finds damage without a key; the tag, with the key, finds forgery.
//!
//! Not here: sealing itself (`seal`).

use memchr::memmem;

/// What a frame begins with. By it the next whole frame is found behind a damaged one.
pub(super) const MAGIC: [u8; 4] = [0x8d, b'l', b'g', b'f'];
/// Bytes before what is sealed.
pub(super) const HEAD: usize = 20;
/// Bytes of the tag behind what is sealed.
pub(super) const TAG: usize = 16;
/// Longest sealed part. The content of a record is limited far below it.
pub(super) const MOST: usize = 32 << 20;

/// Where the checksum's cover begins.
const COVERED: usize = 8;

/// What stands at the beginning of some bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Read {
    /// A whole frame of this length.
    Whole(usize),
    /// Perhaps a frame; this many bytes are needed in all to say more.
    Short(usize),
    /// No frame.
    Bad,
}

/// Makes room for the head; the record is put behind it.
pub(super) fn begin(frame: &mut Vec<u8>) {
    frame.clear();
    frame.resize(HEAD, 0);
}

/// Fills the head in, once what follows is sealed. Too long a frame is refused.
pub(super) fn finish(frame: &mut [u8], number: u64) -> Result<(), TooLong> {
    let length = frame.len() - HEAD;
    let length = u32::try_from(length).ok().filter(|_| length <= MOST).ok_or(TooLong)?;
    frame[8..12].copy_from_slice(&length.to_le_bytes());
    frame[12..HEAD].copy_from_slice(&number.to_le_bytes());
    let sum = crc32c::crc32c(&frame[COVERED..]);
    frame[..4].copy_from_slice(&MAGIC);
    frame[4..COVERED].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

/// A record that fits in no frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record is too long to be spooled")]
pub(super) struct TooLong;

/// Looks at the beginning of `bytes`.
pub(super) fn read(bytes: &[u8]) -> Read {
    let Some((head, _)) = bytes.split_first_chunk::<HEAD>() else {
        let begun = &bytes[..bytes.len().min(MAGIC.len())];
        return if MAGIC.starts_with(begun) {
            Read::Short(HEAD)
        } else {
            Read::Bad
        };
    };
    let length = word(head, 8) as usize;
    if head[..4] != MAGIC || !(TAG..=MOST).contains(&length) {
        return Read::Bad;
    }
    let whole = HEAD + length;
    match bytes.get(COVERED..whole) {
        None => Read::Short(whole),
        Some(covered) if crc32c::crc32c(covered) == word(head, 4) => Read::Whole(whole),
        Some(_) => Read::Bad,
    }
}

/// The number of a whole frame.
pub(super) fn number(frame: &[u8]) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&frame[12..HEAD]);
    u64::from_le_bytes(bytes)
}

/// Where the next whole frame begins behind the first byte, if one does.
pub(super) fn next(bytes: &[u8]) -> Option<usize> {
    let behind = bytes.get(1..)?;
    memmem::find_iter(behind, &MAGIC)
        .map(|at| at + 1)
        .find(|at| matches!(read(&bytes[*at..]), Read::Whole(_)))
}

fn word(head: &[u8; HEAD], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&head[at..at + 4]);
    u32::from_le_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(number: u64, sealed: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        begin(&mut frame);
        frame.extend_from_slice(sealed);
        finish(&mut frame, number).unwrap();
        frame
    }

    #[test]
    fn too_long_a_record_is_refused() {
        let mut frame = vec![0; HEAD + MOST + 1];
        assert_eq!(finish(&mut frame, 1), Err(TooLong));
        frame.pop();
        finish(&mut frame, 1).unwrap();
        assert_eq!(read(&frame), Read::Whole(frame.len()));
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_and_what_was_cut_is_short(
            sealed in prop::collection::vec(any::<u8>(), TAG..200),
            number: u64,
            behind in prop::collection::vec(any::<u8>(), 0..30),
            cut: prop::sample::Index,
        ) {
            let mut bytes = frame(number, &sealed);
            let whole = bytes.len();
            prop_assert!(matches!(read(&bytes[..cut.index(whole)]), Read::Short(need) if need <= whole));
            bytes.extend(behind);
            prop_assert_eq!(read(&bytes), Read::Whole(whole));
            prop_assert_eq!(self::number(&bytes), number);
        }

        #[test]
        fn no_flipped_bit_goes_unseen(
            sealed in prop::collection::vec(any::<u8>(), TAG..200),
            number: u64,
            bit: prop::sample::Index,
        ) {
            let mut bytes = frame(number, &sealed);
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!matches!(read(&bytes), Read::Whole(_)));
        }

        #[test]
        fn the_next_frame_is_found_behind_anything(
            before in prop::collection::vec(any::<u8>(), 1..100),
            sealed in prop::collection::vec(any::<u8>(), TAG..100),
        ) {
            let mut bytes = before.clone();
            bytes.extend(frame(7, &sealed));
            prop_assert_eq!(next(&bytes), Some(before.len()));
            prop_assert_eq!(next(&before), None);
        }

        #[test]
        fn anything_is_looked_at_without_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            read(&bytes);
            next(&bytes);
        }
    }
}
