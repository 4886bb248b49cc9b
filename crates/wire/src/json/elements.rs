//! A list cut into its elements while it comes, for streams that are one long list.
//!
//! Not here: what is read of an element. Elements that are neither objects nor lists are passed over.

use super::abridged::Abridged;
use crate::limits::EVENT_BYTES;
use memchr::memchr2;

/// Gives a list's elements, however its bytes are cut. An element that lies whole in one read is not copied; one that is too large
/// to be held is abridged.
#[derive(Debug, Default)]
pub(crate) struct Elements {
    /// Lists and objects that are open, the list itself among them.
    depth: usize,
    /// An element has begun.
    inside: bool,
    in_string: bool,
    escaped: bool,
    /// The list has ended. Servers put an error behind it that is no element.
    ended: bool,
    carry: Vec<u8>,
    /// The element under way, where it is over the limit.
    large: Option<Abridged>,
}

impl Elements {
    /// Takes the next bytes and hands on every element that they complete.
    pub(crate) fn push(&mut self, mut bytes: &[u8], mut on_element: impl FnMut(&[u8])) {
        while !bytes.is_empty() {
            if !self.inside {
                let skipped = self.between(bytes);
                bytes = &bytes[skipped..];
                continue;
            }
            let Some(end) = self.find_end(bytes) else {
                self.keep(bytes);
                return;
            };
            let (rest_of_it, rest) = bytes.split_at(end);
            bytes = rest;
            self.inside = false;
            if self.carry.is_empty() && self.large.is_none() && rest_of_it.len() <= EVENT_BYTES {
                on_element(rest_of_it);
            } else {
                self.keep(rest_of_it);
                self.emit(&mut on_element);
            }
        }
    }

    /// Whether the bytes so far end within an element, or outside the list.
    pub(crate) fn is_inside(&self) -> bool {
        self.inside || self.in_string || self.ended || self.depth == 0
    }

    /// Passes over what stands before an element, up to the bracket that begins it; how many bytes that are.
    fn between(&mut self, bytes: &[u8]) -> usize {
        for (at, byte) in bytes.iter().enumerate() {
            if self.in_string {
                self.string_byte(*byte);
                continue;
            }
            match (byte, self.depth) {
                (b'[', 0) => self.depth = 1,
                (b'[' | b'{', 1) => {
                    self.inside = true;
                    return at;
                }
                (b']', _) => self.ended = true,
                (b'"', _) => self.in_string = true,
                _ => {}
            }
        }
        bytes.len()
    }

    fn string_byte(&mut self, byte: u8) {
        match byte {
            _ if self.escaped => self.escaped = false,
            b'\\' => self.escaped = true,
            b'"' => self.in_string = false,
            _ => {}
        }
    }

    /// Length of the start of `bytes` that completes the element under way; `None` when it goes on after them.
    fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        let mut at = 0;
        while at < bytes.len() {
            if self.in_string {
                if !self.escaped {
                    at += memchr2(b'"', b'\\', &bytes[at..])?;
                }
                self.string_byte(bytes[at]);
                at += 1;
                continue;
            }
            match bytes[at] {
                b'"' => self.in_string = true,
                b'[' | b'{' => self.depth += 1,
                b']' | b'}' => self.depth -= 1,
                _ => {}
            }
            at += 1;
            if self.depth == 1 {
                return Some(at);
            }
        }
        None
    }

    fn keep(&mut self, bytes: &[u8]) {
        if let Some(large) = &mut self.large {
            large.push(bytes);
        } else if self.carry.len() + bytes.len() <= EVENT_BYTES {
            self.carry.extend_from_slice(bytes);
        } else {
            let mut large = Abridged::default();
            large.push(&std::mem::take(&mut self.carry));
            large.push(bytes);
            self.large = Some(large);
        }
    }

    fn emit(&mut self, on_element: &mut impl FnMut(&[u8])) {
        if let Some(large) = self.large.take() {
            on_element(&large.into_bytes());
            return;
        }
        let mut carry = std::mem::take(&mut self.carry);
        on_element(&carry);
        // One large element must not cost its memory for the rest of the stream.
        if carry.capacity() <= 64 * 1024 {
            carry.clear();
            self.carry = carry;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn elements(text: &str, piece: usize) -> Vec<String> {
        let (mut elements, mut found) = (Elements::default(), Vec::new());
        for piece in text.as_bytes().chunks(piece) {
            elements.push(piece, |json| found.push(String::from_utf8(json.to_owned()).unwrap()));
        }
        found
    }

    #[test]
    fn elements_are_found_however_the_list_is_spelled_and_cut() {
        for (text, wanted) in [
            ("[]", &[][..]),
            ("[{}]", &["{}"]),
            (
                "[{\"a\":[1,{\"b\":2}]}\r\n,\r\n{\"c\":3}\r\n]\n",
                &["{\"a\":[1,{\"b\":2}]}", "{\"c\":3}"],
            ),
            (
                " [ {\"a\":\"]}\\\"\\\\\"} , [[]] ] ,{}",
                &["{\"a\":\"]}\\\"\\\\\"}", "[[]]", "{}"],
            ),
            ("[1,\"{\\\"\",null,{\"a\":true}]", &["{\"a\":true}"]),
            ("[{}\n]\n{\"a\":[1]}\n", &["{}", "{\"a\":[1]}"]),
            ("[]\r\n{\"a\":1}{", &["{\"a\":1}"]),
            ("[{\"a\":1},{\"b\":", &["{\"a\":1}"]),
            ("[{\"a\":1]", &["{\"a\":1]"]),
        ] {
            for piece in [1, 2, 3, 7, 1000] {
                assert_eq!(elements(text, piece), wanted, "{text} by {piece}");
            }
        }
    }

    #[test]
    fn a_large_element_is_abridged_and_costs_no_other() {
        let large = "x".repeat(EVENT_BYTES + 1);
        let text = format!("[{{\"n\":1,\"text\":\"{large}\",\"last\":2}},{{\"n\":3}}]");
        for piece in [65_521, usize::MAX] {
            let found = elements(&text, piece);
            assert!(found[0].starts_with("{\"n\":1,\"text\":\"xxx") && found[0].ends_with(",\"last\":2}"));
            assert!(found[0].len() < EVENT_BYTES / 2, "{}", found[0].len());
            assert_eq!(found[1..], ["{\"n\":3}"]);
        }
    }
}
