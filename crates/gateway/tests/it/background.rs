//! Responses that a provider makes in the background: recorded when they are asked for, completed by whoever is shown their end.

use crate::support::{CENTRAL_KEY, Client, World, ready, start, until};
use lychgate_gateway::DrainLimits;
use lychgate_link::ProviderKeyConfig;
use lychgate_types::Ambient;
use lychgate_types::interception::{InterceptionRecord, Outcome};
use lychgate_types::secret::{ProviderSecret, UserTokenSecret};
use std::sync::Arc;
use std::time::Duration;

const QUEUED: &str = r#"{"id":"resp_a","status":"queued","background":true,"model":"m","output":[],"usage":null}"#;
const USAGE: &str = r#""usage":{"input_tokens":11,"output_tokens":7}"#;

fn ended(status: &str, more: &str) -> String {
    format!(
        r#"{{"id":"resp_a","status":"{status}","background":true,"model":"m","output":[{{"type":"function_call","id":"fc_1","call_id":"call_1","name":"w","arguments":"{{}}"}}]{more}}}"#
    )
}

async fn ask(world: &World, headers: &str, line: &str, body: &str) -> Client {
    let mut client = world.client().await;
    client.send(line, headers, body.as_bytes()).await;
    client
}

fn bearer(token: &UserTokenSecret) -> String {
    format!("authorization: Bearer {}\r\n", token.expose())
}

/// One exchange; gives the id in the answer's head.
async fn exchange(world: &World, headers: &str, line: &str, body: &str, answer: &str) -> Option<String> {
    let mut client = ask(world, headers, line, body).await;
    let mut exchange = world.provider.next().await;
    exchange.json("200 OK", "", answer).await;
    let (head, got) = client.answer().await;
    exchange.done();
    assert_eq!((head.status, String::from_utf8(got).unwrap()), (200, answer.to_owned()));
    head.header("x-lychgate-interception-id").map(str::to_owned)
}

const CREATE: &str = "POST /ai/openai/v1/responses";
const BODY: &str = r#"{"model":"m","input":"What is the weather like, and why?","background":true}"#;
const GET: &str = "GET /ai/openai/v1/responses/resp_a";

/// A world with a response that is made in the background.
async fn begun() -> (World, Arc<InterceptionRecord>) {
    let world = World::new().await;
    exchange(&world, &bearer(&world.token), CREATE, BODY, QUEUED).await;
    let made = world.control.delivered(1).await.remove(0);
    (world, made)
}

#[tokio::test]
async fn it_is_unfinished_until_somebody_is_shown_its_end() {
    let (world, made) = begun().await;
    assert_eq!(
        (made.outcome, made.stored_object.as_deref()),
        (Outcome::Unfinished, Some("resp_a"))
    );
    assert!(made.error_type.is_none() && !made.completes);
    let [usage] = &made.token_usages[..] else {
        panic!("{made:?}")
    };
    assert!(
        usage.estimated && usage.input_tokens > 3 && usage.output_tokens == 0,
        "{usage:?}"
    );
    let headers = bearer(&world.token);
    let id = made.id.to_string();
    let running = QUEUED.replace("queued", "in_progress");
    assert_eq!(exchange(&world, &headers, GET, "", &running).await.as_ref(), Some(&id));
    let end = ended("completed", &format!(",{USAGE}"));
    assert_eq!(exchange(&world, &headers, GET, "", &end).await.as_ref(), Some(&id));
    // Once it has ended, nothing more is looked for.
    assert_eq!(exchange(&world, &headers, GET, "", &end).await, None);
    exchange(
        &world,
        &headers,
        "DELETE /ai/openai/v1/responses/resp_a",
        "",
        r#"{"id":"resp_a","deleted":true}"#,
    )
    .await;
    let records = world.control.delivered(3).await;
    let end = &records[1];
    assert!(end.completes && end.id == made.id && end.stored_object.as_deref() == Some("resp_a"));
    assert_eq!(
        (end.outcome, end.stop_reason.as_deref()),
        (Outcome::Completed, Some("completed"))
    );
    let usage = &end.token_usages[0];
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, usage.estimated),
        (11, 7, false)
    );
    assert_eq!(end.tool_usages[0].tool_call_id, "call_1");
    assert!(!records[2].completes && records.len() == 3);
    let count = async |outcome| {
        world
            .metric(&format!(
                "lychgate_requests_total{{provider=\"openai\",outcome=\"{outcome}\"}}"
            ))
            .await
    };
    assert_eq!(
        (count("unfinished").await, count("completed").await),
        (1.0, 1.0),
        "the request and the deletion"
    );
    assert_eq!(
        world
            .metric("lychgate_tokens_total{provider=\"openai\",kind=\"input\"}")
            .await,
        11.0
    );
}

#[tokio::test]
async fn every_end_is_one() {
    let error = r#","error":{"code":"server_error","message":"It broke"}"#;
    let stopped = format!(r#","incomplete_details":{{"reason":"max_output_tokens"}},{USAGE}"#);
    for (status, more, outcome, reason) in [
        ("failed", error, Outcome::Failed, "failed"),
        ("incomplete", stopped.as_str(), Outcome::Completed, "max_output_tokens"),
        ("cancelled", "", Outcome::ClientAborted, "cancelled"),
    ] {
        let (world, made) = begun().await;
        exchange(&world, &bearer(&world.token), GET, "", &ended(status, more)).await;
        let end = world.control.delivered(2).await.remove(1);
        assert!(end.completes && end.id == made.id);
        assert_eq!((end.outcome, end.stop_reason.as_deref()), (outcome, Some(reason)));
        assert_eq!(
            end.error_type.as_deref(),
            (status == "failed").then_some("server_error")
        );
        assert_eq!(end.token_usages[0].estimated, status != "incomplete");
    }
}

#[tokio::test]
async fn cancelling_is_recorded_and_shows_the_end() {
    let (world, made) = begun().await;
    let line = "POST /ai/openai/v1/responses/resp_a/cancel";
    let id = exchange(&world, &bearer(&world.token), line, "", &ended("cancelled", "")).await;
    assert!(id.is_some_and(|id| id != made.id.to_string()));
    let records = world.control.delivered(3).await;
    let (ends, others): (Vec<_>, Vec<_>) = records[1..].iter().partition(|record| record.completes);
    assert_eq!((ends.len(), ends[0].id), (1, made.id));
    assert_eq!(
        (others[0].api.as_str(), others[0].outcome),
        ("openai_objects", Outcome::Completed)
    );
    assert!(others[0].token_usages.is_empty());
}

#[tokio::test]
async fn a_stream_that_is_left_is_unfinished_and_one_that_is_resumed_completes_it() {
    let world = World::new().await;
    let headers = bearer(&world.token);
    let streamed = BODY.replace("}", r#","stream":true}"#);
    let mut client = ask(&world, &headers, CREATE, &streamed).await;
    let mut exchange = world.provider.next().await;
    let begun = format!("event: response.created\ndata: {{\"type\":\"response.created\",\"response\":{QUEUED}}}\n\n");
    exchange.stream().await;
    exchange.chunk(begun.as_bytes()).await;
    client.head().await;
    // The connection to the provider breaks; it goes on.
    drop(exchange);
    drop(client);
    let made = world.control.delivered(1).await.remove(0);
    assert_eq!(
        (made.outcome, made.stored_object.as_deref()),
        (Outcome::Unfinished, Some("resp_a"))
    );
    let mut client = ask(&world, &headers, &format!("{GET}?stream=true&starting_after=0"), "").await;
    let mut exchange = world.provider.next().await;
    let end = ended("completed", &format!(",{USAGE}"));
    let last = format!("event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{end}}}\n\n");
    exchange.stream().await;
    exchange.chunk(last.as_bytes()).await;
    exchange.end().await;
    assert_eq!(client.answer().await.1, last.as_bytes());
    let end = world.control.delivered(2).await.remove(1);
    assert!(end.completes && end.id == made.id);
    assert_eq!(end.token_usages[0].output_tokens, 7);
}

/// What a stream shows before the end: all of the text.
fn text_of_it() -> Vec<u8> {
    let text = "It is raining, since a low moves in from the west. ".repeat(8);
    let delta = format!(
        "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"delta\":\"{text}\"}}\n\n"
    );
    let done = format!(
        "event: response.output_text.done\ndata: {{\"type\":\"response.output_text.done\",\"text\":\"{text}\"}}\n\n"
    );
    [delta, done].concat().into_bytes()
}

#[tokio::test]
async fn a_client_that_leaves_before_the_end_does_not_keep_it_off_the_record() {
    let (world, made) = begun().await;
    let mut client = ask(&world, &bearer(&world.token), &format!("{GET}?stream=true"), "").await;
    let mut exchange = world.provider.next().await;
    let text = text_of_it();
    exchange.stream().await;
    exchange.chunk(&text).await;
    client.head().await;
    client.at_least(text.len()).await;
    drop(client);
    let end = ended("completed", &format!(",{USAGE}"));
    let last = format!("event: response.completed\ndata: {{\"type\":\"response.completed\",\"response\":{end}}}\n\n");
    exchange.chunk(last.as_bytes()).await;
    exchange.end().await;
    let end = world.control.delivered(2).await.remove(1);
    assert!(end.completes && end.id == made.id && end.outcome == Outcome::Completed);
    assert_eq!(end.token_usages[0].output_tokens, 7);
    until(|| world.gateway.in_flight() == 0).await;
}

#[tokio::test]
async fn what_is_shown_without_its_end_is_estimated() {
    for is_left in [true, false] {
        let world = World::with_options(|options| options.drain_limits.time = Duration::from_millis(50)).await;
        exchange(&world, &bearer(&world.token), CREATE, BODY, QUEUED).await;
        let made = world.control.delivered(1).await.remove(0);
        let mut client = ask(&world, &bearer(&world.token), &format!("{GET}?stream=true"), "").await;
        let mut exchange = world.provider.next().await;
        let text = text_of_it();
        exchange.stream().await;
        exchange.chunk(&text).await;
        client.head().await;
        client.at_least(text.len()).await;
        if is_left {
            drop(client);
        } else {
            drop(exchange);
        }
        let shown = world.control.delivered(2).await.remove(1);
        assert!(shown.completes && shown.id == made.id && shown.outcome == Outcome::Unfinished);
        let [usage] = &shown.token_usages[..] else {
            panic!("{shown:?}")
        };
        assert!(usage.estimated && (80..160).contains(&usage.output_tokens), "{usage:?}");
        until(|| world.gateway.in_flight() == 0).await;
    }
}

#[tokio::test]
async fn before_it_is_deleted_its_end_is_looked_at() {
    let (world, made) = begun().await;
    // Nothing that the client sends makes the look less than a whole one.
    let headers = format!("{}range: bytes=0-1\r\nif-none-match: *\r\n", bearer(&world.token));
    let mut client = ask(&world, &headers, "DELETE /ai/openai/v1/responses/resp_a?x=y", "").await;
    let mut look = world.provider.next().await;
    assert_eq!(look.line, "GET /base/v1/responses/resp_a HTTP/1.1");
    assert_eq!(
        look.header("authorization"),
        Some(format!("Bearer {CENTRAL_KEY}").as_str())
    );
    assert_eq!((look.header("range"), look.header("if-none-match")), (None, None));
    look.json("200 OK", "", &ended("completed", &format!(",{USAGE}"))).await;
    look.done();
    let mut deletion = world.provider.next().await;
    assert_eq!(deletion.line, "DELETE /base/v1/responses/resp_a?x=y HTTP/1.1");
    let deleted = r#"{"id":"resp_a","deleted":true}"#;
    deletion.json("200 OK", "", deleted).await;
    assert_eq!(client.answer().await.1, deleted.as_bytes());
    let records = world.control.delivered(3).await;
    assert!(records[1].completes && records[1].id == made.id && records[1].token_usages[0].output_tokens == 7);
    assert!(!records[2].completes && records[2].api.as_str() == "openai_objects");
}

#[tokio::test]
async fn a_look_before_a_deletion_ends_by_time_and_by_bytes() {
    let usual = lychgate_gateway::Options::new("", "", "").last_look;
    for (time, bytes) in [(Duration::from_millis(200), usual.bytes), (usual.time, 100)] {
        let world = World::with_options(|options| options.last_look = DrainLimits { bytes, time }).await;
        exchange(&world, &bearer(&world.token), CREATE, BODY, QUEUED).await;
        world.control.delivered(1).await;
        let begun = tokio::time::Instant::now();
        let delete = "DELETE /ai/openai/v1/responses/resp_a";
        let mut client = ask(&world, &bearer(&world.token), delete, "").await;
        let mut look = world.provider.next().await;
        assert_eq!(look.line, "GET /base/v1/responses/resp_a HTTP/1.1");
        // Nothing for longer than is waited, or more than is read and no end.
        if bytes == 100 {
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n";
            look.raw(format!("{head}{}", " ".repeat(10_000)).as_bytes()).await;
        }
        let (head, _) = client.answer().await;
        assert_eq!((head.status, head.header("retry-after")), (503, Some("2")));
        assert!(begun.elapsed() < usual.time);
        drop(look);
        // Its client may see to the end of it and delete it then.
        let headers = bearer(&world.token);
        exchange(&world, &headers, GET, "", &ended("completed", &format!(",{USAGE}"))).await;
        exchange(&world, &headers, delete, "", r#"{"id":"resp_a","deleted":true}"#).await;
        let records = world.control.delivered(3).await;
        assert!(records[1].completes && records[1].token_usages[0].output_tokens == 7);
    }
}

#[tokio::test]
async fn what_is_not_shown_to_the_last_look_is_not_deleted() {
    let (world, _) = begun().await;
    let delete = "DELETE /ai/openai/v1/responses/resp_a";
    let running = QUEUED.replace("queued", "in_progress");
    for (status, body, goes_on) in [
        ("500 Internal Server Error", "{}", false),
        ("401 Unauthorized", "{}", false),
        ("429 Too Many Requests", "{}", false),
        ("200 OK", r#"{"id":"resp_b","status":"completed"}"#, false),
        ("200 OK", r#"{"id":"resp_a","status":"comp"#, false),
        ("200 OK", "[]", false),
        ("200 OK", running.as_str(), true),
        ("404 Not Found", "{}", true),
    ] {
        let mut client = ask(&world, &bearer(&world.token), delete, "").await;
        let mut look = world.provider.next().await;
        look.json(status, "connection: close\r\n", body).await;
        look.done();
        if goes_on {
            let mut deletion = world.provider.next().await;
            assert!(deletion.line.starts_with("DELETE "), "{status} {body}");
            deletion.json("200 OK", "connection: close\r\n", "{}").await;
        }
        let (head, _) = client.answer().await;
        assert_eq!(head.status == 200, goes_on, "{status} {body}");
        assert!(goes_on || head.status == 503, "{status} {body}");
    }
    // Nor where the connection breaks, though it is asked again.
    let mut client = ask(&world, &bearer(&world.token), delete, "").await;
    drop(world.provider.next().await);
    drop(world.provider.next().await);
    assert_eq!(client.answer().await.0.status, 503);
}

/// Another replica of the same deployment, to which the maker's records are still on their way.
async fn before_its_record_arrives() -> World {
    let world = World::new().await;
    world.control.hold_deliveries();
    exchange(&world, &bearer(&world.token), CREATE, BODY, QUEUED).await;
    another(world).await
}

async fn another(world: World) -> World {
    let options = |options: &mut lychgate_gateway::Options| {
        options.spool.directory = world.control.spool_directory().join("other");
    };
    let (gateway, address) = start(&world.control, options, Ambient::system()).await;
    ready(&gateway).await;
    // The first one goes on: it has the record.
    std::mem::forget(world.gateway);
    World {
        gateway,
        address,
        ..world
    }
}

#[tokio::test]
async fn an_end_that_is_shown_before_the_makers_record_has_arrived_is_booked() {
    let world = before_its_record_arrives().await;
    let end = ended("completed", &format!(",{USAGE}"));
    assert_eq!(
        exchange(&world, &bearer(&world.token), GET, "", &end).await,
        None,
        "nobody knows yet"
    );
    world.control.release_deliveries();
    let records = world.control.delivered(2).await;
    assert!(!records[0].completes && records[1].completes && records[1].id == records[0].id);
    assert_eq!(records[1].token_usages[0].output_tokens, 7);
    until(|| world.gateway.in_flight() == 0).await;
}

#[tokio::test]
async fn ends_that_wait_for_their_makers_are_bounded() {
    let world = World::new().await;
    let end = ended("completed", &format!(",{USAGE}"));
    let of_one = [1, 1].map(|user| world.control.valid_token_of(user));
    for n in 0..40 {
        exchange(&world, &bearer(&of_one[n % 2]), GET, "", &end).await;
    }
    assert!(
        (1..=33).contains(&world.gateway.in_flight()),
        "{}",
        world.gateway.in_flight()
    );
    until(|| world.gateway.in_flight() == 0).await;
    assert!(world.control.records().is_empty());
}

#[tokio::test]
async fn another_replica_and_an_own_key_complete_it_too() {
    for own_key in [false, true] {
        let (world, made) = begun().await;
        let other = another(world).await;
        let headers = match own_key {
            false => bearer(&other.token),
            true => format!(
                "x-lychgate-token: {}\r\nauthorization: Bearer {CENTRAL_KEY}-own\r\n",
                other.token.expose()
            ),
        };
        // What is no end, of this response, ends nothing.
        for answer in [r#"{"id":"resp_b","status":"completed"}"#, r#"{"object":"list"}"#, "[]"] {
            let shown = exchange(&other, &headers, GET, "", answer).await;
            assert_eq!(shown, Some(made.id.to_string()), "{answer}");
        }
        exchange(&other, &headers, GET, "", &ended("completed", &format!(",{USAGE}"))).await;
        let end = other.control.delivered(2).await.remove(1);
        assert!(end.completes && end.id == made.id && end.token_usages[0].input_tokens == 11);
    }
}

#[tokio::test]
async fn a_stream_that_is_cancelled_is_estimated() {
    let world = World::new().await;
    let headers = bearer(&world.token);
    let streamed = BODY.replace("}", r#","stream":true}"#);
    let mut client = ask(&world, &headers, CREATE, &streamed).await;
    let mut exchange = world.provider.next().await;
    let event = |kind: &str, more: &str| format!("event: {kind}\ndata: {{\"type\":\"{kind}\",{more}}}\n\n");
    let text = "All of this was written. ".repeat(20);
    exchange.stream().await;
    for chunk in [
        event("response.created", &format!("\"response\":{QUEUED}")),
        event("response.output_text.delta", &format!("\"delta\":\"{text}\"")),
        event(
            "response.cancelled",
            &format!("\"response\":{}", ended("cancelled", "")),
        ),
    ] {
        exchange.chunk(chunk.as_bytes()).await;
    }
    exchange.end().await;
    client.answer().await;
    let made = world.control.delivered(1).await.remove(0);
    let usage = &made.token_usages[0];
    assert!(
        usage.estimated && usage.input_tokens > 3 && usage.output_tokens > 50,
        "{made:?}"
    );
}

#[tokio::test]
async fn what_the_provider_is_told_not_to_store_belongs_to_nobody() {
    let world = World::new().await;
    let headers = bearer(&world.token);
    let answer = format!(r#"{{"id":"resp_a","status":"completed","model":"m","output":[],{USAGE}}}"#);
    for (store, made) in [("false", None), ("true", Some("resp_a"))] {
        let body = format!(r#"{{"model":"m","input":"Hello","store":{store}}}"#);
        exchange(&world, &headers, CREATE, &body, &answer).await;
        let records = world.control.delivered(1 + usize::from(made.is_some())).await;
        assert_eq!(records.last().unwrap().stored_object.as_deref(), made);
    }
}

/// Another key may be of a project that does not have the response: it would see none, and the one after it would delete it.
#[tokio::test]
async fn it_is_deleted_with_the_key_that_looked() {
    let (world, _) = begun().await;
    let mut providers = world.control.providers();
    let keys = (0..4).map(|at| ProviderKeyConfig {
        id: Ambient::system().new_id(),
        secret: ProviderSecret::new(format!("sk-of-project-{at}-0123456789")),
    });
    providers[0].keys.extend(keys);
    world.control.configure(providers);
    world.control.until_in_force().await;
    for _ in 0..5 {
        let mut client = ask(
            &world,
            &bearer(&world.token),
            "DELETE /ai/openai/v1/responses/resp_a",
            "",
        )
        .await;
        let mut look = world.provider.next().await;
        look.json("404 Not Found", "connection: close\r\n", "{}").await;
        let mut deletion = world.provider.next().await;
        assert!(deletion.line.starts_with("DELETE "), "{}", deletion.line);
        assert_eq!(deletion.header("authorization"), look.header("authorization"));
        deletion.json("401 Unauthorized", "connection: close\r\n", "{}").await;
        assert_eq!(client.answer().await.0.status, 401, "no other key is tried");
    }
}
