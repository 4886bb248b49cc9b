//! One record in a segment: sealed bytes after a head that says where they end and whether they are intact.
//!
//! | bytes | what |
//! |---|---|
//! | 4 | [`MAGIC`] |
//! | 4 | CRC-32C of everything that follows |
//! | 4 | length of the sealed part, tag included |
//! | 8 | number: the nonce, unique within a run |
//! | 8 | holder: stands for the user whose record it is; 0: nobody |
//! | n + 16 | the sealed record and its tag |
//!
//! Frames of earlier versions have no holder, and [`MAGIC_WITHOUT_HOLDER`]; they are read, as nobody's, and no more written.
//!
//! Numbers are little-endian. The checksum finds damage without a key; the tag, with the key, finds forgery.
//!
//! Not here: sealing itself (`seal`).

use lychgate_types::Holder;
use memchr::memmem;

/// The first bytes of a frame, by which the next intact frame is found after a damaged one.
pub(super) const MAGIC: [u8; 4] = [0x8d, b'l', b'g', b'h'];
const MAGIC_WITHOUT_HOLDER: [u8; 4] = [0x8d, b'l', b'g', b'f'];
/// What both begin with.
const COMMON: &[u8] = &[0x8d, b'l', b'g'];
/// Bytes before the sealed part.
pub(super) const HEAD: usize = 28;
/// Bytes of the tag at the end of the sealed part.
pub(super) const TAG: usize = 16;
/// Longest sealed part. The content of a record is limited to far less.
pub(super) const MAX_SEALED: usize = 32 << 20;

/// Where the part covered by the checksum begins.
const COVERED: usize = 8;
/// Where the holder begins, or in a frame without one the sealed part.
const HOLDER: usize = 20;

/// What some bytes begin with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parsed {
    /// A whole frame of this length.
    Whole(usize),
    /// Possibly a frame; this many bytes are needed in total to say more.
    Incomplete(usize),
    /// Not a frame.
    Invalid,
}

/// Makes room for the head; the record is appended to it.
pub(super) fn begin(frame: &mut Vec<u8>, holder: Holder) {
    frame.clear();
    frame.resize(HOLDER, 0);
    frame.extend_from_slice(&holder.number().to_le_bytes());
}

/// Fills in the head, after the rest has been sealed.
pub(super) fn finish(frame: &mut [u8], number: u64) -> Result<(), TooLong> {
    let length = frame.len() - HEAD;
    let length = u32::try_from(length)
        .ok()
        .filter(|_| length <= MAX_SEALED)
        .ok_or(TooLong)?;
    frame[8..12].copy_from_slice(&length.to_le_bytes());
    frame[12..HOLDER].copy_from_slice(&number.to_le_bytes());
    let sum = crc32c::crc32c(&frame[COVERED..]);
    frame[..4].copy_from_slice(&MAGIC);
    frame[4..COVERED].copy_from_slice(&sum.to_le_bytes());
    Ok(())
}

/// A record that does not fit in a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the record is too long for the spool")]
pub(super) struct TooLong;

/// Parses the beginning of `bytes`.
pub(super) fn parse(bytes: &[u8]) -> Parsed {
    let begins = |magic: [u8; 4]| magic.starts_with(&bytes[..bytes.len().min(magic.len())]);
    if !begins(MAGIC) && !begins(MAGIC_WITHOUT_HOLDER) {
        return Parsed::Invalid;
    }
    let head = sealed_from(bytes);
    if bytes.len() < head {
        return Parsed::Incomplete(head);
    }
    let length = word(bytes, 8) as usize;
    if !(TAG..=MAX_SEALED).contains(&length) {
        return Parsed::Invalid;
    }
    let whole = head + length;
    match bytes.get(COVERED..whole) {
        None => Parsed::Incomplete(whole),
        Some(covered) if crc32c::crc32c(covered) == word(bytes, 4) => Parsed::Whole(whole),
        Some(_) => Parsed::Invalid,
    }
}

/// Where the sealed part of a frame begins.
pub(super) fn sealed_from(frame: &[u8]) -> usize {
    match frame.starts_with(&MAGIC_WITHOUT_HOLDER) {
        true => HOLDER,
        false => HEAD,
    }
}

/// The number of a whole frame.
pub(super) fn number(frame: &[u8]) -> u64 {
    long(frame, 12)
}

/// Whose record is in a whole frame.
pub(super) fn holder(frame: &[u8]) -> Holder {
    if sealed_from(frame) == HOLDER {
        return Holder::default();
    }
    Holder::from_number(long(frame, HOLDER))
}

fn long(frame: &[u8], at: usize) -> u64 {
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&frame[at..at + 8]);
    u64::from_le_bytes(bytes)
}

/// Where the next whole frame begins after the first byte, if there is one.
pub(super) fn next(bytes: &[u8]) -> Option<usize> {
    let rest = bytes.get(1..)?;
    memmem::find_iter(rest, COMMON)
        .map(|at| at + 1)
        .find(|at| matches!(parse(&bytes[*at..]), Parsed::Whole(_)))
}

fn word(head: &[u8], at: usize) -> u32 {
    let mut bytes = [0; 4];
    bytes.copy_from_slice(&head[at..at + 4]);
    u32::from_le_bytes(bytes)
}

/// The same frame as earlier versions wrote it.
#[cfg(test)]
pub(super) fn without_holder(frame: &[u8]) -> Vec<u8> {
    let mut earlier = [&MAGIC_WITHOUT_HOLDER, &frame[4..HOLDER], &frame[HEAD..]].concat();
    let sum = crc32c::crc32c(&earlier[COVERED..]);
    earlier[4..COVERED].copy_from_slice(&sum.to_le_bytes());
    earlier
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn frame(number: u64, sealed: &[u8]) -> Vec<u8> {
        let mut frame = Vec::new();
        begin(&mut frame, Holder::from_number(7));
        frame.extend_from_slice(sealed);
        finish(&mut frame, number).unwrap();
        frame
    }

    #[test]
    fn a_frame_without_a_holder_is_nobodys() {
        let frame = frame(9, &[1; 40]);
        let earlier = without_holder(&frame);
        assert_eq!(
            (parse(&frame), holder(&frame)),
            (Parsed::Whole(68), Holder::from_number(7))
        );
        assert_eq!(
            (parse(&earlier), holder(&earlier)),
            (Parsed::Whole(60), Holder::default())
        );
        assert_eq!((number(&earlier), &earlier[sealed_from(&earlier)..]), (9, &[1; 40][..]));
        for cut in 0..60 {
            assert!(
                matches!(parse(&earlier[..cut]), Parsed::Incomplete(need) if need <= 60),
                "cut at {cut}"
            );
        }
        assert_eq!(next(&[&frame[1..], &earlier].concat()), Some(67));
    }

    #[test]
    fn a_record_that_is_too_long_is_refused() {
        let mut frame = vec![0; HEAD + MAX_SEALED + 1];
        assert_eq!(finish(&mut frame, 1), Err(TooLong));
        frame.pop();
        finish(&mut frame, 1).unwrap();
        assert_eq!(parse(&frame), Parsed::Whole(frame.len()));
    }

    proptest! {
        #[test]
        fn what_was_written_is_parsed_and_what_was_cut_is_incomplete(
            sealed in prop::collection::vec(any::<u8>(), TAG..200),
            number: u64,
            behind in prop::collection::vec(any::<u8>(), 0..30),
            cut: prop::sample::Index,
        ) {
            let mut bytes = frame(number, &sealed);
            let whole = bytes.len();
            prop_assert!(matches!(parse(&bytes[..cut.index(whole)]), Parsed::Incomplete(need) if need <= whole));
            bytes.extend(behind);
            prop_assert_eq!(parse(&bytes), Parsed::Whole(whole));
            prop_assert_eq!(self::number(&bytes), number);
        }

        #[test]
        fn every_flipped_bit_is_detected(
            sealed in prop::collection::vec(any::<u8>(), TAG..200),
            number: u64,
            bit: prop::sample::Index,
        ) {
            let mut bytes = frame(number, &sealed);
            let bit = bit.index(bytes.len() * 8);
            bytes[bit / 8] ^= 1 << (bit % 8);
            prop_assert!(!matches!(parse(&bytes), Parsed::Whole(_)));
        }

        #[test]
        fn the_next_frame_is_found_after_anything(
            before in prop::collection::vec(any::<u8>(), 1..100),
            sealed in prop::collection::vec(any::<u8>(), TAG..100),
        ) {
            let mut bytes = before.clone();
            bytes.extend(frame(7, &sealed));
            prop_assert_eq!(next(&bytes), Some(before.len()));
            prop_assert_eq!(next(&before), None);
        }

        #[test]
        fn nothing_makes_the_parser_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            parse(&bytes);
            next(&bytes);
        }
    }
}
