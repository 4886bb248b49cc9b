//! Objects of a request in which each member that is read must be named once, and in its own spelling. Servers differ in which
//! of two they take, and some take `Stream` for `stream`: what is read here has to be what the provider reads.
//!
//! Not here: members that nobody reads, which are the provider's affair, and answers, which are read as they come.

use super::{Key, Members, Raw, otherwise_none};
use crate::MalformedBody;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use std::marker::PhantomData;

/// An object, or anything else.
#[derive(Default)]
enum Unique<T> {
    Object(T),
    /// An object with a member that is there twice, or in another spelling.
    Repeated(&'static [u8]),
    #[default]
    Other,
}

impl<'de, T: Members<'de>> Deserialize<'de> for Unique<T> {
    fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
        d.deserialize_any(UniqueVisitor(PhantomData))
    }
}

struct UniqueVisitor<T>(PhantomData<T>);

impl<'de, T: Members<'de>> Visitor<'de> for UniqueVisitor<T> {
    type Value = Unique<T>;
    otherwise_none!();

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Unique<T>, A::Error> {
        let mut found = T::default();
        let mut seen = 0_u64;
        let mut repeated = None;
        while let Some(key) = map.next_key::<Key<'de>>()? {
            if let Some(at) = T::NAMES.iter().position(|name| is_spelling_of(&key.0, name)) {
                let bit = 1 << at;
                if seen & bit != 0 || *key.0 != *T::NAMES[at] {
                    repeated = Some(T::NAMES[at]);
                }
                seen |= bit;
            }
            if !found.read(&key.0, &mut map)? {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(repeated.map_or(Unique::Object(found), Unique::Repeated))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Unique<T>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Unique::Other)
    }
}

/// Reads a request's body.
pub(crate) fn body<'de, T: Members<'de>>(json: &'de [u8]) -> Result<T, MalformedBody> {
    match serde_json::from_slice(json)? {
        Unique::Object(found) => Ok(found),
        Unique::Repeated(name) => Err(repeated(name)),
        Unique::Other => Err(MalformedBody::NotAnObject),
    }
}

/// Reads an object inside a request's body; what is something else reads as absent.
pub(crate) fn object<'de, T: Members<'de>>(value: Raw<'de>) -> Result<T, MalformedBody> {
    if !value.json().starts_with('{') {
        return Ok(T::default());
    }
    match serde_json::from_str(value.json()) {
        Ok(Unique::Object(found)) => Ok(found),
        Ok(Unique::Repeated(name)) => Err(repeated(name)),
        Ok(Unique::Other) | Err(_) => Ok(T::default()),
    }
}

/// Reads each object of a list inside a request's body; what is something else reads as absent.
pub(crate) fn each<'de, T: Members<'de>>(list: Raw<'de>, mut each: impl FnMut(T)) -> Result<(), MalformedBody> {
    let mut all = Ok(());
    list.for_each(|value| match object(value) {
        Ok(found) if all.is_ok() => each(found),
        Ok(_) => {}
        Err(error) => all = Err(error),
    });
    all
}

fn repeated(name: &'static [u8]) -> MalformedBody {
    MalformedBody::Repeated(std::str::from_utf8(name).unwrap_or_default())
}

/// Whether some reader that ignores case takes a key for this name.
pub(crate) fn is_spelling_of(key: &[u8], name: &[u8]) -> bool {
    if key.len() <= name.len() || key.len() > 3 * name.len() || key.is_ascii() {
        return key.eq_ignore_ascii_case(name);
    }
    with_ascii_letters(key).eq_ignore_ascii_case(name)
}

/// A key as readers take it that ignore case, in lower case. `None` where it is longer than `N`.
pub(crate) fn folded<'b, const N: usize>(key: &[u8], buffer: &'b mut [u8; N]) -> Option<&'b [u8]> {
    let spelled;
    let key = match key.is_ascii() {
        true => key,
        false if key.len() > 3 * N => return None,
        false => {
            spelled = with_ascii_letters(key);
            &spelled
        }
    };
    let folded = buffer.get_mut(..key.len())?;
    folded.copy_from_slice(key);
    folded.make_ascii_lowercase();
    Some(folded)
}

/// Two letters outside ASCII fold to one inside: the long s and the Kelvin sign, in two bytes and in three.
fn with_ascii_letters(key: &[u8]) -> Vec<u8> {
    String::from_utf8_lossy(key)
        .replace('\u{17f}', "s")
        .replace('\u{212a}', "k")
        .into_bytes()
}

#[cfg(test)]
mod tests {
    use crate::read_request;
    use lychgate_types::provider::{Api, WireFamily};

    fn refused(api: Api, body: &str) -> Option<String> {
        read_request(api, None, body.as_bytes())
            .err()
            .map(|error| error.to_string())
    }

    #[test]
    fn what_is_read_is_named_once_and_in_its_own_spelling() {
        // Of a request about a stored object nothing is read, and some name the model in the path.
        let names_model = |api: &&Api| {
            !api.is_about_objects() && !matches!(api.wire_family(), WireFamily::Bedrock | WireFamily::Gemini)
        };
        for api in Api::ALL.iter().filter(names_model) {
            for body in [
                r#"{"model":"a","model":"b"}"#,
                r#"{"model":"a","Model":"b"}"#,
                r#"{"MODEL":"a"}"#,
                r#"{"model":"a","mod\u0065l":"a"}"#,
                r#"{"mode\u006c":"a","model":null}"#,
            ] {
                let says = refused(*api, body).unwrap_or_else(|| panic!("{api}: {body}"));
                assert!(says.contains("\"model\""), "{says}");
            }
            assert_eq!(refused(*api, r#"{"model":"a","x":1,"x":2,"Xmodel":3,"mödel":4}"#), None);
        }
        for body in [
            "{\"model\":\"a\",\"\u{17f}tream\":true}",
            r#"{"model":"a","stream":false,"stream":true}"#,
            r#"{"model":"a","stream_options":{},"stream_options":{}}"#,
            r#"{"model":"a","stream_options":{"include_usage":false,"include_usage":false}}"#,
            r#"{"model":"a","stream_options":{"Include_Usage":false}}"#,
            r#"{"model":"a","messages":[],"messages":[]}"#,
        ] {
            assert!(refused(Api::OpenAiChatCompletions, body).is_some(), "{body}");
        }
        assert_eq!(
            refused(
                Api::OpenAiChatCompletions,
                r#"{"model":"a","stream_options":{"x":1,"x":2}}"#
            ),
            None
        );
    }

    #[test]
    fn the_messages_that_are_read_name_their_members_once() {
        for (api, body) in [
            (
                Api::AnthropicMessages,
                r#"{"messages":[{"role":"user","content":"hidden","content":"shown"}]}"#,
            ),
            (
                Api::AnthropicMessages,
                r#"{"messages":[{"role":"user","content":"a"},{"role":"user","Role":"assistant","content":"b"}]}"#,
            ),
            (
                Api::AnthropicMessages,
                r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hidden","text":"shown"}]}]}"#,
            ),
            (
                Api::OpenAiChatCompletions,
                r#"{"messages":[{"role":"user","content":[{"type":"text","text":"hidden","Text":"shown"}]}]}"#,
            ),
            (
                Api::OpenAiResponses,
                r#"{"input":[{"role":"user","content":[{"type":"input_text","type":"x","text":"a"}]}]}"#,
            ),
            (Api::AnthropicMessages, r#"{"metadata":{"user_id":"a","user_id":"b"}}"#),
            (
                Api::OpenAiChatCompletions,
                r#"{"messages":[{"role":"user","content":"hidden","Content":"shown"}]}"#,
            ),
            (
                Api::OpenAiResponses,
                r#"{"input":[{"role":"user","content":"hidden","content":"shown"}]}"#,
            ),
        ] {
            let says = refused(api, body).unwrap_or_else(|| panic!("{body}"));
            assert!(says.contains("send it once"), "{says}");
        }
    }

    #[test]
    fn a_mistake_in_the_json_is_told_first() {
        let says = refused(Api::OpenAiResponses, r#"{"model":"a","model":"b""#).unwrap();
        assert!(says.contains("not valid JSON"), "{says}");
    }
}
