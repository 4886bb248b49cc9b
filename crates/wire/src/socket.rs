//! The Responses API over a WebSocket: each message is one event, as JSON. What an event says of itself, and the error event.
//!
//! Not here: what a request asks for ([`crate::read_request`] reads `response.create`, whose members are a request's) and what an
//! answer says ([`crate::ResponseReader::push_event`]).

use crate::MalformedBody;
use crate::client::CODEX;
use crate::json::{self, Raw, members, unique};
use crate::providers;
use lychgate_types::provider::WireFamily;
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Longest name of a lane, in bytes.
pub const LANE_BYTES: usize = 256;

members! {
    struct ClientMembers<'de> {
        kind: Raw<'de> = b"type",
        lane: Raw<'de> = b"stream_id",
    }
}

members! {
    struct ProviderMembers<'de> {
        kind: Raw<'de> = b"type",
        lane: Raw<'de> = b"stream_id",
        status: Raw<'de> = b"status",
        response: Raw<'de> = b"response",
        steer: Raw<'de> = b"steer",
        number: Raw<'de> = b"sequence_number",
    }
}

members! {
    struct ErrorMembers<'de> {
        headers: Raw<'de> = b"headers",
        error: Raw<'de> = b"error",
    }
}

members! {
    struct Headers<'de> {
        retry_after: Raw<'de> = b"retry-after",
        retry_after_ms: Raw<'de> = b"retry-after-ms",
        should_retry: Raw<'de> = b"x-should-retry",
    }
}

members! {
    struct Steer<'de> { previous: Raw<'de> = b"previous_response_id", }
}

members! {
    struct Named<'de> {
        id: Raw<'de> = b"id",
        previous: Raw<'de> = b"previous_response_id",
        model: Raw<'de> = b"model",
    }
}

/// An event of a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientEvent {
    /// It asks for a response.
    pub creates: bool,
    /// It changes the response that is being made, and may make another of it.
    pub steers: bool,
    /// The lane that it is in; `None` is the connection's own.
    pub lane: Option<Box<str>>,
}

/// Why an event of a client is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadEvent {
    /// It can't be read, or servers may read it in different ways.
    #[error(transparent)]
    Malformed(#[from] MalformedBody),
    /// It says no type.
    #[error("the message has no type, which has to be a text, such as response.create")]
    NoType,
    /// Its lane has no proper name.
    #[error(
        "the stream_id of the message has to be a text of at most 256 letters, digits, dots, dashes and underscores"
    )]
    BadLane,
}

/// Reads what a client's event says of itself.
///
/// # Errors
/// What a provider may read in another way.
pub fn client_event(event: &[u8]) -> Result<ClientEvent, BadEvent> {
    let found: ClientMembers<'_> = unique::body(event)?;
    let kind = found.kind.text().ok_or(BadEvent::NoType)?;
    let lane = match found.lane.text() {
        Some(lane) if is_lane(&lane) => Some(lane.into()),
        None if !found.lane.is_some() => None,
        _ => return Err(BadEvent::BadLane),
    };
    Ok(ClientEvent {
        creates: kind == "response.create",
        steers: kind == "response.steer",
        lane,
    })
}

/// What a client passes over while its provider is silent, where it counts more than the pings of the connection; `None` where it does
/// not. `client` is a name of [`crate::client`]'s table.
pub fn filler(client: &str) -> Option<&'static str> {
    // Its limit of silence is reset by events only, of whatever type.
    (client == CODEX).then_some(r#"{"type":"keepalive"}"#)
}

fn is_lane(name: &str) -> bool {
    let fits = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte);
    (1..=LANE_BYTES).contains(&name.len()) && name.bytes().all(fits)
}

/// An event of a provider. What it does not say, or says in another type, is absent.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ProviderEvent<'a> {
    /// Its type.
    pub kind: Cow<'a, str>,
    /// The lane that it is in; `None` is the connection's own.
    pub lane: Option<Cow<'a, str>>,
    /// The response that it holds.
    pub response_id: Option<Cow<'a, str>>,
    /// The response that this one goes on from.
    pub previous_response_id: Option<Cow<'a, str>>,
    /// The status that its error would have had as an answer.
    pub status: Option<u16>,
    /// The model that makes the response that it holds.
    pub model: Option<Cow<'a, str>>,
    /// It is numbered, as the events of a response are.
    pub is_numbered: bool,
    /// The response that no other one follows, as what was to steer it waits for another request, or failed.
    pub not_steered: Option<Cow<'a, str>>,
}

impl ProviderEvent<'_> {
    /// Whether it is an error, of the last request in its lane or of the connection.
    pub fn is_error(&self) -> bool {
        self.kind == "error"
    }
}

/// Reads what a provider's event says of itself.
pub fn provider_event(event: &[u8]) -> ProviderEvent<'_> {
    let found: ProviderMembers<'_> = json::object(event).unwrap_or_default();
    let response: Named<'_> = found.response.object().unwrap_or_default();
    let kind = found.kind.text().unwrap_or_default();
    let not_steered = match &*kind {
        "response.steer.pending" | "response.steer.failed" => {
            let steer: Steer<'_> = found.steer.object().unwrap_or_default();
            steer.previous.text()
        }
        _ => None,
    };
    ProviderEvent {
        kind,
        not_steered,
        model: response.model.text(),
        is_numbered: found.number.is_some(),
        lane: found.lane.text(),
        previous_response_id: response.previous.text(),
        response_id: response.id.text().filter(|id| !id.is_empty()),
        status: found.status.integer().and_then(|status| u16::try_from(status).ok()),
    }
}

/// The headers of an answer with this error that say when to come again, by name: of the event, or of its error.
pub fn error_headers(event: &[u8]) -> impl Iterator<Item = (&'static str, Cow<'_, str>)> {
    let found: ErrorMembers<'_> = json::object(event).unwrap_or_default();
    let within: ErrorMembers<'_> = found.error.object().unwrap_or_default();
    let headers = found.headers.object().or_else(|| within.headers.object());
    let headers: Headers<'_> = headers.unwrap_or_default();
    let named = [
        ("retry-after", headers.retry_after),
        ("retry-after-ms", headers.retry_after_ms),
        ("x-should-retry", headers.should_retry),
    ];
    let present = named.into_iter().filter(|(_, value)| value.is_some());
    present.map(|(name, value)| (name, value.text_or_json()))
}

/// An error of the gateway's own as an event, in the provider's shape. `headers` are those that an answer would have had.
pub fn error_event<'h>(
    status: u16,
    message: &str,
    lane: Option<&str>,
    headers: impl Iterator<Item = (&'h str, &'h str)>,
) -> String {
    let error = providers::errors(WireFamily::OpenAi).body(status, message, None);
    let headers: Map<_, _> = headers
        .map(|(name, value)| (name.to_owned(), Value::from(value)))
        .collect();
    let lane = lane.map(|lane| format!(r#""stream_id":{},"#, Value::from(lane)));
    // The body is an object with one member.
    let error = error.trim_start_matches('{').trim_end_matches('}');
    format!(
        r#"{{"type":"error",{}"status":{status},{error}}},"headers":{}}}"#,
        lane.unwrap_or_default(),
        Value::Object(headers)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ReaderOptions, ResponseReader};
    use lychgate_types::provider::Api;

    #[test]
    fn what_a_clients_event_says_of_itself() {
        let event = |creates, steers, lane: Option<&str>| {
            Ok(ClientEvent {
                creates,
                steers,
                lane: lane.map(Into::into),
            })
        };
        for (json, wanted) in [
            (r#"{"type":"response.create","model":"m"}"#, event(true, false, None)),
            (
                r#"{"type":"response.create","stream_id":"a.b-c_1"}"#,
                event(true, false, Some("a.b-c_1")),
            ),
            (
                r#"{"stream_id":null,"type":"response.steer"}"#,
                event(false, true, None),
            ),
            (r#"{"type":"response.processed"}"#, event(false, false, None)),
            (r#"{"model":"m"}"#, Err(BadEvent::NoType)),
            (r#"{"type":1}"#, Err(BadEvent::NoType)),
            (r#"{"type":"x","stream_id":""}"#, Err(BadEvent::BadLane)),
            (r#"{"type":"x","stream_id":"a b"}"#, Err(BadEvent::BadLane)),
            (r#"{"type":"x","stream_id":7}"#, Err(BadEvent::BadLane)),
            (
                r#"{"type":"response.processed","type":"response.create"}"#,
                Err(MalformedBody::Repeated("type").into()),
            ),
            (
                r#"{"Type":"response.create"}"#,
                Err(MalformedBody::Repeated("type").into()),
            ),
            ("[]", Err(MalformedBody::NotAnObject.into())),
        ] {
            assert_eq!(client_event(json.as_bytes()), wanted, "{json}");
        }
        let long = format!(r#"{{"type":"x","stream_id":"{}"}}"#, "a".repeat(257));
        assert_eq!(client_event(long.as_bytes()), Err(BadEvent::BadLane));
    }

    #[test]
    fn what_a_providers_event_says_of_itself() {
        let event =
            provider_event(br#"{"type":"response.created","stream_id":"a","response":{"id":"resp_1","status":"x"}}"#);
        assert_eq!((&*event.kind, event.lane.as_deref()), ("response.created", Some("a")));
        assert_eq!((event.response_id.as_deref(), event.status), (Some("resp_1"), None));
        let event = provider_event(br#"{"type":"response.steer.failed","steer":{"previous_response_id":"resp_1"}}"#);
        assert_eq!(event.not_steered.as_deref(), Some("resp_1"));
        let event = provider_event(br#"{"type":"error","status":429,"error":{}}"#);
        assert_eq!((event.is_error(), event.status, event.lane), (true, Some(429), None));
        assert_eq!(provider_event(b"{\"type\""), ProviderEvent::default());
        for event in [
            r#"{"type":"error","headers":{"retry-after":"9","x":"y"}}"#,
            r#"{"type":"error","error":{"headers":{"retry-after":9}}}"#,
        ] {
            let headers: Vec<_> = error_headers(event.as_bytes()).collect();
            assert_eq!(headers, [("retry-after", "9".into())]);
        }
    }

    #[test]
    fn our_own_error_reads_as_the_providers() {
        let headers = [("retry-after", "1")];
        let text = error_event(429, "too \"many\"", Some("a"), headers.into_iter());
        let found: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(found["error"]["code"], "rate_limit_exceeded");
        assert_eq!(
            (&found["stream_id"], &found["headers"]["retry-after"]),
            (&"a".into(), &"1".into())
        );
        assert_eq!(provider_event(text.as_bytes()).status, Some(429));
        let mut reader = ResponseReader::new(Api::OpenAiResponses, true, ReaderOptions { capture_content: true });
        reader.push_event(text.as_bytes());
        assert_eq!(reader.finish(200).error.unwrap().message, "too \"many\"");
    }

    #[test]
    fn events_are_read_one_by_one_like_those_of_a_stream() {
        let events = [
            r#"{"type":"response.created","response":{"id":"resp_1","status":"in_progress","model":"m"}}"#,
            r#"{"type":"response.output_text.delta","output_index":0,"delta":"Hello"}"#,
            r#"{"type":"response.output_item.done","output_index":0,"item":{"type":"function_call","call_id":"t","name":"find","arguments":"{}"}}"#,
            r#"{"type":"response.completed","response":{"id":"resp_1","status":"completed","model":"m","usage":{"input_tokens":7,"output_tokens":5}}}"#,
        ];
        let new = || ResponseReader::new(Api::OpenAiResponses, true, ReaderOptions { capture_content: true });
        let (mut one_by_one, mut as_stream) = (new(), new());
        for event in events {
            assert!(!one_by_one.is_complete());
            one_by_one.push_event(event.as_bytes());
            as_stream.push(format!("data: {event}\n\n").as_bytes());
        }
        assert!(one_by_one.is_complete());
        let found = one_by_one.finish(200);
        assert_eq!(
            (found.usages.len(), found.tool_usages.len(), found.text_bytes),
            (1, 1, 5)
        );
        assert_eq!(found, as_stream.finish(200));
    }
}
