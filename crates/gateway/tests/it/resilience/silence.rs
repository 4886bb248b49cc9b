//! Streams whose provider falls silent: what their clients get meanwhile, where it stands, and that nobody else hears of it.

use crate::support::provider::Exchange;
use crate::support::{Client, End, World, config};
use futures_util::future::join_all;
use lychgate_types::interception::Outcome;
use lychgate_types::policy::ProviderPolicy;
use lychgate_types::provider::ProviderType;

const PING: &str = "event: ping\ndata: {\"type\": \"ping\"}\n\n";
const COMMENT: &str = ": keep-alive\n";
const KEEPALIVE: &str = "event: keepalive\ndata: {\"type\":\"keepalive\"}\n\n";

const MESSAGES: &str = "POST /ai/anthropic/v1/messages";
const CHAT: &str = "POST /ai/openai/v1/chat/completions";
const RESPONSES: &str = "POST /ai/openai/v1/responses";
const RESUMED: &str = "GET /ai/openai/v1/responses/resp_a?stream=true";
const STREAM: &str = r#"{"model":"m","stream":true}"#;
const ASKING: &str = r#"{"model":"m","stream":true,"stream_options":{"include_usage":true}}"#;

const START: &str = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m1\",\"usage\":{\"input_tokens\":4,\"output_tokens\":1}}}\n\n";
const DELTA: &str = "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":20}}\n\n";
const STOP: &str = "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
const CHUNK: &str =
    "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"Hi\"},\"finish_reason\":\"stop\"}]}\n\n";
const USAGE: &str = "data: {\"id\":\"c\",\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":5}}\n\n";
const DONE: &str = "data: [DONE]\n\n";
const CREATED: &str = "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_a\",\"status\":\"in_progress\"}}\n\n";
const COMPLETED: &str = "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_a\",\"status\":\"completed\",\"usage\":{\"input_tokens\":4,\"output_tokens\":9}}}\n\n";

fn soon(policy: &mut ProviderPolicy) {
    policy.relay.keep_alive_seconds = 1;
}

/// A stream by which it is known that a while has passed.
pub(crate) struct Witness {
    world: World,
    client: Client,
    exchange: Exchange,
}

impl Witness {
    pub(crate) async fn new() -> Self {
        let world = World::with_policy(soon).await;
        let client = world.send(MESSAGES, "", STREAM.as_bytes()).await;
        let mut exchange = world.provider.next().await;
        exchange.stream().await;
        let mut this = Self {
            world,
            client,
            exchange,
        };
        this.client.head().await;
        this
    }

    /// Waits until a stream that has just fallen silent would have got a filler: this one falls silent now, and gets two.
    pub(crate) async fn silence(&mut self) {
        self.exchange.chunk(START.as_bytes()).await;
        let mut seen = Vec::new();
        while !seen.ends_with([START, PING, PING].concat().as_bytes()) {
            seen.extend(self.client.at_least(1).await);
        }
        assert!(self.world.control.records().is_empty());
    }
}

/// The pieces of an answer, each with silence behind it, as the client gets them: without the fillers, and after how many bytes
/// these came.
async fn told(
    line: &str,
    headers: &str,
    body: &str,
    head: &str,
    pieces: &[&str],
    filler: &str,
) -> (String, Vec<usize>) {
    let (world, mut witness) = tokio::join!(World::with_policy(soon), Witness::new());
    let mut client = world.send(line, headers, body.as_bytes()).await;
    let mut exchange = world.provider.next().await;
    exchange
        .raw(format!("HTTP/1.1 {head}transfer-encoding: chunked\r\n\r\n").as_bytes())
        .await;
    let head = client.head().await;
    for piece in pieces {
        if !piece.is_empty() {
            exchange.chunk(piece.as_bytes()).await;
        }
        witness.silence().await;
    }
    exchange.end().await;
    let (body, end) = client.rest(&head).await;
    assert_eq!(end, End::Proper);
    let body = String::from_utf8(body).unwrap();
    let (mut rest, mut places) = (String::new(), Vec::new());
    for part in body.split_inclusive(filler) {
        rest += part.strip_suffix(filler).unwrap_or(part);
        places.extend(part.ends_with(filler).then_some(rest.len()));
    }
    places.dedup();
    (rest, places)
}

const EVENTS: &str = "200 OK\r\ncontent-type: text/event-stream\r\n";

#[tokio::test]
async fn a_filler_comes_between_events_only() {
    let crlf = CHUNK.replace('\n', "\r\n");
    let (head, tail) = CHUNK.split_at(20);
    let all = join_all([
        // Line by line, and after the last event.
        told(MESSAGES, "", STREAM, EVENTS, &["", "event: message_start\n", &START["event: message_start\n".len()..START.len() - 1], "\n", DELTA, STOP], PING),
        // An event that has begun is held back, and the usage chunk never goes on.
        told(CHAT, "", STREAM, EVENTS, &[head, tail, &USAGE[..30], &USAGE[30..], DONE], COMMENT),
        told(CHAT, "", ASKING, EVENTS, &[USAGE, DONE], COMMENT),
        // A CR may be half of a line's end.
        told(CHAT, "", ASKING, EVENTS, &[&crlf[..crlf.len() - 3], "\n", "\r", "\n", DONE], COMMENT),
        told(RESPONSES, "", STREAM, EVENTS, &["", CREATED, COMPLETED], COMMENT),
        told(RESPONSES, "user-agent: codex_cli_rs/0.44.0\r\n", STREAM, EVENTS, &["", CREATED, COMPLETED], KEEPALIVE),
        told(RESUMED, "", "", EVENTS, &["", CREATED, &COMPLETED[..9], &COMPLETED[9..]], COMMENT),
        told(RESUMED, "user-agent: codex_cli_rs/0.44.0\r\n", "", EVENTS, &[CREATED, COMPLETED], KEEPALIVE),
        // A stream that failed is over.
        told(MESSAGES, "", STREAM, EVENTS, &[START, "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"busy\"}}\n\n"], PING),
    ])
    .await;
    let wanted = [
        (
            [START, DELTA, STOP].concat(),
            vec![0, START.len(), START.len() + DELTA.len()],
        ),
        ([CHUNK, DONE].concat(), vec![0, CHUNK.len()]),
        ([USAGE, DONE].concat(), vec![USAGE.len()]),
        ([crlf.as_str(), DONE].concat(), vec![crlf.len()]),
        ([CREATED, COMPLETED].concat(), vec![0, CREATED.len()]),
        ([CREATED, COMPLETED].concat(), vec![0, CREATED.len()]),
        ([CREATED, COMPLETED].concat(), vec![0, CREATED.len()]),
        ([CREATED, COMPLETED].concat(), vec![CREATED.len()]),
        (String::new(), vec![START.len()]),
    ];
    for ((found, places), (rest, wanted)) in all.iter().zip(&wanted) {
        assert!(rest.is_empty() || found == rest, "{found}");
        assert_eq!(places, wanted, "{found}");
    }
}

/// A stream of Gemini's, each piece with silence behind it, as the client gets it: behind each of them the filler that is said,
/// once or more often, or none.
async fn gemini(query: &str, kind: &str, pieces: &[(&str, &str)]) {
    let (world, mut witness) = tokio::join!(World::with_policy(soon), Witness::new());
    let mut gemini = config("gemini", ProviderType::Gemini, &world.provider.url("/base"));
    soon(&mut gemini.policy);
    world.control.configure(vec![gemini]);
    world.control.until_in_force().await;
    let line = format!("POST /ai/gemini/v1beta/models/m:streamGenerateContent{query}");
    let mut client = world.send(&line, "", br#"{"contents":[]}"#).await;
    let mut exchange = world.provider.next().await;
    let head = format!("HTTP/1.1 200 OK\r\ncontent-type: {kind}\r\ntransfer-encoding: chunked\r\n\r\n");
    exchange.raw(head.as_bytes()).await;
    let head = client.head().await;
    for (piece, _) in pieces {
        if !piece.is_empty() {
            exchange.chunk(piece.as_bytes()).await;
        }
        witness.silence().await;
    }
    exchange.end().await;
    let (body, end) = client.rest(&head).await;
    assert_eq!(end, End::Proper);
    let body = String::from_utf8(body).unwrap();
    let mut rest = body.as_str();
    for (piece, filler) in pieces {
        rest = rest
            .strip_prefix(piece)
            .unwrap_or_else(|| panic!("{piece:?} is not in its place: {body:?}"));
        if !filler.is_empty() {
            assert!(rest.starts_with(filler), "no filler behind {piece:?}: {body:?}");
            while let Some(after) = rest.strip_prefix(filler) {
                rest = after;
            }
        }
    }
    assert_eq!(rest, "", "{body:?}");
}

#[tokio::test]
async fn an_empty_filler_has_the_spelling_of_its_stream() {
    const PIECE: &str = r#"{"candidates":[{"content":{"parts":[{"text":"[\"{"}]},"index":0}]}"#;
    const LAST: &str = r#"{"candidates":[{"finishReason":"STOP","index":0}],"usageMetadata":{"promptTokenCount":1}}"#;
    let (piece, last) = (format!("data: {PIECE}\n\n"), format!("data: {LAST}\n\n"));
    let (piece_crlf, last_crlf) = (piece.replace('\n', "\r\n"), last.replace('\n', "\r\n"));
    let (head, tail) = PIECE.split_at(40);
    let (events, list) = ("text/event-stream", "application/json; charset=UTF-8");
    let all: [(_, _, Vec<(&str, &str)>); 5] = [
        (
            "?alt=sse",
            events,
            vec![("", "\r\n\r\n"), (&piece_crlf, "\r\n\r\n"), (&last_crlf, "")],
        ),
        (
            "?alt=sse",
            events,
            vec![
                (&piece, "\n\n"),
                (&piece[..20], ""),
                (&piece[20..], "\n\n"),
                (&last, ""),
            ],
        ),
        (
            "",
            list,
            vec![
                ("", ""),
                ("[", "\n"),
                (head, ""),
                (tail, "\n"),
                (",\r", "\n"),
                (LAST, ""),
                ("]\n", ""),
            ],
        ),
        // An error in its place ends the list, too.
        (
            "",
            list,
            vec![
                (r#"[{"error":{"code":503,"message":"busy","status":"UNAVAILABLE"}}"#, ""),
                ("]", ""),
            ],
        ),
        ("", list, vec![("{\"candidates\":[],\n\n", ""), ("\"a\":1}", "")]),
    ];
    join_all(all.iter().map(|(query, kind, pieces)| gemini(query, kind, pieces))).await;
}

#[tokio::test]
async fn what_is_no_plain_stream_gets_none() {
    let json = r#"{"model":"m"}"#;
    let all = join_all([
        told(
            MESSAGES,
            "",
            json,
            "200 OK\r\ncontent-type: application/json\r\n",
            &["", "{\n\n", "}"],
            PING,
        ),
        told(
            MESSAGES,
            "",
            STREAM,
            "200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n",
            &["", "x"],
            PING,
        ),
        told(
            MESSAGES,
            "",
            STREAM,
            "429 Busy\r\ncontent-type: text/event-stream\r\n",
            &["", "x"],
            PING,
        ),
        // Labelled wrongly.
        told(MESSAGES, "", STREAM, EVENTS, &["{\"a\":\n\n", "1}\n\n"], PING),
        told("GET /ai/openai/v1/models", "", "", EVENTS, &["data: 1\n\n"], COMMENT),
        told(
            "GET /ai/openai/v1/responses/resp_a",
            "",
            "",
            "200 OK\r\ncontent-type: application/json\r\n",
            &["", "{\n\n", "}"],
            COMMENT,
        ),
        told(
            RESUMED,
            "",
            "",
            "200 OK\r\ncontent-type: text/event-stream\r\ncontent-encoding: gzip\r\n",
            &["x"],
            COMMENT,
        ),
    ])
    .await;
    for (rest, places) in all {
        assert!(places.is_empty(), "{rest}");
    }
}

#[tokio::test]
async fn a_body_of_known_length_stays_as_long() {
    let (world, mut witness) = tokio::join!(World::with_policy(soon), Witness::new());
    let mut client = world.send(MESSAGES, "", STREAM.as_bytes()).await;
    let mut exchange = world.provider.next().await;
    let length = START.len() + STOP.len();
    let head = format!("HTTP/1.1 {EVENTS}content-length: {length}\r\n\r\n{START}");
    exchange.raw(head.as_bytes()).await;
    let head = client.head().await;
    witness.silence().await;
    exchange.raw(STOP.as_bytes()).await;
    let whole = [START, STOP].concat().into_bytes();
    assert_eq!(client.rest(&head).await, (whole, End::Proper));
}

#[tokio::test]
async fn nothing_comes_before_the_providers_status() {
    let (world, mut witness) = tokio::join!(World::with_policy(soon), Witness::new());
    let mut client = world.send(MESSAGES, "", STREAM.as_bytes()).await;
    let mut exchange = world.provider.next().await;
    witness.silence().await;
    exchange.json("529 Overloaded", "", "{}").await;
    let (head, body) = client.answer().await;
    assert_eq!((head.status, body.as_slice()), (529, b"{}".as_slice()));
}

#[tokio::test]
async fn the_policy_switches_it_off() {
    let (world, mut witness) = tokio::join!(
        World::with_policy(|policy| policy.relay.keep_alive_seconds = 0),
        Witness::new()
    );
    let mut client = world.send(MESSAGES, "", STREAM.as_bytes()).await;
    let mut exchange = world.provider.next().await;
    exchange.stream().await;
    let head = client.head().await;
    witness.silence().await;
    exchange.chunk(START.as_bytes()).await;
    exchange.end().await;
    assert_eq!(client.rest(&head).await, (START.as_bytes().to_vec(), End::Proper));
}

#[tokio::test]
async fn the_record_and_the_limit_of_silence_know_nothing_of_it() {
    let world = World::with_policy(|policy| {
        soon(policy);
        policy.timeouts.idle_ms = 2_500;
    })
    .await;
    let mut client = world.send(MESSAGES, "", STREAM.as_bytes()).await;
    let mut exchange = world.provider.next().await;
    exchange.stream().await;
    client.head().await;
    assert_eq!(client.at_least(1).await, PING.as_bytes());
    exchange.chunk([START, DELTA, STOP].concat().as_bytes()).await;
    exchange.end().await;
    exchange.done();
    let record = world.control.one_record().await;
    assert_eq!(record.outcome, Outcome::Completed);
    assert!(record.time_to_first_byte_ms.unwrap() >= 1_000, "{record:?}");
    let usage = &record.token_usages[0];
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, usage.estimated),
        (4, 20, false)
    );

    let mut client = world.send(MESSAGES, "", STREAM.as_bytes()).await;
    let mut exchange = world.provider.next().await;
    exchange.stream().await;
    let (_, body) = client.answer().await;
    let body = String::from_utf8(body).unwrap();
    let rest = body.replace(PING, "");
    assert!(
        rest.starts_with("event: error\n") && rest.contains("timeout_error"),
        "{body}"
    );
    assert!(body.starts_with(PING), "{body}");
    let record = world.control.delivered(2).await.remove(1);
    assert_eq!(record.error_type.as_deref(), Some("timeout_error"));
    assert_eq!(record.time_to_first_byte_ms, None);
}
