//! What passes, and what is on record of it.

use super::{completed, create, created, delta, down, output, respond, up};
use crate::support::{World, until};
use lychgate_link::{RouteConfig, RouteTarget};
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::{Ambient, KeyTag};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::timeout;

/// The record of this response.
fn of(records: &[Arc<InterceptionRecord>], id: &str) -> Arc<InterceptionRecord> {
    let found = records
        .iter()
        .find(|record| record.token_usages.iter().any(|usage| usage.provider_response_id == id));
    Arc::clone(found.unwrap_or_else(|| panic!("there is none of {id}: {records:?}")))
}

#[tokio::test]
async fn messages_pass_unchanged_and_each_response_is_a_record() {
    let world = World::new().await;
    let (mut client, mut provider) = world.websocket().await;
    respond(&mut client, &mut provider, "resp_1").await;
    // On the same WebSocket another model, from there on, written with white space of its own.
    let second =
        "{ \"type\": \"response.create\",\"model\":\"gpt-y\", \"previous_response_id\" : \"resp_1\" ,\"input\":[] }";
    up(&mut client, &mut provider, second).await;
    for event in [created("resp_2", ""), completed("resp_2", 9, "")] {
        down(&mut client, &mut provider, &event).await;
    }
    let records = world.control.delivered(2).await;
    let (first, second) = (of(&records, "resp_1"), of(&records, "resp_2"));
    assert_eq!(
        (
            first.model.as_str(),
            first.served_model.as_deref(),
            first.streaming,
            first.upstream_status
        ),
        ("gpt-x", Some("gpt-x-1"), true, Some(200))
    );
    assert_eq!((first.outcome.as_str(), first.client.as_str()), ("completed", "Codex"));
    assert_eq!(
        (first.stored_object.as_deref(), output(&first)),
        (Some("resp_1"), (5, false))
    );
    assert_eq!(&*first.prompts[0].prompt.open(usize::MAX).text, "Hi");
    assert_eq!(first.credential_hint, "sk-c…6789");
    assert_eq!((second.model.as_str(), output(&second)), ("gpt-y", (9, false)));
    assert_eq!(second.thread_parent_response_id.as_deref(), Some("resp_1"));
    until(|| world.gateway.in_flight() == 0).await;
}

#[tokio::test]
async fn a_long_message_passes_whole_in_both_directions() {
    let world = World::new().await;
    let (mut client, mut provider) = world.websocket().await;
    let long = "ä".repeat(200_000);
    up(
        &mut client,
        &mut provider,
        &create(&format!(r#","metadata":{{"x":"{long}"}}"#)),
    )
    .await;
    down(&mut client, &mut provider, &created("resp_1", "")).await;
    down(&mut client, &mut provider, &delta(&format!(r#","x":"{long}""#))).await;
    down(&mut client, &mut provider, &completed("resp_1", 5, "")).await;
    assert_eq!(output(&*world.control.one_record().await), (5, false));
}

#[tokio::test]
async fn a_request_that_only_warms_up_is_billed_for_its_input() {
    let world = World::new().await;
    let (mut client, mut provider) = world.websocket().await;
    up(&mut client, &mut provider, &create(r#","generate":false"#)).await;
    down(&mut client, &mut provider, &created("resp_1", "")).await;
    down(&mut client, &mut provider, &completed("resp_1", 0, "")).await;
    let record = world.control.one_record().await;
    assert_eq!((record.token_usages[0].input_tokens, output(&record)), (7, (0, false)));
}

#[tokio::test]
async fn lanes_are_told_apart() {
    let world = World::new().await;
    let (mut client, mut provider) = world.websocket().await;
    let (a, b) = (r#","stream_id":"a""#, r#","stream_id":"b""#);
    for lane in [a, b, ""] {
        up(&mut client, &mut provider, &create(lane)).await;
    }
    // A second one in the first lane waits for the one before it.
    up(&mut client, &mut provider, &create(a)).await;
    for event in [
        created("resp_b", b),
        created("resp_a", a),
        created("resp_0", ""),
        delta(a),
        completed("resp_a", 1, a),
        created("resp_a2", a),
        completed("resp_0", 3, ""),
        completed("resp_b", 2, b),
        completed("resp_a2", 4, a),
    ] {
        down(&mut client, &mut provider, &event).await;
    }
    let records = world.control.delivered(4).await;
    for (id, tokens) in [("resp_a", 1), ("resp_b", 2), ("resp_0", 3), ("resp_a2", 4)] {
        let record = of(&records, id);
        assert_eq!(
            (record.outcome.as_str(), output(&record)),
            ("completed", (tokens, false)),
            "{id}"
        );
    }
}

#[tokio::test]
async fn a_response_that_nobody_asked_for_by_itself_is_on_record_too() {
    let world = World::new().await;
    let (mut client, mut provider) = world.websocket().await;
    up(&mut client, &mut provider, &create("")).await;
    down(&mut client, &mut provider, &created("resp_1", "")).await;
    up(
        &mut client,
        &mut provider,
        r#"{"type":"response.steer","input":"Shorter"}"#,
    )
    .await;
    for event in [
        completed("resp_1", 1, ""),
        created("resp_2", ""),
        completed("resp_2", 2, ""),
    ] {
        down(&mut client, &mut provider, &event).await;
    }
    let records = world.control.delivered(2).await;
    let second = of(&records, "resp_2");
    assert_eq!((second.model.as_str(), output(&second)), ("gpt-x", (2, false)));
    assert_eq!(&*second.prompts[0].prompt.open(usize::MAX).text, "Shorter");
}

#[tokio::test]
async fn what_is_not_known_passes_and_is_not_on_record() {
    let world = World::new().await;
    let (mut client, mut provider) = world.websocket().await;
    up(
        &mut client,
        &mut provider,
        r#"{"type":"response.processed","response_id":"x"}"#,
    )
    .await;
    up(&mut client, &mut provider, r#"{"type":"made.up","stream_id":"a"}"#).await;
    down(
        &mut client,
        &mut provider,
        r#"{"type":"codex.rate_limits","rate_limits":{}}"#,
    )
    .await;
    down(&mut client, &mut provider, "no JSON").await;
    respond(&mut client, &mut provider, "resp_1").await;
    world.control.one_record().await;
}

#[tokio::test]
async fn an_error_is_the_answer_to_what_was_asked() {
    let world = World::new().await;
    let (mut client, mut provider) = world.websocket().await;
    let error = r#"{"type":"error","status":429,"error":{"type":"requests","code":"rate_limit_exceeded","message":"slow"},"headers":{"retry-after":"9"}}"#;
    up(&mut client, &mut provider, &create("")).await;
    down(&mut client, &mut provider, error).await;
    // While one is being made, an error may be about something else: it ends by its own last event.
    up(&mut client, &mut provider, &create("")).await;
    down(&mut client, &mut provider, &created("resp_1", "")).await;
    down(&mut client, &mut provider, error).await;
    down(&mut client, &mut provider, &completed("resp_1", 5, "")).await;
    let records = world.control.delivered(2).await;
    let (refused, made) = (&records[0], &records[1]);
    // Ids tell the gateway key that they are of.
    assert_eq!(KeyTag::in_id(refused.id), KeyTag::in_id(made.id));
    assert_eq!(
        (refused.outcome.as_str(), refused.upstream_status),
        ("failed", Some(429))
    );
    assert_eq!(refused.error_type.as_deref(), Some("requests"));
    assert_eq!((made.outcome.as_str(), output(made)), ("completed", (5, false)));
}

#[tokio::test]
async fn each_message_is_admitted_by_itself() {
    let world = World::new().await;
    let (mut client, mut provider) = world.websocket().await;
    // Another user's response.
    let (own, other) = (world.token.expose().to_owned(), world.control.valid_token());
    let mut maker = world.client().await;
    let bearer = format!("authorization: Bearer {}\r\n", other.expose());
    maker
        .send("POST /ai/openai/v1/responses", &bearer, b"{\"model\":\"m\"}")
        .await;
    let made = r#"{"id":"resp_other","status":"completed","output":[],"usage":{"input_tokens":1,"output_tokens":1}}"#;
    world.provider.next().await.json("200 OK", "", made).await;
    maker.answer().await;
    world.control.one_record().await;
    for (message, status, says) in [
        (create(r#","previous_response_id":"resp_other""#), 404, "made no object"),
        (
            r#"{"type":"response.steer","conversation":"resp_other"}"#.to_owned(),
            404,
            "made no object",
        ),
        (create(r#","model":"again""#), 400, "more than once"),
        (r#"{"model":"m"}"#.to_owned(), 400, "no type"),
        (
            r#"{"type":"response.create","stream_id":"a b"}"#.to_owned(),
            400,
            "stream_id",
        ),
        ("[]".to_owned(), 400, "object"),
    ] {
        client.say(&message).await;
        let error = client.error().await;
        assert_eq!(error["status"], status, "{error}");
        let text = error["error"]["message"].as_str().unwrap();
        assert!(text.contains(says) && !text.contains(&own), "{error}");
        assert!(error["headers"]["x-lychgate-reason"].is_string(), "{error}");
    }
    // The provider got none of them, and the WebSocket is as good as before.
    respond(&mut client, &mut provider, "resp_1").await;
    world.control.delivered(2).await;
}

#[tokio::test]
async fn a_route_renames_the_model_and_one_that_leads_elsewhere_has_no_websocket() {
    let world = World::new().await;
    let (openai, elsewhere) = {
        let providers = world.control.providers();
        (providers[1].id, providers[0].id)
    };
    let route = |model: &str, provider, to: &str| RouteConfig {
        id: Ambient::system().new_id(),
        provider: openai,
        model: model.to_owned(),
        targets: vec![RouteTarget {
            provider,
            model: Some(to.to_owned()),
            weight: 1,
        }],
        fallbacks: Vec::new(),
    };
    world
        .control
        .configure_routes(world.control.providers(), vec![route("alias", openai, "gpt-real")]);
    world.control.until_in_force().await;
    let (mut client, mut provider) = world.websocket().await;
    client
        .say(r#"{"type":"response.create", "model":"alias","input":"Hi"}"#)
        .await;
    assert_eq!(
        provider.text().await,
        r#"{"type":"response.create", "model":"gpt-real","input":"Hi"}"#
    );
    down(&mut client, &mut provider, &created("resp_1", "")).await;
    down(&mut client, &mut provider, &completed("resp_1", 5, "")).await;
    assert_eq!(world.control.one_record().await.model, "alias");
    // Targets of another family are left out, so that this one leads nowhere at all.
    world
        .control
        .configure_routes(world.control.providers(), vec![route("far", elsewhere, "x")]);
    world.control.until_in_force().await;
    client.say(r#"{"type":"response.create","model":"far"}"#).await;
    assert_eq!(client.error().await["status"], 503);
    let mut asked = world.ask_websocket().await;
    assert_eq!(asked.head().await.status, 426);
}

#[tokio::test]
async fn a_client_that_counts_events_gets_one_it_passes_over_while_its_provider_is_silent() {
    let world = World::with_policy(|policy| policy.relay.keep_alive_seconds = 1).await;
    let (mut client, mut provider) = world.websocket().await;
    up(&mut client, &mut provider, &create("")).await;
    // Nothing before the response has begun.
    assert!(timeout(Duration::from_millis(1500), client.text()).await.is_err());
    down(&mut client, &mut provider, &created("resp_1", "")).await;
    for _ in 0..2 {
        assert_eq!(client.text().await, r#"{"type":"keepalive"}"#);
    }
    down(&mut client, &mut provider, &completed("resp_1", 5, "")).await;
    assert_eq!(output(&*world.control.one_record().await), (5, false));
    // And nothing behind its end.
    assert!(timeout(Duration::from_millis(1500), client.text()).await.is_err());
}
