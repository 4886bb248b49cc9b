//! Large answers made small while they come: the same JSON, without what would not fit.
//!
//! Not here: events of a stream, of which each is small as a rule (`sse`), and what is read of either.

use crate::limits::{ABRIDGED_BYTES, CUT_MARK, NAME_BYTES};
use memchr::memchr2;

/// A value is left out where it may take no more bytes than this: a number and its name have to fit.
const LEAST_BYTES: usize = 64;

/// A body: whole while it is small, then [`Abridged`].
#[derive(Debug)]
pub(crate) enum Body {
    /// The bytes so far, and how many of them there may be.
    Whole(Vec<u8>, usize),
    Large(Abridged),
}

impl Body {
    /// Keeps the body whole up to `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self::Whole(Vec::new(), limit)
    }

    /// Takes the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        match self {
            Self::Whole(whole, limit) if whole.len() + bytes.len() <= *limit => whole.extend_from_slice(bytes),
            Self::Whole(whole, _) => {
                let mut abridged = Abridged::default();
                abridged.push(whole);
                abridged.push(bytes);
                *self = Self::Large(abridged);
            }
            Self::Large(abridged) => abridged.push(bytes),
        }
    }

    /// The body, or what is kept of it.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        match self {
            Self::Whole(whole, _) => whole,
            Self::Large(abridged) => abridged.into_bytes(),
        }
    }
}

/// A JSON text in at most about [`ABRIDGED_BYTES`]: long strings are cut, and of long lists the ends are left out. Each value may
/// take half of what the value around it has left, so that a large member never costs the small ones behind it. JSON stays JSON,
/// and a mistake, or an end that is missing, is still there.
#[derive(Debug, Default)]
pub(crate) struct Abridged {
    kept: Vec<u8>,
    /// The lists and objects that are open; few, since each may take half as much as the one around it.
    open: Vec<Level>,
    /// The name of the member under way, with its quotes; empty in lists.
    key: Vec<u8>,
    state: State,
}

/// A list or an object that is kept.
#[derive(Debug)]
struct Level {
    /// How long `kept` may get within it.
    until: usize,
    is_object: bool,
    is_empty: bool,
    /// The next string is a member's name.
    key_next: bool,
}

#[derive(Debug, Default, Clone, Copy)]
enum State {
    /// Between two values, names or marks.
    #[default]
    Between,
    /// In a member's name.
    Key { escaped: bool },
    /// In a string that is kept, for as long as `kept` is no longer than `until`.
    Text {
        until: usize,
        escaped: bool,
        /// Where in `kept` its last escape begins.
        escape: usize,
    },
    /// In a number or a word that began at this place in `kept`.
    Scalar { start: usize },
    /// In a number or a word that is left out.
    SkippedScalar,
    /// In a string, or in lists and objects of this depth, that are left out.
    Skipped {
        depth: usize,
        in_string: bool,
        escaped: bool,
    },
}

impl Abridged {
    /// Takes the next bytes.
    pub(crate) fn push(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            let taken = match self.state {
                State::Between => self.between(bytes[0]),
                State::Key { escaped } => self.in_key(bytes, escaped),
                State::Text { until, escaped, escape } => self.in_text(bytes, until, escaped, escape),
                State::Scalar { start } => self.in_scalar(bytes, Some(start)),
                State::SkippedScalar => self.in_scalar(bytes, None),
                State::Skipped {
                    depth,
                    in_string,
                    escaped,
                } => self.skip(bytes, depth, in_string, escaped),
            };
            bytes = &bytes[taken..];
        }
    }

    /// The text. That of a document which did not end is no JSON.
    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.kept
    }

    fn between(&mut self, byte: u8) -> usize {
        let level = self.open.last_mut();
        match (byte, level) {
            (byte, _) if byte.is_ascii_whitespace() => 1,
            (b',', Some(level)) => {
                level.key_next = level.is_object;
                1
            }
            (b':', Some(_)) => 1,
            (b'}' | b']', level) => {
                if level.is_some() || self.kept.len() < ABRIDGED_BYTES {
                    self.kept.push(byte);
                }
                self.open.pop();
                1
            }
            (b'"', Some(level)) if level.key_next => {
                level.key_next = false;
                self.key.clear();
                self.key.push(b'"');
                self.state = State::Key { escaped: false };
                1
            }
            _ => self.begin(byte),
        }
    }

    /// A value begins with this byte.
    fn begin(&mut self, byte: u8) -> usize {
        let until = self.room();
        match (byte, until) {
            (b'"', Some(until)) => {
                self.kept.push(byte);
                self.state = State::Text {
                    until,
                    escaped: false,
                    escape: usize::MAX,
                };
            }
            (b'{' | b'[', Some(until)) => {
                self.kept.push(byte);
                let is_object = byte == b'{';
                self.key.clear();
                self.open.push(Level {
                    until,
                    is_object,
                    is_empty: true,
                    key_next: is_object,
                });
            }
            (b'"' | b'{' | b'[', None) => {
                self.state = State::Skipped {
                    depth: usize::from(byte != b'"'),
                    in_string: byte == b'"',
                    escaped: false,
                };
            }
            (_, Some(_)) => {
                self.state = State::Scalar { start: self.kept.len() };
                return 0;
            }
            (_, None) => {
                self.state = State::SkippedScalar;
                return 0;
            }
        }
        1
    }

    /// Writes what goes before a value; how long `kept` may get with it, or `None` where it is to be left out.
    fn room(&mut self) -> Option<usize> {
        let Some(level) = self.open.last_mut() else {
            let left = ABRIDGED_BYTES.saturating_sub(self.kept.len());
            return (left >= LEAST_BYTES).then_some(ABRIDGED_BYTES);
        };
        let share = level.until.saturating_sub(self.kept.len()) / 2;
        if share < LEAST_BYTES + self.key.len() || self.key.len() > NAME_BYTES {
            return None;
        }
        let until = self.kept.len() + share;
        if !std::mem::take(&mut level.is_empty) {
            self.kept.push(b',');
        }
        if level.is_object {
            self.kept.extend_from_slice(&self.key);
            self.kept.push(b':');
        }
        Some(until)
    }

    fn in_key(&mut self, bytes: &[u8], escaped: bool) -> usize {
        let byte = bytes[0];
        // A longer one than there may be is not kept whole, only known to be longer.
        if self.key.len() <= NAME_BYTES {
            self.key.push(byte);
        }
        self.state = match byte {
            b'"' if !escaped => State::Between,
            _ => State::Key {
                escaped: byte == b'\\' && !escaped,
            },
        };
        1
    }

    fn in_text(&mut self, bytes: &[u8], until: usize, escaped: bool, escape: usize) -> usize {
        let mark = match escaped {
            true => Some(0),
            false => memchr2(b'"', b'\\', bytes),
        };
        let plain = mark.unwrap_or(bytes.len());
        let fits = until.saturating_sub(self.kept.len());
        let escapes = !escaped && bytes.get(plain) == Some(&b'\\');
        if plain > fits || (plain == fits && escapes) {
            self.kept.extend_from_slice(&bytes[..fits]);
            self.cut_text(escape);
            return fits;
        }
        self.kept.extend_from_slice(&bytes[..plain]);
        let Some(at) = mark else {
            return plain;
        };
        self.kept.push(bytes[at]);
        self.state = match bytes[at] {
            b'"' if !escaped => State::Between,
            b'\\' if !escaped => State::Text {
                until,
                escaped: true,
                escape: self.kept.len() - 1,
            },
            _ => State::Text {
                until,
                escaped: false,
                escape,
            },
        };
        at + 1
    }

    /// Ends a string early, between two of its characters. `escape` is where its last escape begins.
    fn cut_text(&mut self, escape: usize) {
        if let Some(last) = self.kept.get(escape..) {
            let length = if last.get(1) == Some(&b'u') { 6 } else { 2 };
            if last.len() < length {
                self.kept.truncate(escape);
            }
        }
        while matches!(self.kept.last(), Some(0x80..=0xBF)) {
            self.kept.pop();
        }
        if matches!(self.kept.last(), Some(0xC0..)) {
            self.kept.pop();
        }
        self.kept.extend_from_slice(CUT_MARK.as_bytes());
        self.kept.push(b'"');
        self.state = State::Skipped {
            depth: 0,
            in_string: true,
            escaped: false,
        };
    }

    /// In a number or a word, which began at `start` where it is kept.
    fn in_scalar(&mut self, bytes: &[u8], start: Option<usize>) -> usize {
        let ends =
            |byte: &u8| byte.is_ascii_whitespace() || matches!(byte, b',' | b':' | b']' | b'}' | b'"' | b'[' | b'{');
        let end = bytes.iter().position(ends);
        let length = end.unwrap_or(bytes.len());
        if let Some(start) = start {
            if self.kept.len() - start + length > LEAST_BYTES {
                self.kept.truncate(start);
                self.kept.extend_from_slice(b"null");
                self.state = State::SkippedScalar;
            } else {
                self.kept.extend_from_slice(&bytes[..length]);
            }
        }
        if end.is_some() {
            self.state = State::Between;
        }
        length
    }

    fn skip(&mut self, bytes: &[u8], mut depth: usize, mut in_string: bool, mut escaped: bool) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            if in_string && !escaped {
                at += memchr2(b'"', b'\\', &bytes[at..]).unwrap_or(bytes.len() - at);
                if at == bytes.len() {
                    break;
                }
            }
            match bytes[at] {
                _ if escaped => escaped = false,
                b'\\' if in_string => escaped = true,
                b'"' => in_string = !in_string,
                b'{' | b'[' if !in_string => depth += 1,
                b'}' | b']' if !in_string => depth -= 1,
                _ => {}
            }
            at += 1;
            if depth == 0 && !in_string {
                self.state = State::Between;
                return at;
            }
        }
        self.state = State::Skipped {
            depth,
            in_string,
            escaped,
        };
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn abridged(text: &str, piece: usize) -> Vec<u8> {
        let mut abridged = Abridged::default();
        for piece in text.as_bytes().chunks(piece) {
            abridged.push(piece);
        }
        let most = ABRIDGED_BYTES + 64;
        assert!(
            abridged.open.len() < 32 && abridged.kept.len() < most,
            "{}",
            abridged.kept.len()
        );
        abridged.into_bytes()
    }

    fn read(text: &str) -> Value {
        let whole = abridged(text, usize::MAX);
        assert_eq!(whole, abridged(text, 4099), "however it comes");
        serde_json::from_slice(&whole).unwrap()
    }

    #[test]
    fn what_is_small_is_kept_before_and_behind_what_is_large() {
        let long = "x".repeat(2 * ABRIDGED_BYTES);
        let numbers = vec!["0.125"; ABRIDGED_BYTES / 3].join(", ");
        let nested = format!("{}1{}", "[".repeat(100_000), "]".repeat(100_000));
        for large in [
            format!("\"{long}\""),
            format!("[{numbers}]"),
            nested.clone(),
            format!("{{\"a\":[{numbers}],\"b\":{nested}}}"),
        ] {
            let text = format!(
                r#"{{"id":"i", "usage" : {{"n":7}}, "large":{large},"list":[{{"large":{large},"reason":"end"}},{{"large":{large}}},3],"last":{{"n":-1.5e3,"t":true,"z":null}}}}"#
            );
            let found = read(&text);
            assert_eq!((&found["id"], &found["usage"]), (&json!("i"), &json!({"n":7})));
            assert_eq!(
                (&found["list"][0]["reason"], &found["list"][2]),
                (&json!("end"), &json!(3))
            );
            assert_eq!(found["last"], json!({"n":-1500.0,"t":true,"z":null}));
        }
    }

    #[test]
    fn long_strings_are_cut_between_characters_and_marked() {
        for (character, read_as) in [
            ("é", "é"),
            ("\\u00e9", "é"),
            ("\\n", "\n"),
            ("\\\"", "\""),
            ("汉", "汉"),
            ("\\ud83d\\ude00", "😀"),
        ] {
            for before in ["", "1"] {
                let text = format!(
                    r#"{{"text":"{before}{}","n":1}}"#,
                    character.repeat(ABRIDGED_BYTES / character.len())
                );
                let whole = abridged(&text, 65_521);
                // Half a pair of surrogates is no text to this reader, and to that of answers one character that is not known.
                if let Ok(found) = serde_json::from_slice::<Value>(&whole) {
                    let kept = found["text"].as_str().unwrap().strip_prefix(before).unwrap();
                    let kept = kept.strip_suffix(CUT_MARK).unwrap();
                    assert_eq!(kept, read_as.repeat(kept.chars().count()));
                    assert_eq!(found["n"], 1);
                } else {
                    assert!(character.len() == 12 && std::str::from_utf8(&whole).is_ok());
                }
            }
        }
    }

    #[test]
    fn what_is_no_json_does_not_become_some() {
        let long = "x".repeat(2 * ABRIDGED_BYTES);
        for text in [
            format!(r#"{{"a":"{long}""#),
            format!(r#"{{"a":"{long}"#),
            format!(r#"{{"a":["{long}"}}"#),
            format!(r#"{{"a":"{long}"}}}}"#),
            format!(r#"{{"a":"{long}"}}{{"b":1}}"#),
        ] {
            assert!(serde_json::from_slice::<Value>(&abridged(&text, 1000)).is_err());
        }
        let found = read(&format!(r#"{{"{long}":1,"n":{},"a":2}}"#, "1".repeat(100)));
        assert_eq!(found, json!({"n":null,"a":2}), "names and numbers that are too long");
    }

    proptest! {
        #[test]
        fn what_fits_is_the_same(text in "\\PC{0,30}", numbers in prop::collection::vec(any::<i32>(), 0..5), piece in 1..9_usize) {
            let value = json!({"a": {"text": text, "n": numbers, text.clone(): [[], {}, null, true]}, "b": [1.5, {"c": text}]});
            for spelled in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
                let found: Value = serde_json::from_slice(&abridged(&spelled, piece)).unwrap();
                prop_assert_eq!(&found, &value);
            }
        }
    }
}
