//! What a Chat Completions request says.

use crate::capture::{joined, name};
use crate::json::{self, Latest, Raw, members, unique};
use crate::limits::{ITEMS, PROMPT_BYTES};
use crate::{MalformedBody, RequestFacts};

members! {
    struct Request<'de> {
        model: Raw<'de> = b"model",
        stream: Raw<'de> = b"stream",
        stream_options: Raw<'de> = b"stream_options",
        n: Raw<'de> = b"n",
        messages: Latest<'de> = b"messages",
    }
}

members! {
    struct StreamOptions<'de> { include_usage: Raw<'de> = b"include_usage", }
}

members! {
    struct Message<'de> {
        role: Raw<'de> = b"role",
        content: Raw<'de> = b"content",
        tool_call_id: Raw<'de> = b"tool_call_id",
    }
}

members! {
    struct Part<'de> { kind: Raw<'de> = b"type", text: Raw<'de> = b"text", }
}

/// Reads a request's body.
pub(super) fn read(body: &[u8]) -> Result<RequestFacts, MalformedBody> {
    let request: Request<'_> = json::body(body)?;
    // Clients put messages of the system behind the user's, and the beginning of an answer.
    let last: Message<'_> = (request.messages.newest_first())
        .map(unique::object::<Message<'_>>)
        .find(|message| {
            let counts = |message: &Message<'_>| message.role.is("user") || message.role.is("tool");
            message.as_ref().map_or(true, counts)
        })
        .transpose()?
        .unwrap_or_default();
    let options: StreamOptions<'_> = unique::object(request.stream_options)?;
    Ok(RequestFacts {
        model: request.model.name(),
        streaming: request.stream.is_true(),
        prompt: prompt(&last)?,
        thread_parent_tool_call_id: last.tool_call_id.text().filter(|_| last.role.is("tool")).map(name),
        lacks_usage: request.stream.is_true() && !options.include_usage.is_true(),
        answers: request.n.answers(),
        ..RequestFacts::default()
    })
}

fn prompt(last: &Message<'_>) -> Result<Option<String>, MalformedBody> {
    if !last.role.is("user") {
        return Ok(None);
    }
    let mut texts: Vec<_> = last.content.text().into_iter().collect();
    unique::each(last.content, |part: Part<'_>| {
        if part.kind.is("text") && texts.len() < ITEMS {
            texts.extend(part.text.text());
        }
    })?;
    Ok(joined(texts, PROMPT_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn facts_of(body: &str) -> RequestFacts {
        read(body.as_bytes()).unwrap()
    }

    #[test]
    fn model_stream_and_prompt() {
        let facts = facts_of(
            r#"{"model":"gpt-5","stream":true,"messages":[{"role":"system","content":"s"},{"role":"user","content":"Hi \"you\" \ud83d"}]}"#,
        );
        assert_eq!(facts.model, "gpt-5");
        assert!(facts.streaming && facts.lacks_usage);
        assert!(
            facts.prompt.unwrap().starts_with("Hi \"you\" \u{fffd}"),
            "a lone surrogate is valid JSON"
        );
    }

    #[test]
    fn the_prompt_is_the_text_of_the_last_user_message() {
        let facts = facts_of(
            r#"{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"},{"type":"image_url","image_url":{"url":"u"}}]}]}"#,
        );
        assert_eq!(facts.prompt.as_deref(), Some("a\nb"));
        for behind in [
            r#"{"role":"assistant","content":"{"}"#,
            r#"{"role":"system","content":"s"}"#,
        ] {
            let facts = facts_of(&format!(r#"{{"messages":[{{"role":"user","content":"a"}},{behind}]}}"#));
            assert_eq!(facts.prompt.as_deref(), Some("a"), "{behind}");
        }
    }

    #[test]
    fn a_last_tool_message_names_the_thread() {
        let facts = facts_of(
            r#"{"messages":[{"role":"tool","tool_call_id":"call_1","content":"1"},{"role":"tool","tool_call_id":"call_2","content":"2"}]}"#,
        );
        assert_eq!(facts.thread_parent_tool_call_id.as_deref(), Some("call_2"));
        assert_eq!(facts.prompt, None);
        let facts =
            facts_of(r#"{"messages":[{"role":"tool","tool_call_id":"call_1"},{"role":"user","content":"go on"}]}"#);
        assert_eq!(
            (facts.thread_parent_tool_call_id, facts.prompt.as_deref()),
            (None, Some("go on"))
        );
    }

    #[test]
    fn wrong_types_are_absent_and_cost_nothing_else() {
        let facts = facts_of(r#"{"model":7,"stream":"true","stream_options":[],"messages":{"a":1}}"#);
        assert_eq!(facts, RequestFacts::default());
        let facts =
            facts_of(r#"{"messages":[3,{"role":"user","content":{"x":1}}],"stream_options":"\ud800","model":"m"}"#);
        assert_eq!(
            facts,
            RequestFacts {
                model: "m".into(),
                ..RequestFacts::default()
            }
        );
    }

    #[test]
    fn only_what_is_no_object_is_refused() {
        assert_eq!(read(b"[1]"), Err(MalformedBody::NotAnObject));
        assert_eq!(read(b"\"x\""), Err(MalformedBody::NotAnObject));
        assert!(matches!(
            read(b"{\"model\":"),
            Err(MalformedBody::Syntax { line: 1, .. })
        ));
        assert!(matches!(read(b""), Err(MalformedBody::Syntax { .. })));
        assert!(matches!(read(b"{} x"), Err(MalformedBody::Syntax { .. })));
    }

    #[test]
    fn deep_nesting_does_no_harm() {
        let deep = format!("{}{}", "[".repeat(200_000), "]".repeat(200_000));
        let facts = facts_of(&format!(r#"{{"x":{deep},"model":"m","messages":{deep}}}"#));
        assert_eq!(facts.model, "m");
        assert!(read(deep.as_bytes()).is_err());
    }
}
