//! Asking for usage in a request's own bytes: the needed ones are put in or replaced, all others kept.

use crate::json::edit::{Counted, place_of, put_in, replace};
use crate::json::{self, Members};
use serde::de::MapAccess;

/// The body with `stream_options.include_usage` true; `None` where it isn't plain what to change, or nothing is to.
pub(crate) fn with_usage_requested(body: &[u8]) -> Option<Vec<u8>> {
    let request: Top<'_> = json::object(body)?;
    let Some(options) = request.stream_options.only()? else {
        return put_in(body, 0, br#""stream_options":{"include_usage":true}"#);
    };
    let place = place_of(options, body)?;
    match options.json() {
        "null" => Some(replace(body, place, br#"{"include_usage":true}"#)),
        text if text.starts_with('{') => {
            let inner: Inner<'_> = json::object(text.as_bytes())?;
            let Some(flag) = inner.include_usage.only()? else {
                return put_in(body, place.start, br#""include_usage":true"#);
            };
            match flag.json() {
                "false" | "null" => Some(replace(body, place_of(flag, body)?, b"true")),
                _ => None,
            }
        }
        _ => None,
    }
}

#[derive(Debug, Default)]
struct Top<'de> {
    stream_options: Counted<'de>,
}

impl<'de> Members<'de> for Top<'de> {
    fn read<A: MapAccess<'de>>(&mut self, key: &[u8], map: &mut A) -> Result<bool, A::Error> {
        if key == b"stream_options" {
            self.stream_options.read(map)
        } else {
            Ok(false)
        }
    }
}

#[derive(Debug, Default)]
struct Inner<'de> {
    include_usage: Counted<'de>,
}

impl<'de> Members<'de> for Inner<'de> {
    fn read<A: MapAccess<'de>>(&mut self, key: &[u8], map: &mut A) -> Result<bool, A::Error> {
        if key == b"include_usage" {
            self.include_usage.read(map)
        } else {
            Ok(false)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::with_usage_requested;
    use crate::{ask_for_usage, read_request};
    use lychgate_types::provider::Api::{AnthropicMessages, OpenAiChatCompletions};
    use proptest::prelude::*;

    fn spliced(body: &str) -> Option<String> {
        with_usage_requested(body.as_bytes()).map(|body| String::from_utf8(body).unwrap())
    }

    #[test]
    fn only_the_needed_bytes_change() {
        for (before, after) in [
            (
                r#"{"stream":true}"#,
                r#"{"stream_options":{"include_usage":true},"stream":true}"#,
            ),
            (
                " \n{ \"stream\" : true }\r\n",
                " \n{\"stream_options\":{\"include_usage\":true}, \"stream\" : true }\r\n",
            ),
            ("{ }", r#"{"stream_options":{"include_usage":true} }"#),
            (
                r#"{"stream_options": null ,"a":1.0}"#,
                r#"{"stream_options": {"include_usage":true} ,"a":1.0}"#,
            ),
            (
                r#"{"stream_options":{}}"#,
                r#"{"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream_options":{ }}"#,
                r#"{"stream_options":{"include_usage":true }}"#,
            ),
            (
                r#"{"stream_options": {"x":1}}"#,
                r#"{"stream_options": {"include_usage":true,"x":1}}"#,
            ),
            (
                r#"{"stream_options":{"include_usage" : false , "x":{"include_usage":false}}}"#,
                r#"{"stream_options":{"include_usage" : true , "x":{"include_usage":false}}}"#,
            ),
            (
                r#"{"stream_options":{"include_usage":null}}"#,
                r#"{"stream_options":{"include_usage":true}}"#,
            ),
            (
                r#"{"stream\u005foptions":{"include\u005fusage":false}}"#,
                r#"{"stream\u005foptions":{"include\u005fusage":true}}"#,
            ),
            (
                r#"{"m":{"stream_options":{"include_usage":false}},"s":"\"stream_options\":null"}"#,
                r#"{"stream_options":{"include_usage":true},"m":{"stream_options":{"include_usage":false}},"s":"\"stream_options\":null"}"#,
            ),
        ] {
            assert_eq!(spliced(before).as_deref(), Some(after), "{before}");
        }
    }

    #[test]
    fn in_doubt_nothing_changes() {
        for body in [
            r#"{"stream_options":{},"stream_options":{}}"#,
            r#"{"stream_options":null,"stream\u005foptions":{}}"#,
            r#"{"stream_options":{"include_usage":false,"include_usage":false}}"#,
            r#"{"stream_options":{"include_usage":"false"}}"#,
            r#"{"stream_options":{"include_usage":true}}"#,
            r#"{"stream_options":[]}"#,
            r#"{"stream_options":"x"}"#,
            r#"{"stream_options":{}"#,
            "[]",
        ] {
            assert_eq!(spliced(body), None, "{body}");
        }
    }

    #[test]
    fn only_chat_streams_lack_usage() {
        for (body, lacks) in [
            (r#"{"stream":true}"#, true),
            (r#"{"stream":true,"stream_options":{"include_usage":false}}"#, true),
            (r#"{"stream":false}"#, false),
            (r#"{"stream":"true"}"#, false),
            (r#"{"stream":true,"stream_options":{"include_usage":true}}"#, false),
        ] {
            let facts = read_request(OpenAiChatCompletions, None, body.as_bytes()).unwrap();
            assert_eq!(facts.lacks_usage, lacks, "{body}");
            assert_eq!(
                ask_for_usage(OpenAiChatCompletions, body.as_bytes()).is_some(),
                !body.contains("usage\":true"),
                "{body}"
            );
            assert!(
                !read_request(AnthropicMessages, None, body.as_bytes())
                    .unwrap()
                    .lacks_usage
            );
            assert_eq!(ask_for_usage(AnthropicMessages, body.as_bytes()), None);
        }
    }

    proptest! {
        #[test]
        fn the_result_asks_for_usage_and_says_the_same_otherwise(
            before in "[ \n]{0,2}", inner in "[ \t]{0,2}", text in "\\PC{0,20}", flag in 0..5usize, last in any::<bool>(),
        ) {
            let options = ["", "null", "{}", r#"{"include_usage":false}"#, r#"{"other":[1,{}]}"#][flag];
            let text = serde_json::to_string(&text).unwrap();
            let mut members = vec![format!(r#"{inner}"stream":true"#), format!(r#""t":{inner}{text}"#)];
            if !options.is_empty() {
                members.insert(if last { 2 } else { 0 }, format!(r#""stream_options"{inner}:{inner}{options}"#));
            }
            let body = format!("{before}{{{}{inner}}}{before}", members.join(","));
            let mut wanted: serde_json::Value = serde_json::from_str(&body).unwrap();
            if !wanted["stream_options"].is_object() {
                wanted["stream_options"] = serde_json::json!({});
            }
            wanted["stream_options"]["include_usage"] = true.into();
            let after = spliced(&body).unwrap();
            prop_assert_eq!(serde_json::from_str::<serde_json::Value>(&after).unwrap(), wanted);
            prop_assert!(!read_request(OpenAiChatCompletions, None, after.as_bytes()).unwrap().lacks_usage);
        }
    }
}
