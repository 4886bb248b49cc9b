//! A JSON value as its own text, read as what it is wanted to be.

use super::{Key, Latest, Members, object};
use crate::estimate::decoded_length;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;

/// Any value, as its own text; `None` where the member is absent.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Raw<'de>(pub(crate) Option<&'de RawValue>);

impl<'de> Deserialize<'de> for Raw<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        <&RawValue>::deserialize(d).map(|raw| Self(Some(raw)))
    }
}

impl<'de> Raw<'de> {
    /// The JSON text, white space around it gone; empty where the member is absent.
    pub(crate) fn json(self) -> &'de str {
        self.0.map_or("", RawValue::get)
    }

    /// The value read as an object.
    pub(crate) fn object<T: Members<'de>>(self) -> Option<T> {
        // A quick look, because text of another type may hold what `Object` can't pass over.
        if self.json().starts_with('{') {
            object(self.json().as_bytes())
        } else {
            None
        }
    }

    /// The value read as text.
    pub(crate) fn text(self) -> Option<Cow<'de, str>> {
        let json = self.json();
        let inside = json.strip_prefix('"')?.strip_suffix('"')?;
        if memchr::memchr(b'\\', inside.as_bytes()).is_none() {
            return Some(Cow::Borrowed(inside));
        }
        Some(Cow::Owned(serde_json::from_str(json).unwrap_or_else(|_| lossy(json))))
    }

    /// The value as text, or as its own JSON where it is something else; empty for `null`.
    pub(crate) fn text_or_json(self) -> Cow<'de, str> {
        self.text()
            .unwrap_or(Cow::Borrowed(if self.is_some() { self.json() } else { "" }))
    }

    /// The value read as a name or id; empty where it isn't text.
    pub(crate) fn name(self) -> String {
        self.text().map(crate::capture::name).unwrap_or_default()
    }

    /// Whether the value is this text.
    pub(crate) fn is(self, text: &str) -> bool {
        self.text().is_some_and(|found| found == text)
    }

    /// The value read as an integer; `12.0` is one too.
    pub(crate) fn integer(self) -> Option<i64> {
        let json = self.json();
        json.parse().ok().or_else(|| {
            let number: f64 = json.parse().ok()?;
            // The cast saturates, which is what is wanted of a counter.
            (number.is_finite() && number.fract() == 0.0).then_some(number as i64)
        })
    }

    /// The value read as a count, which some servers write as text.
    pub(crate) fn count(self) -> Option<i64> {
        self.integer().or_else(|| self.text()?.trim().parse().ok())
    }

    /// The value read as the number of answers that are asked for, as far as so many are told apart.
    pub(crate) fn answers(self) -> usize {
        let asked = self.integer().and_then(|asked| usize::try_from(asked).ok());
        asked.unwrap_or_default().min(crate::limits::ITEMS)
    }

    /// Length of the text in UTF-8, about; 0 for what is no text.
    pub(crate) fn length(self) -> u64 {
        let inside = self.json().strip_prefix('"').and_then(|json| json.strip_suffix('"'));
        inside.map_or(0, |inside| decoded_length(inside.as_bytes()))
    }

    /// Whether the value is `true`.
    pub(crate) fn is_true(self) -> bool {
        self.json() == "true"
    }

    /// Whether there is a value and it isn't `null`.
    pub(crate) fn is_some(self) -> bool {
        !matches!(self.json(), "" | "null")
    }

    /// Calls for each element, if the value is an array.
    pub(crate) fn for_each(self, each: impl FnMut(Raw<'de>)) {
        if self.json().starts_with('[') {
            let mut json = serde_json::Deserializer::from_str(self.json());
            // The text is a `RawValue`: it is known to be valid.
            let _ = json.deserialize_seq(EachVisitor(each));
        }
    }

    /// Calls for each member, if the value is an object.
    pub(crate) fn for_each_member(self, each: impl FnMut(&[u8], Raw<'de>)) {
        if self.json().starts_with('{') {
            let mut json = serde_json::Deserializer::from_str(self.json());
            // Valid, as above.
            let _ = json.deserialize_map(EachMemberVisitor(each));
        }
    }

    /// The last elements, if the value is an array.
    pub(crate) fn latest(self) -> Latest<'de> {
        // Valid, as above.
        serde_json::from_str(self.json()).unwrap_or_default()
    }
}

struct EachVisitor<F>(F);

impl<'de, F: FnMut(Raw<'de>)> Visitor<'de> for EachVisitor<F> {
    type Value = ();
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an array")
    }
    fn visit_seq<A: SeqAccess<'de>>(mut self, mut seq: A) -> Result<(), A::Error> {
        while let Some(element) = seq.next_element()? {
            (self.0)(element);
        }
        Ok(())
    }
}

struct EachMemberVisitor<F>(F);

impl<'de, F: FnMut(&[u8], Raw<'de>)> Visitor<'de> for EachMemberVisitor<F> {
    type Value = ();
    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("an object")
    }
    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, value)) = map.next_entry::<Key<'de>, _>()? {
            (self.0)(&key.0, value);
        }
        Ok(())
    }
}

/// Decodes a JSON string that holds lone surrogates: each becomes one U+FFFD. `json` is a valid JSON string.
fn lossy(json: &str) -> String {
    struct Bytes;
    impl Visitor<'_> for Bytes {
        type Value = Vec<u8>;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a string")
        }
        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
            Ok(bytes.to_owned())
        }
    }
    let decoded = serde_json::Deserializer::from_str(json).deserialize_bytes(Bytes);
    let mut text = String::new();
    for chunk in decoded.unwrap_or_default().utf8_chunks() {
        text.push_str(chunk.valid());
        // A surrogate is three bytes that are no UTF-8, each a chunk of its own: ED, then two continuations.
        if !chunk.invalid().is_empty() && !matches!(chunk.invalid(), [0x80..=0xBF]) {
            text.push('\u{fffd}');
        }
    }
    text
}
