use super::{Damage, Splitter, exception};
use crate::limits::{FRAME_HEADERS_BYTES, FRAME_PAYLOAD_BYTES};
use crate::testing::{event_frame, exception_frame, frame};

/// The frames as text, and the damage.
fn split<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Option<Damage>) {
    let (mut splitter, mut seen) = (Splitter::default(), Vec::new());
    for piece in pieces {
        splitter.push(piece, |frame| seen.push(format!("{frame:?}")));
    }
    (seen, splitter.finish())
}

/// The prelude of a frame with these lengths, its checksum right.
fn prelude(length: u32, headers: u32) -> Vec<u8> {
    let mut prelude = [length.to_be_bytes(), headers.to_be_bytes()].concat();
    prelude.extend_from_slice(&crc32fast::hash(&prelude).to_be_bytes());
    prelude
}

#[test]
fn frames_are_read_wherever_they_are_cut() {
    let frames = [
        event_frame("chunk", r#"{"bytes":"e30="}"#),
        exception_frame("throttlingException", r#"{"message":"slow down"}"#),
        frame(
            &[
                (":message-type", "error"),
                (":error-code", "500"),
                (":error-message", "m"),
            ],
            b"",
        ),
        frame(&[(":message-type", "news")], b"skipped"),
        event_frame("chunk", ""),
    ];
    let stream = frames.concat();
    let (whole, damage) = split([stream.as_slice()]);
    assert_eq!((whole.len(), damage), (4, None));
    assert!(whole[0].contains("Event") && whole[1].contains("Exception") && whole[2].contains("Error"));
    for at in 0..stream.len() {
        let (head, tail) = stream.split_at(at);
        assert_eq!(split([head, tail]), (whole.clone(), None), "cut at {at}");
    }
    for size in [1, 2, 11, 12, 13, 17] {
        assert_eq!(split(stream.chunks(size)), (whole.clone(), None), "pieces of {size}");
    }
    let ends: Vec<_> = frames
        .iter()
        .scan(0, |end, frame| {
            *end += frame.len();
            Some(*end)
        })
        .collect();
    for end in 1..stream.len() {
        let damage = split([&stream[..end]]).1;
        assert_eq!(damage.is_none(), ends.contains(&end), "cut off at {end}");
    }
}

#[test]
fn what_is_damaged_ends_the_reading() {
    let good = event_frame("chunk", "{}");
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        let (seen, damage) = split([[&good[..], &bad, &good].concat().as_slice()]);
        assert_eq!(seen.len(), 1, "byte {at}");
        let wanted = if at < 12 { Damage::Prelude } else { Damage::Frame };
        assert_eq!(damage, Some(wanted), "byte {at}");
    }
    let text = split([&b"event: ping\ndata: {}\n\n"[..]]);
    assert_eq!(text, (vec![], Some(Damage::Prelude)));
}

#[test]
fn a_claim_is_refused_before_anything_is_held_for_it() {
    let payload = FRAME_PAYLOAD_BYTES as u32;
    let headers = FRAME_HEADERS_BYTES as u32;
    for (length, of_headers, wanted) in [
        (u32::MAX, 0, Some(Damage::TooLarge)),
        (payload + 17, 0, Some(Damage::TooLarge)),
        (payload + headers + 16, headers + 1, Some(Damage::TooLarge)),
        (payload + headers + 16, headers, None),
        (15, 0, Some(Damage::Prelude)),
        (100, 85, Some(Damage::Prelude)),
        (0, u32::MAX, Some(Damage::Prelude)),
    ] {
        let mut splitter = Splitter::default();
        splitter.push(&prelude(length, of_headers), |_| panic!("there is no frame"));
        splitter.push(&[0; 1000], |_| panic!("there is no frame"));
        let held = if wanted.is_some() { 0 } else { 1012 };
        assert_eq!(splitter.held(), held, "{length} {of_headers}");
        assert!(splitter.is_inside_frame());
        assert_eq!(splitter.finish(), wanted.or(Some(Damage::Cut)), "{length} {of_headers}");
    }
}

#[test]
fn exceptions_of_our_own_are_as_others_write_them() {
    let own = exception("modelTimeoutException", r#"{"message":"m"}"#.to_owned());
    let headers = [
        (":exception-type", "modelTimeoutException"),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    assert_eq!(own, frame(&headers, br#"{"message":"m"}"#));
}
