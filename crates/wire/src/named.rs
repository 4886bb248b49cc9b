//! Finds the objects stored at a provider that a request's body names anywhere: files, vector stores, containers, skills, answers in
//! sound, and what Bedrock reads from S3.
//!
//! Not here: forms (`forms`); responses, conversations and their items, which are named in one place each and read by their APIs; and whether a
//! body is JSON, which whoever reads it has found before. This walk goes by tokens alone, so that nothing which servers take makes
//! it stop: half a surrogate pair, a number without bounds, any depth.

pub(crate) mod forms;

use crate::MalformedBody;
use crate::estimate::Text;
use crate::json::Key;
use crate::json::unique::folded;
use crate::limits::{NAME_BYTES, REFERENCES};
use memchr::{memchr2, memchr3, memmem};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// Skills of the provider's own have names without this.
const SKILL: &[u8] = b"skill_";
/// Without any of these, in any case, ASCII names no object unless it has escapes: parts of the names above and of the one list
/// whose elements are references.
const HINTS: &[&[u8]] = &[
    b"file_id",
    b"store_id",
    b"container",
    b"skill_id",
    b"audio",
    b"fileuri",
    b"file_uri",
    b"cachedcontent",
    b"cached_content",
    b"storenames",
    b"store_names",
    b"items",
    b"s3location",
];
/// Bytes of a body that are looked through at a time; a hint that begins in one piece may end in the next.
const PIECE_BYTES: usize = 16 << 10;
const LONGEST_HINT: usize = 14;
/// Length of the longest name of a member that means something: `file_search_store_names`.
const LONGEST_MEMBER: usize = 23;
/// Bytes of a name or an id in JSON, escapes and quotes included, that are read. A longer name is none of ours, and a longer id,
/// of which the beginning is taken, is longer than any that a provider gives.
const READ_BYTES: usize = 6 * NAME_BYTES + 6;

/// Whether a body that can't be read may name an object to a server that can. One of any size is looked through in little memory.
pub(crate) fn may_name(body: &[u8]) -> bool {
    // Letters outside ASCII fold to some inside; the others begin an escape, or are between letters in UTF-16.
    if !body.is_ascii() || memchr3(b'\\', b'%', 0, body).is_some() {
        return true;
    }
    let mut piece = Vec::new();
    (0..body.len()).step_by(PIECE_BYTES).any(|at| {
        piece.clear();
        piece.extend_from_slice(&body[at..body.len().min(at + PIECE_BYTES + LONGEST_HINT)]);
        piece.make_ascii_lowercase();
        HINTS.iter().any(|hint| memmem::find(&piece, hint).is_some())
    })
}

/// The ids that a JSON document names. Its text is counted by the way.
pub(crate) fn in_json(json: &[u8], text: &mut Text) -> Result<BTreeSet<String>, MalformedBody> {
    walk(json, Place::Elsewhere, text)
}

#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// The value of a member that names objects.
    Naming,
    /// The value of a member that names an object, or a page that anybody may read.
    Uri,
    /// The value of `skill_id`.
    Skill,
    /// An object that is a container: its `id` names it, and so does text in its place.
    Container,
    /// An object that is an answer in sound: its `id` names it. Text in its place is the sound, or a kind of sound.
    Audio,
    /// An object that is a place in S3: its `uri` names it.
    S3,
    /// An object with a prompt that is stored: its `variables` are named as its writer likes.
    Prompt,
    /// An object whose members have such names; their values are what providers take.
    Variables,
    /// The value of a member that holds what is the client's own if it is an object; a list in it is looked into.
    Own,
    /// Within what is the client's own.
    WithinOwn,
    Elsewhere,
}

impl Place {
    /// Where the value of a member of an object is that is here. Servers that ignore case exist, so it is ignored.
    fn of_member(key: &[u8], around: Self) -> Self {
        match around {
            Self::WithinOwn => return Self::WithinOwn,
            Self::Variables => return Self::Elsewhere,
            _ => {}
        }
        let mut buffer = [0; LONGEST_MEMBER];
        match folded(key, &mut buffer).unwrap_or_default() {
            // Their text, or list of texts, names objects.
            b"file_id" | b"file_ids" | b"input_file_id" | b"vector_store_id" | b"vector_store_ids" => Self::Naming,
            b"filesearchstorenames" | b"file_search_store_names" => Self::Naming,
            b"container_id" | b"cachedcontent" | b"cached_content" => Self::Naming,
            b"fileuri" | b"file_uri" => Self::Uri,
            b"id" if matches!(around, Self::Container | Self::Audio) => Self::Naming,
            b"uri" if around == Self::S3 => Self::Naming,
            b"s3location" => Self::S3,
            b"variables" if around == Self::Prompt => Self::Variables,
            // They hold what is the client's own if they are objects: schemas, arguments of tools, notes.
            b"input" | b"input_schema" | b"args" | b"response" | b"parameters" | b"schema" => Self::Own,
            b"properties" | b"metadata" | b"attributes" | b"json" => Self::Own,
            b"skill_id" => Self::Skill,
            b"container" => Self::Container,
            b"audio" => Self::Audio,
            b"prompt" => Self::Prompt,
            _ => Self::Elsewhere,
        }
    }

    /// Where the elements of a list are that is here.
    const fn of_elements(self) -> Self {
        match self {
            Self::Own | Self::Prompt | Self::Variables => Self::Elsewhere,
            place => place,
        }
    }

    /// Where the object is whose members come next.
    const fn of_object(self) -> Self {
        match self {
            Self::Own | Self::WithinOwn => Self::WithinOwn,
            place => place,
        }
    }

    /// Whether text here may be an id.
    const fn names(self) -> bool {
        matches!(self, Self::Naming | Self::Uri | Self::Skill | Self::Container)
    }
}

/// A list or an object that is open.
struct Level {
    place: Place,
    is_object: bool,
}

/// Any bytes will do; of what is no JSON, some of the ids may be found.
fn walk(json: &[u8], outermost: Place, text: &mut Text) -> Result<BTreeSet<String>, MalformedBody> {
    let mut found = BTreeSet::new();
    // Two bytes a level, of which there are no more than bytes.
    let mut open: Vec<Level> = Vec::new();
    // Where the next value is, and whether a member's name comes before it.
    let (mut place, mut is_key) = (outermost, false);
    let mut at = 0;
    while let Some(byte) = json.get(at) {
        match byte {
            b'"' => {
                let (end, is_escaped) = end_of_string(json, at);
                let around = open.last().map_or(outermost, |level| level.place);
                let is_read = end - at <= READ_BYTES;
                text.string(json.get(at + 1..end - 1).unwrap_or_default(), is_key);
                if is_key {
                    let name = if is_read {
                        decoded(&json[at..end], is_escaped)
                    } else {
                        Cow::default()
                    };
                    place = Place::of_member(&name, around);
                    is_key = false;
                } else if place.names() {
                    let id = match is_read {
                        true => decoded(&json[at..end], is_escaped),
                        false => json[at + 1..end].into(),
                    };
                    add(&mut found, place, &id)?;
                }
                at = end;
                continue;
            }
            b'{' | b'[' => {
                text.other();
                is_key = *byte == b'{';
                place = if is_key { place.of_object() } else { place.of_elements() };
                open.push(Level {
                    place,
                    is_object: is_key,
                });
            }
            b'}' | b']' => {
                open.pop();
            }
            b',' => {
                let around = open.last();
                is_key = around.is_some_and(|level| level.is_object);
                place = around.map_or(outermost, |level| level.place);
            }
            _ => {}
        }
        at += 1;
    }
    Ok(found)
}

/// Where the string that begins here is over, its quotes included, and whether there are escapes in it.
fn end_of_string(json: &[u8], start: usize) -> (usize, bool) {
    let (mut at, mut is_escaped) = (start + 1, false);
    while let Some(next) = json.get(at..).and_then(|rest| memchr2(b'"', b'\\', rest)) {
        at += next + 1;
        if json[at - 1] == b'"' {
            return (at, is_escaped);
        }
        is_escaped = true;
        at += 1;
    }
    (json.len(), is_escaped)
}

/// The text of a string with quotes; half a surrogate pair is bytes that are no UTF-8.
fn decoded(string: &[u8], is_escaped: bool) -> Cow<'_, [u8]> {
    match is_escaped {
        true => serde_json::from_slice(string).map_or_else(|_| Cow::default(), |Key(text)| text),
        false => string.get(1..string.len() - 1).unwrap_or_default().into(),
    }
}

fn add(found: &mut BTreeSet<String>, place: Place, text: &[u8]) -> Result<(), MalformedBody> {
    let names_none = match place {
        Place::Skill => !text.starts_with(SKILL),
        Place::Uri => is_public(text),
        _ => text.is_empty(),
    };
    if names_none {
        return Ok(());
    }
    let text = String::from_utf8_lossy(&text[..text.len().min(READ_BYTES)]);
    if !found.contains(&*text) {
        found.insert(text.into_owned());
    }
    if found.len() > REFERENCES {
        return Err(MalformedBody::TooManyReferences);
    }
    Ok(())
}

/// Whether a URI is that of a page on the Web, which the provider fetches as anybody does. Buckets are read with the platform's identity, and
/// files of the provider's own have addresses of its own, or a path that says so.
fn is_public(uri: &[u8]) -> bool {
    let uri = String::from_utf8_lossy(uri).to_ascii_lowercase();
    let Some(rest) = uri.strip_prefix("https://").or_else(|| uri.strip_prefix("http://")) else {
        return uri.is_empty();
    };
    let host = rest
        .split(['/', '?', '#', '\\', '%', '@', ':'])
        .next()
        .unwrap_or_default();
    let is_plain = rest[host.len()..].is_empty() || rest[host.len()..].starts_with(['/', '?', '#']);
    is_plain && !host.trim_end_matches('.').ends_with("googleapis.com") && !rest.contains("/files/")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_of_the_web_are_nobodys() {
        for (uri, is_object) in [
            ("https://www.youtube.com/watch?v=x", false),
            ("https://example.com/a%20picture.png", false),
            ("HTTP://example.com", false),
            ("files/x", true),
            ("gs://bucket/x", true),
            ("https://generativelanguage.googleapis.com/v1beta/files/x", true),
            ("https://generativelanguage.googleapis.com./v1beta/x", true),
            ("https://GenerativeLanguage.googleAPIs.com:443/x", true),
            ("https://a@generativelanguage.googleapis.com/x", true),
            ("https://example.com/v1beta/files/x", true),
        ] {
            let found = of(&format!(
                r#"{{"contents":[{{"parts":[{{"fileData":{{"fileUri":"{uri}"}}}}]}}]}}"#
            ));
            assert_eq!(!found.is_empty(), is_object, "{uri}");
        }
    }

    fn of(body: &str) -> Vec<String> {
        in_json(body.as_bytes(), &mut Text::default())
            .unwrap()
            .into_iter()
            .collect()
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
                r#"{"contents":[{"parts":[{"fileData":{"fileUri":"files/f"}}]}],"cachedContent":"cachedContents/c"}"#,
                &["cachedContents/c", "files/f"],
            ),
            (
                r#"{"tools":[{"fileSearch":{"fileSearchStoreNames":["fileSearchStores/s"]}},{"file_search":{"file_search_store_names":"t"}}]}"#,
                &["fileSearchStores/s", "t"],
            ),
            (
                r#"{"contents":[{"parts":[{"functionResponse":{"response":{"file_id":"x"},"parts":[{"fileData":{"file_uri":"g"}}]}}]}]}"#,
                &["g"],
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
            (
                "{\"\u{17f}\u{212a}ILL_ID\":\"skill_1\",\"vector_\u{17f}tore_ids\":[\"v\"]}",
                &["skill_1", "v"],
            ),
            (r#"{"\ud800":"\ud800","z":1e999,"file_id":"f"}"#, &["f"]),
            (
                r#"{"prompt":{"id":"pmpt_1","variables":{"input":{"type":"input_file","file_id":"f"},"schema":{"FILE_ID":"g"}}}}"#,
                &["f", "g"],
            ),
            (
                r#"{"prompt":{"variables":{"file_id":"mine","container":"mine","metadata":{"file_ids":["f"]}}}}"#,
                &["f"],
            ),
            (r#"{"prompt":[{"variables":{"file_id":"f"}}]}"#, &["f"]),
            (
                r#"{"audio":{"voice":"alloy","format":"wav"},"messages":[{"role":"assistant","audio":{"id":"audio_1"}}]}"#,
                &["audio_1"],
            ),
            (r#"{"metadata":{"a":[{"file_id":"mine"}]},"file_id":"f"}"#, &["f"]),
            (
                r#"{"messages":[{"content":[{"document":{"source":{"s3Location":{"uri":"s3://b/k","bucketOwner":"1"}}}},{"toolResult":{"content":[{"video":{"source":{"S3location":{"Uri":"s3://b/v"}}}}]}}]}]}"#,
                &["s3://b/k", "s3://b/v"],
            ),
            (r#"{"mediaSource":{"s3Location":{"uri":"s3://b/m"}}}"#, &["s3://b/m"]),
            (r#"{"input":{"file_id":"mine"},"input":[{"file_id":"f"}]}"#, &["f"]),
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
            r#"{"contents":[{"parts":[{"functionCall":{"args":{"file_id":"mine"}}}]}]}"#,
            r#"{"input":"file_id"}"#,
            r#"{"file_id":7,"container":null,"file_ids":[null,true,1.5]}"#,
            r#"{"messages":[{"content":[{"toolResult":{"content":[{"json":{"s3Location":{"uri":"mine"}}}]}}]}],"uri":"x"}"#,
            r#"{"path":"caf\u00e9"}"#,
            r#"{"audio":"wav","input_audio":{"data":"x"},"messages":[{"id":"x"}]}"#,
            r#"{"prompt":"file_id","variables":{"a":"x"}}"#,
            "no JSON with a file_id",
        ] {
            assert_eq!(of(body), Vec::<String>::new(), "{body}");
        }
    }

    #[test]
    fn what_may_name_an_object_is_found_wherever_it_is() {
        for at in [0, 1, PIECE_BYTES - 8, PIECE_BYTES - 1, PIECE_BYTES, 3 * PIECE_BYTES - 4] {
            for named in [
                "file_id",
                "VECTOR_Store_Ids",
                "Container",
                "skill_ID",
                "AUDIO",
                "iTEMs",
                "\\u0066",
                "%66",
                "\0f",
                "\u{17f}kill_id",
            ] {
                let body = [&"-".repeat(at), named, "--"].concat();
                assert!(may_name(body.as_bytes()), "{named:?} at {at}");
            }
        }
        assert!(!may_name("item contain file-id\r\n".repeat(PIECE_BYTES).as_bytes()));
        assert_eq!(HINTS.iter().map(|hint| hint.len()).max(), Some(LONGEST_HINT));
    }

    #[test]
    fn an_id_without_end_is_taken_without_it() {
        for long in ["x".repeat(1 << 20), "\\u0078".repeat(1 << 18)] {
            let found = of(&format!(r#"{{"file_id":"{long}","{long}":"y"}}"#));
            assert!(found.len() == 1 && (NAME_BYTES + 1..=READ_BYTES).contains(&found[0].len()));
        }
        let longest = "\\u0078".repeat(NAME_BYTES);
        assert_eq!(of(&format!(r#"{{"file_id":"{longest}"}}"#)), ["x".repeat(NAME_BYTES)]);
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
            in_json(body(REFERENCES + 1).as_bytes(), &mut Text::default()),
            Err(MalformedBody::TooManyReferences)
        );
    }
}
