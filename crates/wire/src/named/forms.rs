//! Finds the objects stored at a provider that a form names: by the names of its parts, and in JSON that is the value of one.
//!
//! Not here: what is in files, which is their maker's.

use super::{Place, add, walk};
use crate::MalformedBody;
use crate::estimate::Text;
use crate::form::{self, Boundary};
use std::collections::BTreeSet;

/// The ids that a form names. Its text is counted by the way.
pub(crate) fn in_form(body: &[u8], boundary: Boundary<'_>, text: &mut Text) -> Result<BTreeSet<String>, MalformedBody> {
    let mut found = BTreeSet::new();
    form::each_part(body, boundary, |part| {
        text.bytes += part.text_bytes();
        if part.name.iter().any(|byte| matches!(byte, b'\\' | b'%')) {
            return Err(MalformedBody::Form("the name of a part has escapes in it"));
        }
        // `file_ids[]` and `tool[file_id]` are members of lists and of objects to some servers.
        let place = form::words(part.name).fold(Place::Elsewhere, Place::of_word);
        let value = match place.names() {
            true => part.text()?.as_bytes(),
            false => part.value().unwrap_or_default(),
        };
        // To some servers it is what it says; the prompt of a form is text to all of them.
        let is_json = matches!(value.trim_ascii_start().first(), Some(b'[' | b'{' | b'"'));
        if is_json && place != Place::Prompt {
            found.append(&mut walk(value, place, &mut Text::default())?);
        } else if place.names() {
            add(&mut found, place, value)?;
        }
        Ok(())
    })?;
    Ok(found)
}

impl Place {
    /// Where the value of a form's part is, behind one more word of its name.
    fn of_word(self, word: &[u8]) -> Self {
        match self {
            // Servers differ in what they make of more words.
            Self::Naming | Self::Skill => self,
            // `[]` and `[0]` are elements of a list to some servers.
            _ if word.iter().all(u8::is_ascii_digit) => self.of_elements(),
            _ => Self::of_member(word, self.of_object()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(head: &str, value: &str) -> Result<Vec<String>, MalformedBody> {
        let body = format!("--x\r\ncontent-disposition: form-data; {head}\r\n\r\n{value}\r\n--x--\r\n");
        let boundary = Boundary::of(b"multipart/form-data; boundary=x").unwrap().unwrap();
        in_form(body.as_bytes(), boundary, &mut Text::default()).map(|found| found.into_iter().collect())
    }

    #[test]
    fn of_the_name_of_a_forms_part_each_word_is_within_the_one_before() {
        let of = |name: &str, value: &str| form(&format!("name=\"{name}\""), value).unwrap();
        for name in [
            "file_id",
            "file_ids[]",
            "file_ids[0]",
            "FILE_IDS.0",
            "container",
            "container[id]",
            "container[file_ids][]",
            "container[skills][0][skill_id]",
            "files[][file_id]",
            "input[][file_id]",
            "input[0][file_id]",
            "audio[id]",
            "prompt[variables][input][file_id]",
            "file_id[]x",
        ] {
            assert_eq!(of(name, "skill_1"), ["skill_1"], "{name}");
            assert!(of(name, "[\"skill_1\",\"skill_2\"]").len() == 2, "{name}");
        }
        for name in [
            "metadata[container]",
            "metadata[a][file_id]",
            "attributes[file_id]",
            "prompt[variables][file_id]",
            "container[type]",
            "my_file_id",
        ] {
            assert!(of(name, "skill_1").is_empty(), "{name}");
        }
        assert!(of("container[skills][0][skill_id]", "xlsx").is_empty());
    }

    #[test]
    fn json_in_a_part_names_what_it_would_name_alone() {
        let of = |name: &str, value: &str| form(&format!("name=\"{name}\""), value).unwrap();
        for (name, value, ids) in [
            ("input_reference", r#"{"type":"file","file_id":"f"}"#, &["f"][..]),
            (
                "tools",
                r#" [{"type":"code_interpreter","container":{"file_ids":["f","g"]}}]"#,
                &["f", "g"],
            ),
            (
                "container",
                r#"{"id":"c","skills":[{"skill_id":"skill_1"}]}"#,
                &["c", "skill_1"],
            ),
            ("metadata", r#"{"file_id":"mine"}"#, &[]),
            ("prompt", r#"{"file_id":"text"}"#, &[]),
            ("instructions", "file_id", &[]),
            ("instructions", r#""file_id" is a word"#, &[]),
        ] {
            assert_eq!(of(name, value), ids, "{name}={value}");
        }
        let typed = "name=input_reference\r\ncontent-type: application/json";
        assert_eq!(form(typed, r#"{"file_id":"f"}"#), Ok(vec!["f".to_owned()]));
        // A file is not read, and where an id has to be there is none.
        let file = |name: &str| form(&format!("name=\"{name}\"; filename=\"a.jsonl\""), r#"{"file_id":"f"}"#);
        assert_eq!(file("file"), Ok(Vec::new()));
        assert!(file("file_id").is_err());
    }
}
