//! Lenient JSON: a member of the wrong type reads as absent and never costs the members beside it.
//!
//! One pass over the text, nothing decoded but what is asked for, unknown members skipped without recursion. Only a mistake
//! in the JSON itself makes a parse fail.

pub(crate) mod counters;
pub(crate) mod tail;
#[cfg(test)]
mod tests;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::marker::PhantomData;

/// A struct read from a JSON object; [`members!`] implements it.
pub(crate) trait Members<'de>: Default {
    /// Reads the value of the member `key` if the struct wants it; false leaves the value unread.
    fn read<A: MapAccess<'de>>(&mut self, key: &[u8], map: &mut A) -> Result<bool, A::Error>;
}

/// Declares a struct whose fields are members of a JSON object; of repeated members the last one counts.
macro_rules! members {
    ($(#[$doc:meta])* $vis:vis struct $name:ident $(<$life:lifetime>)? { $($field:ident: $type:ty = $key:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        $vis struct $name $(<$life>)? { $($field: $type,)* }

        impl<'de> $crate::json::Members<'de> for $name $(<$life>)? {
            fn read<A: serde::de::MapAccess<'de>>(&mut self, key: &[u8], map: &mut A) -> Result<bool, A::Error> {
                match key {
                    $($key => self.$field = map.next_value()?,)*
                    _ => return Ok(false),
                }
                Ok(true)
            }
        }
    };
}
pub(crate) use members;

/// An object, or anything else (`None`).
#[derive(Debug)]
pub(crate) struct Object<T>(pub(crate) Option<T>);

impl<T> Default for Object<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<'de, T: Members<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ObjectVisitor(PhantomData)).map(Self)
    }
}

struct ObjectVisitor<T>(PhantomData<T>);

/// The visits that end in "not what was asked for".
macro_rules! otherwise_none {
    () => {
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("any JSON value")
        }
        fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
}

impl<'de, T: Members<'de>> Visitor<'de> for ObjectVisitor<T> {
    type Value = Option<T>;
    otherwise_none!();

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Option<T>, A::Error> {
        let mut found = T::default();
        while let Some(key) = map.next_key::<Key<'de>>()? {
            if !found.read(&key.0, &mut map)? {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(Some(found))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<T>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

/// The elements of an array, at most [`crate::limits::ITEMS`]; none of anything else.
#[derive(Debug)]
pub(crate) struct List<T>(pub(crate) Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(ListVisitor(PhantomData)).map(Self)
    }
}

struct ListVisitor<T>(PhantomData<T>);

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = Vec<T>;
    otherwise_none!();

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Vec<T>, A::Error> {
        let mut list = Vec::new();
        while list.len() < crate::limits::ITEMS {
            match seq.next_element()? {
                Some(element) => list.push(element),
                None => return Ok(list),
            }
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(list)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Vec<T>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Vec::new())
    }
}

/// A member's name, escapes resolved. As bytes, because lone surrogates are valid in JSON but not in a `str`.
struct Key<'de>(Cow<'de, [u8]>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a member's name")
            }
            fn visit_borrowed_bytes<E>(self, key: &'de [u8]) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(key)))
            }
            fn visit_bytes<E>(self, key: &[u8]) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        d.deserialize_bytes(KeyVisitor)
    }
}

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

    /// The last element, if the value is an array that has one.
    pub(crate) fn last(self) -> Raw<'de> {
        let mut last = Raw::default();
        self.for_each(|element| last = element);
        last
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

/// Decodes a JSON string that holds lone surrogates.
fn lossy(json: &str) -> String {
    struct Bytes;
    impl Visitor<'_> for Bytes {
        type Value = String;
        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("a string")
        }
        fn visit_bytes<E>(self, bytes: &[u8]) -> Result<String, E> {
            Ok(String::from_utf8_lossy(bytes).into_owned())
        }
    }
    serde_json::Deserializer::from_str(json)
        .deserialize_bytes(Bytes)
        .unwrap_or_default()
}

/// Reads a whole JSON text as an object; `None` when it is malformed or something else.
pub(crate) fn object<'de, T: Members<'de>>(json: &'de [u8]) -> Option<T> {
    serde_json::from_slice::<Object<T>>(json).ok()?.0
}

/// The same for a request's body, which says why not.
pub(crate) fn body<'de, T: Members<'de>>(json: &'de [u8]) -> Result<T, crate::MalformedBody> {
    serde_json::from_slice::<Object<T>>(json)?
        .0
        .ok_or(crate::MalformedBody::NotAnObject)
}
