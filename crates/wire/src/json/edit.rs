//! Changes in a body's own bytes: one member put in or replaced, all other bytes kept.

use super::Raw;
use serde::de::MapAccess;
use std::ops::Range;

/// Puts a first member into the object that begins at or after `from` (only white space may be between).
pub(crate) fn put_in(body: &[u8], from: usize, member: &[u8]) -> Option<Vec<u8>> {
    let at = from + body[from..].iter().position(|byte| *byte == b'{')? + 1;
    let is_empty = body[at..].trim_ascii_start().first() == Some(&b'}');
    let mut member = member.to_vec();
    if !is_empty {
        member.push(b',');
    }
    Some(replace(body, at..at, &member))
}

pub(crate) fn replace(body: &[u8], place: Range<usize>, with: &[u8]) -> Vec<u8> {
    [&body[..place.start], with, &body[place.end..]].concat()
}

/// The range of `body` that a value was borrowed from.
pub(crate) fn place_of(value: Raw<'_>, body: &[u8]) -> Option<Range<usize>> {
    let text = value.json();
    let start = (text.as_ptr() as usize).checked_sub(body.as_ptr() as usize)?;
    let place = start..start + text.len();
    // Holds by construction; a copy in between would break it, and then the request goes out as it came.
    (body.get(place.clone())? == text.as_bytes()).then_some(place)
}

/// A member, and how often it was there.
#[derive(Debug, Default)]
pub(crate) struct Counted<'de> {
    last: Raw<'de>,
    times: usize,
}

impl<'de> Counted<'de> {
    /// The member, or `Some(None)` where it is absent; `None` where it is repeated, as servers differ in which one counts.
    pub(crate) fn only(&self) -> Option<Option<Raw<'de>>> {
        match self.times {
            0 => Some(None),
            1 => Some(Some(self.last)),
            _ => None,
        }
    }

    pub(crate) fn read<A: MapAccess<'de>>(&mut self, map: &mut A) -> Result<bool, A::Error> {
        self.last = map.next_value()?;
        self.times += 1;
        Ok(true)
    }
}
