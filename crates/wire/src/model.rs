//! Asking for another model in a request's own bytes: the value of `model` is replaced, all other bytes are kept.

use crate::json::edit::{Counted, place_of, put_in, replace};
use crate::json::{self, Members};
use crate::request::changed_behind_mark;
use serde::de::MapAccess;

/// The body with `model` as its model, put in where none was named. `None` where it isn't plain what to change: a body that
/// is not an object, a model named twice, or one that is neither text nor null.
pub fn with_model(body: &[u8], model: &str) -> Option<Vec<u8>> {
    changed_behind_mark(body, |body| renamed(body, model))
}

fn renamed(body: &[u8], model: &str) -> Option<Vec<u8>> {
    let request: Top<'_> = json::object(body)?;
    let wanted = serde_json::Value::from(model).to_string();
    match request.model.only()? {
        None => put_in(body, 0, format!(r#""model":{wanted}"#).as_bytes()),
        Some(named) if named.json().starts_with('"') || named.json() == "null" => {
            Some(replace(body, place_of(named, body)?, wanted.as_bytes()))
        }
        Some(_) => None,
    }
}

#[derive(Debug, Default)]
struct Top<'de> {
    model: Counted<'de>,
}

impl<'de> Members<'de> for Top<'de> {
    fn read<A: MapAccess<'de>>(&mut self, key: &[u8], map: &mut A) -> Result<bool, A::Error> {
        if key == b"model" {
            self.model.read(map)
        } else {
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::with_model;
    use crate::read_request;
    use lychgate_types::provider::Api;
    use proptest::prelude::*;

    fn spliced(body: &str, model: &str) -> Option<String> {
        with_model(body.as_bytes(), model).map(|body| String::from_utf8(body).unwrap())
    }

    #[test]
    fn only_the_models_bytes_change() {
        for (before, after) in [
            (r#"{"model":"a","x":1.0}"#, r#"{"model":"b","x":1.0}"#),
            (
                "{ \"x\" : 1,\n\"model\" :\t\"a\" }\n",
                "{ \"x\" : 1,\n\"model\" :\t\"b\" }\n",
            ),
            (r#"{"mod\u0065l":"\ud800"}"#, r#"{"mod\u0065l":"b"}"#),
            (r#"{"model":null}"#, r#"{"model":"b"}"#),
            (" { }", r#" {"model":"b" }"#),
            (
                r#"{"m":{"model":"a"},"s":"\"model\":\"a\""}"#,
                r#"{"model":"b","m":{"model":"a"},"s":"\"model\":\"a\""}"#,
            ),
        ] {
            assert_eq!(spliced(before, "b").as_deref(), Some(after), "{before}");
        }
    }

    #[test]
    fn in_doubt_nothing_changes() {
        for body in [
            r#"{"model":"a","model":"a"}"#,
            r#"{"model":"a","mod\u0065l":null}"#,
            r#"{"model":7}"#,
            r#"{"model":["a"]}"#,
            r#"{"model":"a""#,
            r#"["model"]"#,
            "",
        ] {
            assert_eq!(spliced(body, "b"), None, "{body}");
        }
    }

    proptest! {
        #[test]
        fn the_result_names_the_model_and_says_the_same_otherwise(
            white in "[ \n\t]{0,2}", old in "\\PC{0,20}", new in "\\PC{0,20}", text in "\\PC{0,20}", place in 0..4usize,
        ) {
            let quoted = |text: &str| serde_json::to_string(text).unwrap();
            let mut members = vec![format!(r#""t":{white}{}"#, quoted(&text)), format!(r#""in":{{"model":{}}}"#, quoted(&old))];
            if place < 3 {
                members.insert(place, format!(r#"{white}"model"{white}:{white}{}"#, quoted(&old)));
            }
            let body = format!("{white}{{{white}{}{white}}}{white}", members.join(","));
            let mut wanted: serde_json::Value = serde_json::from_str(&body).unwrap();
            wanted["model"] = new.as_str().into();
            let after = spliced(&body, &new).unwrap();
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&after).unwrap(), wanted);
            prop_assert_eq!(read_request(Api::OpenAiResponses, None, after.as_bytes()).unwrap().model, new);
            if place < 3 {
                // Back again byte for byte.
                prop_assert_eq!(spliced(&after, &old).unwrap(), body);
            }
        }

        #[test]
        fn no_bytes_break_it(body in prop::collection::vec(any::<u8>(), 0..64)) {
            let _ = with_model(&body, "m");
        }
    }
}
