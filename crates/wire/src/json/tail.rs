//! Blocking answers: kept whole while they are small enough to parse, then only their end.

use super::Raw;
use super::counters::Counters;
use crate::limits::TAIL_BYTES;
use memchr::memmem::FinderRev;

/// The bytes of a body, or of its end.
#[derive(Debug)]
pub(crate) struct Tail {
    bytes: Vec<u8>,
    limit: usize,
    cut: bool,
}

impl Tail {
    /// Keeps the body whole up to `limit` bytes.
    pub(crate) fn new(limit: usize) -> Self {
        Self {
            bytes: Vec::new(),
            limit,
            cut: false,
        }
    }

    /// Takes the next bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        if !self.cut && self.bytes.len() + bytes.len() > self.limit {
            self.cut = true;
            self.bytes = self.bytes.split_off(self.bytes.len().saturating_sub(TAIL_BYTES));
        }
        if self.cut {
            let bytes = &bytes[bytes.len().saturating_sub(TAIL_BYTES)..];
            if self.bytes.len() + bytes.len() > 2 * TAIL_BYTES {
                self.trim(TAIL_BYTES - bytes.len());
            }
            self.bytes.extend_from_slice(bytes);
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    /// The whole body, or (as the error) the last [`TAIL_BYTES`] of one that was too large.
    pub(crate) fn whole(mut self) -> Result<Vec<u8>, Vec<u8>> {
        if self.cut {
            self.trim(TAIL_BYTES);
            Err(self.bytes)
        } else {
            Ok(self.bytes)
        }
    }

    fn trim(&mut self, keep: usize) {
        self.bytes.drain(..self.bytes.len().saturating_sub(keep));
    }
}

/// The counters of the last `"usage"` in the end of a JSON object, if it is a member of that object itself and the object is
/// whole.
pub(crate) fn usage_at_end(tail: &[u8]) -> Option<Counters> {
    const KEY: &[u8] = b"\"usage\"";
    FinderRev::new(KEY).rfind_iter(tail).take(16).find_map(|at| {
        // Inside a string the quote would be escaped, which the very first of these bytes can't tell.
        if tail[at.checked_sub(1)?] == b'\\' {
            return None;
        }
        let value = tail[at + KEY.len()..].trim_ascii_start().strip_prefix(b":")?;
        let mut values = serde_json::Deserializer::from_slice(value).into_iter::<Raw<'_>>();
        let counters = Counters::read(values.next()?.ok()?)?;
        closes_once(&value[values.byte_offset()..]).then_some(counters)
    })
}

/// Whether the bytes close exactly the one object they stand in, and nothing is after it.
fn closes_once(bytes: &[u8]) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0i64, false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            _ if in_string => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => depth -= 1,
            _ => {}
        }
        if depth < 0 {
            return bytes[at + 1..].trim_ascii().is_empty();
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_whole_or_exactly_the_end_is_kept_however_it_comes() {
        let body: Vec<u8> = (0..3 * TAIL_BYTES + 17).map(|at| (at % 251) as u8).collect();
        for piece in [1000, TAIL_BYTES - 1, TAIL_BYTES, 2 * TAIL_BYTES + 5, body.len()] {
            let mut large = Tail::new(TAIL_BYTES + 3);
            let mut small = Tail::new(body.len());
            for piece in body.chunks(piece) {
                large.push(piece);
                small.push(piece);
                assert!(large.bytes.len() <= 2 * TAIL_BYTES);
            }
            assert_eq!(large.whole().unwrap_err(), body[body.len() - TAIL_BYTES..], "{piece}");
            assert_eq!(small.whole().unwrap(), body);
        }
    }

    #[test]
    fn only_the_usage_of_the_object_itself_counts() {
        let found = |tail: &str| usage_at_end(tail.as_bytes()).and_then(|mut counters| counters.take("n"));
        assert_eq!(found(r#"2],"model":"m","usage": {"n":7},"x":"}" } "#), Some(7));
        assert_eq!(found(r#""a":{"usage":{"n":1}},"usage":{"n":7}}"#), Some(7));
        assert_eq!(found(r#","usage":{"n":7},"a":{"usage":{"n":1}}}"#), Some(7));
        assert_eq!(found(r#""a":{"usage":{"n":1}}}"#), None, "a nested one");
        assert_eq!(found(r#","usage":{"n":7}"#), None, "a cut body");
        assert_eq!(found(r#","usage":{"n":7}}}"#), None, "more closed than one");
        assert_eq!(found(r#"\"usage\":{"n":7}}"#), None, "inside a string");
        assert_eq!(found(r#""usage":{"n":7}}"#), None, "perhaps inside a string");
        assert_eq!(found(r#","usage":null}"#), None);
    }
}
