//! Events, however they are cut.

use super::{Boundary, Event, Ignored, Splitter};
use crate::limits::{ABRIDGED_BYTES, EVENT_BYTES};

fn events(pieces: &[&[u8]]) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let mut keep = |event: &Event<'_>| {
        found.push((text(event.name), text(&event.data)));
        Ignored::Nothing
    };
    let mut splitter = Splitter::default();
    for piece in pieces {
        splitter.push(piece, &mut keep);
    }
    splitter.finish(keep);
    found
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(name, data)| ((*name).to_owned(), (*data).to_owned()))
        .collect()
}

#[test]
fn events_are_the_same_for_every_line_end_and_every_cut() {
    let stream = "\u{feff}event: a\ndata: 1\n\n: ping\n\n\ndata:2\ndata:  3\ndata\nid: 9\nretry: 1\n\nevent: none\n\ndata: é\n\n";
    let wanted = pairs(&[("a", "1"), ("", "2\n 3\n"), ("", "é")]);
    for end in ["\n", "\r\n", "\r"] {
        let stream = stream.replace('\n', end).into_bytes();
        for cut in 0..=stream.len() {
            let (head, tail) = stream.split_at(cut);
            assert_eq!(events(&[head, tail]), wanted, "{end:?} cut at {cut}");
        }
        assert_eq!(
            events(&stream.chunks(1).collect::<Vec<_>>()),
            wanted,
            "{end:?} byte by byte"
        );
    }
}

#[test]
fn an_event_without_its_blank_line_comes_at_the_end() {
    assert_eq!(events(&[b"data: 1\n\ndata: 2"]), pairs(&[("", "1"), ("", "2")]));
    assert_eq!(events(&[b"data: 1\r", b"\n\r"]), pairs(&[("", "1")]));
}

#[test]
fn fields_of_other_names_are_passed_over() {
    assert_eq!(
        events(&[b"datax: 1\ndata : 2\n data: 3\ndata: 4\n\n"]),
        pairs(&[("", "4")])
    );
    assert_eq!(
        events(&[b"data: 1\n\n\xef\xbb\xbfdata: 2\n\n"]),
        pairs(&[("", "1")]),
        "a mark inside the stream"
    );
}

#[test]
fn half_a_byte_order_mark_is_a_line_like_any_other() {
    assert_eq!(Boundary::default().find_end(b"\xef\n\n"), Some(3));
    assert_eq!(Boundary::default().find_end(b"\xef\xbb\xbf\n\n"), Some(4));
    let mut boundary = Boundary::default();
    assert_eq!(
        (boundary.find_end(b"\xef\xbb"), boundary.find_end(b"\n\n")),
        (None, Some(2))
    );
}

/// An event of this length, in JSON, with a member at its end.
fn large(length: usize) -> String {
    let (before, behind) = ("event: e\ndata: {\"text\":\"", "\",\"last\":7}\n\n");
    format!("{before}{}{behind}", "x".repeat(length - before.len() - behind.len()))
}

#[test]
fn an_event_over_the_limit_is_abridged_and_not_held() {
    let large = large(EVENT_BYTES + 1);
    for piece in [large.len(), 1 << 20, EVENT_BYTES] {
        let mut found = Vec::new();
        let mut splitter = Splitter::default();
        for piece in [
            large.as_bytes().chunks(piece).collect(),
            vec![b"data: next\n\n".as_slice()],
        ]
        .concat()
        {
            splitter.push(piece, |event| {
                found.push((event.name.to_vec(), event.data.to_vec()));
                Ignored::Nothing
            });
            assert!(splitter.carry.len() <= EVENT_BYTES);
        }
        let [(name, data), next] = &found[..] else {
            panic!("{piece}")
        };
        assert!(
            name == b"e" && data.len() <= ABRIDGED_BYTES && data.ends_with(b",\"last\":7}"),
            "{piece}"
        );
        assert_eq!(next.1, b"next");
        assert_eq!(splitter.carry.capacity(), 0);
    }
}

#[test]
fn only_data_makes_a_large_event() {
    let long = "x".repeat(EVENT_BYTES);
    for event in [
        format!(": {long}\n\n"),
        format!("event: {long}\n\n"),
        format!(": {long}\ndata: late\n\n"),
    ] {
        assert_eq!(events(&[event.as_bytes(), b"data: next\n\n"]), pairs(&[("", "next")]));
    }
}

#[test]
fn the_limit_is_the_same_for_every_cut() {
    let stream = [large(EVENT_BYTES), large(EVENT_BYTES + 1), "data: next\n\n".to_owned()].concat();
    let wanted = events(&[stream.as_bytes()]);
    assert!(wanted.len() == 3 && wanted[0].1.len() > ABRIDGED_BYTES && wanted[1].1.len() <= ABRIDGED_BYTES);
    let end = EVENT_BYTES;
    for cut in [3, end - 1, end, end + 17, 2 * end, 2 * end + 1] {
        let (head, tail) = stream.as_bytes().split_at(cut);
        assert!(events(&[head, tail]) == wanted, "cut at {cut}");
    }
}

#[test]
fn it_is_known_whether_the_stream_stands_inside_an_event() {
    let mut splitter = Splitter::default();
    for (bytes, inside) in [
        ("", false),
        ("data: 1", true),
        ("\n", true),
        ("\r", false),
        ("\n", false),
        (":", true),
    ] {
        splitter.push(bytes.as_bytes(), |_| Ignored::Nothing);
        assert_eq!(splitter.is_inside_event(), inside, "after {bytes:?}");
    }
}
