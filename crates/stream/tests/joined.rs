//! Small frames are joined into larger ones.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod support;

use bytes::Bytes;
use futures_util::FutureExt;
use http_body::Body;
use http_body_util::BodyExt;
use lychgate_stream::Joined;
use support::Step::{Broken, Data, Silence, Trailers};
use support::{Scripted, scripted};

/// What a body gives, as text; `!` stands for trailers, `X` for a failure, `~` for silence.
fn pieces<B: Body<Data = Bytes> + Unpin>(mut body: B) -> Vec<String> {
    let mut pieces = Vec::new();
    loop {
        match body.frame().now_or_never() {
            None => pieces.push("~".to_owned()),
            Some(None) => return pieces,
            Some(Some(Err(_))) => pieces.push("X".to_owned()),
            Some(Some(Ok(frame))) => pieces.push(match frame.into_data() {
                Ok(data) => String::from_utf8(data.to_vec()).unwrap(),
                Err(_) => "!".to_owned(),
            }),
        }
        if pieces.last().is_some_and(|last| last == "~") {
            return pieces;
        }
    }
}

#[test]
fn small_pieces_that_are_there_go_on_together() {
    for (steps, wanted) in [
        (vec![], vec![]),
        (vec![Data("a")], vec!["a"]),
        (vec![Data("a"), Data(""), Data("bc"), Data("d")], vec!["abcd"]),
        (vec![Data("a"), Data("b"), Silence], vec!["ab", "~"]),
        (vec![Data("a"), Data("b"), Trailers], vec!["ab", "!"]),
        (vec![Data("a"), Broken, Data("b")], vec!["a", "X", "b"]),
        (vec![Broken], vec!["X"]),
    ] {
        assert_eq!(pieces(Joined::new(scripted(steps))), wanted);
    }
}

#[test]
fn what_is_large_is_not_copied_and_what_is_joined_stays_within_bounds() {
    static LARGE: &str = match std::str::from_utf8(&[b'x'; 5000]) {
        Ok(text) => text,
        Err(_) => unreachable!(),
    };
    let frame = Joined::new(scripted(vec![Data(LARGE), Data("a")]))
        .frame()
        .now_or_never();
    assert_eq!(
        frame.unwrap().unwrap().unwrap().into_data().unwrap().as_ptr(),
        LARGE.as_ptr()
    );
    let many = |_| Data(&LARGE[..4000]);
    let sizes: Vec<_> = pieces(Joined::new(scripted((0..10).map(many).collect())))
        .iter()
        .map(String::len)
        .collect();
    assert_eq!(sizes, [20_000, 20_000]);
}

#[test]
fn a_joined_body_of_known_length_ends_with_its_last_piece() {
    let mut case = Joined::new(Scripted {
        steps: vec![Data("ab"), Data("c")].into(),
        knows_length: true,
    });
    assert_eq!(case.size_hint().exact(), Some(3));
    assert!(!case.is_end_stream());
    assert_eq!(
        case.frame()
            .now_or_never()
            .unwrap()
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap(),
        "abc"
    );
    assert!(case.is_end_stream());
}
