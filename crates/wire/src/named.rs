//! Finds the objects stored at a provider that a request's body names anywhere: files, vector stores, containers, skills.
//!
//! Responses, conversations and their items are named in one place each, which their APIs read themselves.

use crate::MalformedBody;
use crate::limits::REFERENCES;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::collections::BTreeSet;

/// Members whose text, or list of texts, names objects. Servers that ignore case exist, so it is ignored here.
const NAMING: &[&str] = &[
    "file_id",
    "file_ids",
    "input_file_id",
    "vector_store_id",
    "vector_store_ids",
    "container",
    "container_id",
    "skill_id",
];
/// Members that hold what is the client's own if they are objects: schemas, arguments of tools, notes.
const OWN: &[&str] = &[
    "input",
    "input_schema",
    "parameters",
    "schema",
    "properties",
    "metadata",
    "attributes",
];
/// Parts of the names above, and the beginning of the escapes that letters can be written by: without any of them there is nothing.
const HINTS: &[&[u8]] = &[b"file_id", b"store_id", b"container", b"skill_id", b"\\u00"];
/// Skills of the provider's own have names without this.
const SKILL: &str = "skill_";

/// The ids that a body names; none of what is no JSON, which is for others to judge.
pub(crate) fn named(body: &[u8]) -> Result<BTreeSet<String>, MalformedBody> {
    let mut found = BTreeSet::new();
    if HINTS.iter().any(|hint| memchr::memmem::find(body, hint).is_some()) {
        let mut json = serde_json::Deserializer::from_slice(body);
        // What was found before a mistake stays found.
        let _ = Within(&mut found, Place::Elsewhere).deserialize(&mut json);
    }
    if found.len() > REFERENCES {
        return Err(MalformedBody::TooManyReferences);
    }
    Ok(found)
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// The value of a member that names objects.
    Naming,
    /// The value of `skill_id`.
    Skill,
    /// An object that is a container: its `id` names it.
    Container,
    /// The value of a member that holds what is the client's own if it is an object; a list in it is looked into.
    Own,
    Elsewhere,
}

struct Within<'f>(&'f mut BTreeSet<String>, Place);

impl<'de> DeserializeSeed<'de> for Within<'_> {
    type Value = ();
    fn deserialize<D: Deserializer<'de>>(self, d: D) -> Result<(), D::Error> {
        d.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Within<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("any value")
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        let names = match self.1 {
            Place::Naming | Place::Container => !text.is_empty(),
            Place::Skill => text.starts_with(SKILL),
            Place::Own | Place::Elsewhere => false,
        };
        if names && self.0.len() <= REFERENCES {
            self.0.insert(text.to_owned());
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<(), A::Error> {
        let place = match self.1 {
            Place::Own => Place::Elsewhere,
            place => place,
        };
        while seq.next_element_seed(Within(self.0, place))?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.1 == Place::Own {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            return Ok(());
        }
        while let Some(key) = map.next_key::<String>()? {
            let is = |names: &[&str]| names.iter().any(|name| key.eq_ignore_ascii_case(name));
            let place = if is(OWN) {
                Place::Own
            } else if is(&["skill_id"]) {
                Place::Skill
            } else if is(&["container"]) {
                Place::Container
            } else if is(NAMING) || (self.1 == Place::Container && is(&["id"])) {
                Place::Naming
            } else {
                Place::Elsewhere
            };
            map.next_value_seed(Within(self.0, place))?;
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }
    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }
    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }
    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(body: &str) -> Vec<String> {
        named(body.as_bytes()).unwrap().into_iter().collect()
    }

    #[test]
    fn objects_are_found_wherever_providers_take_them() {
        for (body, ids) in [
            (
                r#"{"input":[{"role":"user","content":[{"type":"input_file","file_id":"file-1"}]}]}"#,
                &["file-1"][..],
            ),
            (
                r#"{"messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"f"}}]}]}"#,
                &["f"],
            ),
            (
                r#"{"tools":[{"type":"file_search","vector_store_ids":["vs_1","vs_2"]}]}"#,
                &["vs_1", "vs_2"],
            ),
            (
                r#"{"tools":[{"type":"code_interpreter","container":"cntr_1"}]}"#,
                &["cntr_1"],
            ),
            (
                r#"{"tools":[{"container":{"type":"auto","file_ids":["f"]}}]}"#,
                &["auto", "f"][1..],
            ),
            (
                r#"{"container":{"id":"c","skills":[{"type":"custom","skill_id":"skill_1"},{"type":"anthropic","skill_id":"xlsx"}]}}"#,
                &["c", "skill_1"],
            ),
            (
                r#"{"messages":[{"content":[{"type":"document","source":{"type":"file","file_id":"f"}}]}]}"#,
                &["f"],
            ),
            (
                r#"{"requests":[{"params":{"messages":[{"content":[{"type":"container_upload","file_id":"f"}]}]}}]}"#,
                &["f"],
            ),
            (r#"{"input_file_id":"f","endpoint":"/v1/responses"}"#, &["f"]),
            (
                r#"{"f\u0069le_id":"f","File_ID":"g","file_id":"\u0068"}"#,
                &["f", "g", "h"],
            ),
            (r#"{"file_id":"one","file_id":"two"}"#, &["one", "two"]),
            (r#"{"file_id":"one","broken"#, &["one"]),
        ] {
            assert_eq!(of(body), ids, "{body}");
        }
    }

    #[test]
    fn what_is_the_clients_own_names_nothing() {
        for body in [
            r#"{"messages":[{"content":[{"type":"tool_use","input":{"file_id":"mine"}}]}]}"#,
            r#"{"tools":[{"input_schema":{"properties":{"file_id":{"default":"x"}},"required":["file_id"]}}]}"#,
            r#"{"tools":[{"parameters":{"file_id":"x"}}],"metadata":{"container":"x"}}"#,
            r#"{"input":"file_id"}"#,
            r#"{"file_id":7,"container":null,"file_ids":[null,true,1.5]}"#,
            r#"{"path":"caf\u00e9"}"#,
            "no JSON with a file_id",
        ] {
            assert_eq!(of(body), Vec::<String>::new(), "{body}");
        }
    }

    #[test]
    fn there_is_a_bound() {
        let body = |n: usize| {
            format!(
                r#"{{"file_ids":{:?}}}"#,
                (0..n).map(|n| n.to_string()).collect::<Vec<_>>()
            )
        };
        assert_eq!(of(&body(REFERENCES)).len(), REFERENCES);
        assert_eq!(
            named(body(REFERENCES + 1).as_bytes()),
            Err(MalformedBody::TooManyReferences)
        );
    }
}
