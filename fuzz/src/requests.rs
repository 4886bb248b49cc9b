//! What is said of reading requests, and of asking for usage or another model in them.

use crate::bounds::{self, clipped};
use crate::{clients, json, prompts};
use lychgate_types::provider::Api;
use lychgate_wire::limits::{NAME_BYTES, PROMPT_BYTES};
use lychgate_wire::{MalformedBody, RequestFacts, ask_for_usage, read_request, with_model};
use serde_json::Value;

/// Bytes that asking for usage may take out: a `null` or a `false`.
const TAKEN_OUT: usize = 5;

/// Reads the bytes as a request.
pub fn check(api: Api, body: &[u8]) {
    let value = json::value(body);
    match read_request(api, None, body) {
        Ok(facts) => {
            assert!(json::is_object(body), "what is no object was read");
            bounds::request(&facts);
            if let Some(value) = &value {
                compare(api, &facts, value);
            }
            usage(api, &facts, body);
            model(api, &facts, body);
        }
        Err(MalformedBody::NotAnObject) => assert!(value.is_none_or(|value| !value.is_object())),
        // Of two members, the parsed value has only one.
        Err(MalformedBody::Repeated(_)) => assert!(value.is_some_and(|value| value.is_object())),
        Err(MalformedBody::TooManyReferences) => assert!(value.is_some_and(|value| value.is_object())),
        Err(MalformedBody::Syntax { .. }) => assert!(value.is_none(), "good JSON was refused"),
        Err(MalformedBody::Form(_)) => panic!("what nobody called a form was refused as one"),
    }
}

fn compare(api: Api, facts: &RequestFacts, request: &Value) {
    assert_eq!(
        facts.model,
        clipped(request["model"].as_str().unwrap_or_default(), NAME_BYTES)
    );
    let said = match api {
        Api::AnthropicMessages => prompts::anthropic(request),
        Api::OpenAiChatCompletions => prompts::chat(request),
        Api::OpenAiResponses => prompts::responses(request),
        Api::OpenAiEmbeddings => prompts::Said::default(),
        // They have no target.
        Api::AnthropicObjects
        | Api::OpenAiObjects
        | Api::OpenAiCompletions
        | Api::OpenAiImages
        | Api::OpenAiAudio
        | Api::GeminiGenerateContent
        | Api::GeminiEmbeddings => return,
        | Api::BedrockInvoke
        | Api::BedrockConverse => return,
    };
    assert_eq!(facts.prompt, said.prompt.map(|prompt| clipped(&prompt, PROMPT_BYTES)));
    assert_eq!(
        facts.thread_parent_tool_call_id,
        said.thread.map(|id| clipped(&id, NAME_BYTES))
    );
    assert_eq!(
        facts.streaming,
        api != Api::OpenAiEmbeddings && request["stream"] == true
    );
    let user_id = request["metadata"]["user_id"]
        .as_str()
        .filter(|_| api == Api::AnthropicMessages);
    if let Some(session) = user_id.map_or(Some(None), clients::user_session) {
        assert_eq!(facts.body_session_id, session.map(|id| clipped(&id, NAME_BYTES)));
    }
    let asks = request["stream_options"]["include_usage"] == true;
    assert_eq!(
        facts.lacks_usage,
        api == Api::OpenAiChatCompletions && facts.streaming && !asks
    );
}

/// The result is the same JSON but for the one member, which is there then.
fn usage(api: Api, facts: &RequestFacts, body: &[u8]) {
    if !facts.lacks_usage {
        return;
    }
    let Some(asked) = ask_for_usage(api, body) else {
        if api == Api::OpenAiChatCompletions {
            assert!(!is_plain(body), "usage could have been asked for");
        }
        return;
    };
    let same = |(a, b): &(&u8, &u8)| a == b;
    let head = body.iter().zip(&asked).take_while(same).count();
    let tail = body.iter().rev().zip(asked.iter().rev()).take_while(same).count();
    assert!(
        head + tail + TAKEN_OUT >= body.len(),
        "more than the one member was changed"
    );

    let after = read_request(api, None, &asked).expect("the result can be read");
    let wanted = RequestFacts {
        lacks_usage: false,
        ..facts.clone()
    };
    assert_eq!(after, wanted);

    if let (Some(before), Some(after)) = (json::members(body), json::members(&asked)) {
        let others = |members: &[(String, &str)], without: &str| -> Vec<(String, String)> {
            let others = members.iter().filter(|(name, _)| name != without);
            others.map(|(name, text)| (name.clone(), (*text).to_owned())).collect()
        };
        assert_eq!(others(&before, "stream_options"), others(&after, "stream_options"));
        let options = |members: &[(String, &str)]| -> Vec<(String, String)> {
            let options = members.iter().find(|(name, _)| name == "stream_options");
            let inner = options.and_then(|(_, text)| json::members(text.as_bytes()));
            inner.map(|inner| others(&inner, "include_usage")).unwrap_or_default()
        };
        assert_eq!(options(&before), options(&after));
    }
}

/// Whether it is beyond doubt where usage is to be asked for.
fn is_plain(body: &[u8]) -> bool {
    let Some(members) = json::members(body) else {
        return false;
    };
    let named: Vec<&str> = members
        .iter()
        .filter(|(name, _)| name == "stream_options")
        .map(|(_, text)| *text)
        .collect();
    match named[..] {
        [] | ["null"] => true,
        [options] => json::members(options.as_bytes()).is_some_and(|inner| {
            let flags: Vec<&str> = inner
                .iter()
                .filter(|(name, _)| name == "include_usage")
                .map(|(_, text)| *text)
                .collect();
            matches!(flags[..], [] | ["null"] | ["false"])
        }),
        _ => false,
    }
}

/// The result is the same bytes but for the model.
fn model(api: Api, facts: &RequestFacts, body: &[u8]) {
    const MODEL: &str = "other \"model\"";
    const TEXT: &str = r#""other \"model\"""#;
    let changed = with_model(body, MODEL);
    if let Some(changed) = &changed {
        let wanted = RequestFacts {
            model: MODEL.to_owned(),
            ..facts.clone()
        };
        assert_eq!(read_request(api, None, changed).as_ref(), Ok(&wanted));
        assert_eq!(with_model(changed, MODEL).as_ref(), Some(changed), "once is enough");
    }
    let Some(members) = json::members(body) else { return };
    let named: Vec<&str> = members
        .iter()
        .filter(|(name, _)| name == "model")
        .map(|(_, text)| *text)
        .collect();
    let wanted = match named[..] {
        [] => {
            let start = body.iter().position(|byte| *byte == b'{').expect("an object") + 1;
            let comma = if members.is_empty() { "" } else { "," };
            let member = format!("\"model\":{TEXT}{comma}");
            Some([&body[..start], member.as_bytes(), &body[start..]].concat())
        }
        [text] if text.starts_with('"') || text == "null" => {
            let start = text.as_ptr() as usize - body.as_ptr() as usize;
            Some([&body[..start], TEXT.as_bytes(), &body[start + text.len()..]].concat())
        }
        _ => None,
    };
    assert_eq!(changed, wanted);
}
