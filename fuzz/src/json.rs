//! JSON read the plain way, for comparison: the whole value, or an object's members in their order with their own text.

use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

/// The value, where serde_json can hold it (it can't hold deep nesting, huge numbers, lone surrogates).
pub fn value(json: &[u8]) -> Option<Value> {
    serde_json::from_slice(json).ok()
}

/// Whether this is JSON, apart from bytes in its strings that may not stand there (not UTF-8, control characters). The
/// gateway does not look at those of members that it passes over, and need not: the provider does.
pub fn is_json(json: &[u8]) -> bool {
    let (mut in_string, mut escaped) = (false, false);
    let tidy = |byte: &u8| {
        if *byte == b'"' && !escaped {
            in_string = !in_string;
        }
        escaped = in_string && *byte == b'\\' && !escaped;
        if in_string && *byte < b' ' { b' ' } else { *byte }
    };
    let tidied: Vec<u8> = json.iter().map(tidy).collect();
    serde_json::from_slice::<IgnoredAny>(&tidied).is_ok()
}

/// The same for an object.
pub fn is_object(json: &[u8]) -> bool {
    json.trim_ascii_start().starts_with(b"{") && is_json(json)
}

/// An object's members as they stand, repeated ones too; `None` where a name can't be held.
pub fn members(json: &[u8]) -> Option<Vec<(String, &str)>> {
    serde_json::from_slice::<Members<'_>>(json)
        .ok()
        .map(|members| members.0)
}

struct Members<'a>(Vec<(String, &'a str)>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ordered;
        impl<'de> Visitor<'de> for Ordered {
            type Value = Members<'de>;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some((name, value)) = map.next_entry::<String, &RawValue>()? {
                    members.push((name, value.get()));
                }
                Ok(Members(members))
            }
        }
        deserializer.deserialize_map(Ordered)
    }
}
