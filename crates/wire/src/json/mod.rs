//! Lenient JSON: a member of the wrong type reads as absent and never costs the members beside it.
//!
//! One pass over the text, nothing decoded but what is asked for, unknown members skipped without recursion. Only a mistake
//! in the JSON itself makes a parse fail.

pub(crate) mod abridged;
pub(crate) mod counters;
pub(crate) mod edit;
pub(crate) mod elements;
mod raw;
#[cfg(test)]
mod tests;
pub(crate) mod unique;

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
use std::collections::VecDeque;
use std::marker::PhantomData;

pub(crate) use raw::Raw;

/// Messages at the end of a conversation among which the last one of the user is looked for.
const LATEST: usize = 64;

/// A struct read from a JSON object; [`members!`] implements it.
pub(crate) trait Members<'de>: Default {
    /// The names of the members that are read, for [`unique`]; at most 64.
    const NAMES: &'static [&'static [u8]] = &[];

    /// Reads the value of the member `key` if the struct wants it; false leaves the value unread.
    fn read<A: MapAccess<'de>>(&mut self, key: &[u8], map: &mut A) -> Result<bool, A::Error>;
}

/// Declares a struct whose fields are members of a JSON object, as visible as the struct; of repeated members the last one
/// counts.
macro_rules! members {
    ($(#[$doc:meta])* $vis:vis struct $name:ident $(<$life:lifetime>)? { $($field:ident: $type:ty = $key:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Default)]
        $vis struct $name $(<$life>)? { $($vis $field: $type,)* }

        impl<'de> $crate::json::Members<'de> for $name $(<$life>)? {
            const NAMES: &'static [&'static [u8]] = &[$($key),*];

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
pub(crate) use unique::body;

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
use otherwise_none;

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
                Some(element) => {
                    if list.is_empty() {
                        // There is mostly one, which may be large.
                        list.reserve_exact(1);
                    }
                    list.push(element);
                }
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

/// The last elements of an array, newest last, found in the same pass that reads the array; none of anything else.
#[derive(Debug, Default)]
pub(crate) struct Latest<'de>(VecDeque<Raw<'de>>);

impl<'de> Latest<'de> {
    /// From the last one back.
    pub(crate) fn newest_first(&self) -> impl Iterator<Item = Raw<'de>> {
        self.0.iter().rev().copied()
    }

    fn add(&mut self, element: Raw<'de>) {
        if self.0.len() == LATEST {
            self.0.pop_front();
        }
        self.0.push_back(element);
    }
}

impl<'de> Deserialize<'de> for Latest<'de> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(LatestVisitor)
    }
}

struct LatestVisitor;

impl<'de> Visitor<'de> for LatestVisitor {
    type Value = Latest<'de>;
    otherwise_none!();

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Latest<'de>, A::Error> {
        let mut latest = Latest::default();
        while let Some(element) = seq.next_element()? {
            latest.add(element);
        }
        Ok(latest)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Latest<'de>, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Latest::default())
    }
}

/// A member's name, or other text, escapes resolved. As bytes, because lone surrogates are valid in JSON but not in a `str`.
pub(crate) struct Key<'de>(pub(crate) Cow<'de, [u8]>);

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

/// Almost JSON made JSON, as lenient clients read it: bytes that are no UTF-8 become U+FFFD, and the numbers that JSON lacks
/// (`NaN`, `Infinity`, `-Infinity`) become null. `None` where there is nothing to repair.
pub(crate) fn repair(json: &[u8]) -> Option<Vec<u8>> {
    let text = String::from_utf8_lossy(json);
    let was_utf8 = matches!(text, Cow::Borrowed(_));
    let mut repaired = String::with_capacity(text.len());
    let (mut rest, mut in_string, mut replaced) = (&*text, false, false);
    while let Some(first) = rest.chars().next() {
        let number = ["NaN", "Infinity", "-Infinity"]
            .into_iter()
            .find(|number| !in_string && rest.starts_with(number));
        let taken = match (number, first) {
            (Some(number), _) => {
                repaired.push_str("null");
                replaced = true;
                number.len()
            }
            (None, '\\') if in_string => 1 + rest[1..].chars().next().map_or(0, char::len_utf8),
            _ => {
                in_string ^= first == '"';
                first.len_utf8()
            }
        };
        if number.is_none() {
            repaired.push_str(&rest[..taken]);
        }
        rest = &rest[taken..];
    }
    (replaced || !was_utf8).then(|| repaired.into_bytes())
}

/// Reads a whole JSON text as an object; `None` when it is malformed or something else.
pub(crate) fn object<'de, T: Members<'de>>(json: &'de [u8]) -> Option<T> {
    serde_json::from_slice::<Object<T>>(json).ok()?.0
}
