//! The control plane appears, disappears and changes its configuration.

use crate::support::{Client, Control, World, config, ready, start, until};
use lychgate_link::{Authorization, CloseReason, DenyReason, LinkError, Message, PROTOCOL};
use lychgate_types::Ambient;
use lychgate_types::KeyRefusal;
use lychgate_types::provider::ProviderType;
use std::time::Duration;

const GOOD: Authorization = Authorization::Known {
    may_send_requests: true,
    holder: lychgate_types::Holder::from_number(7),
    lease: Duration::from_secs(60),
};

fn unreachable() -> LinkError {
    LinkError::Unreachable("nobody there".into())
}

#[tokio::test]
async fn the_replica_introduces_itself_and_reports_its_load() {
    let world = World::with_options(|options| {
        options.labels.insert("zone".into(), "a".into());
    })
    .await;
    let hello = world.control.hellos().remove(0);
    assert_eq!(
        (hello.name.as_str(), hello.address.as_str(), hello.version.as_str()),
        ("test", "127.0.0.1:1", "0.0.0")
    );
    assert_eq!(
        (hello.protocol, hello.replica_id),
        (PROTOCOL, world.gateway.replica_id())
    );
    assert_eq!(hello.labels["zone"], "a");
    let mut heartbeats = world.control.heartbeats();
    heartbeats
        .wait_for(|heartbeat| heartbeat.configuration_version == 1)
        .await
        .unwrap();
}

#[tokio::test]
async fn until_the_control_plane_is_reached_requests_are_refused() {
    let control = Control::new();
    control.go_down(unreachable());
    let (gateway, address) = start(&control, |_| {}, Ambient::system()).await;
    until(|| gateway.readiness().is_err_and(|why| why.contains("nobody there"))).await;
    let ask = async |line: &str| {
        let mut client = Client::connect(address).await;
        client.send(line, "authorization: Bearer x\r\n", b"{}").await;
        client.answer().await
    };
    let (head, _) = ask("POST /ai/anthropic/v1/messages").await;
    assert_eq!((head.status, head.header("retry-after").is_some()), (503, true));
    assert_eq!(ask("GET /healthz").await.0.status, 200);
    let (head, body) = ask("GET /readyz").await;
    assert_eq!(head.status, 503);
    assert!(String::from_utf8(body).unwrap().contains("nobody there"));
    control.configure(vec![config("anthropic", ProviderType::Anthropic, "http://127.0.0.1:1")]);
    control.come_up();
    ready(&gateway).await;
    assert_eq!(ask("GET /readyz").await.0.status, 200);
}

#[tokio::test]
async fn while_the_control_plane_is_away_known_tokens_work_and_unknown_ones_do_not_hang() {
    let world = World::new().await;
    let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let mut exchange = world.provider.next().await;
    exchange.json("200 OK", "", "{}").await;
    client.answer().await;
    world.control.delivered(1).await;

    world.control.go_down(unreachable());
    // Once it tries again, the gateway has noticed.
    until(|| world.control.hellos().len() > 1).await;
    let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
    exchange.done();
    let mut exchange = world.provider.next().await;
    exchange.json("200 OK", "", "{}").await;
    assert_eq!(client.answer().await.0.status, 200);
    assert!(world.gateway.readiness().is_ok());

    let stranger = world.control.valid_token();
    let mut client = world.client().await;
    client
        .send(
            "POST /ai/anthropic/v1/messages",
            &format!("x-api-key: {}\r\n", stranger.expose()),
            b"{}",
        )
        .await;
    let (head, _) = client.answer().await;
    assert_eq!((head.status, head.header("retry-after").is_some()), (503, true));
    assert_eq!(world.control.lookups(), 1);

    // When it is back, tokens are looked up again and the waiting record is delivered.
    world.control.come_up();
    world.reconfigure().await;
    world.control.delivered(2).await;
    let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
    exchange.done();
    world.provider.next().await.json("200 OK", "", "{}").await;
    assert_eq!(client.answer().await.0.status, 200);
    assert_eq!(world.control.lookups(), 2);
}

#[tokio::test]
async fn without_the_control_plane_for_too_long_requests_are_refused() {
    let world = World::with_options(|options| options.max_offline = Duration::ZERO).await;
    let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let mut exchange = world.provider.next().await;
    exchange.json("200 OK", "", "{}").await;
    client.answer().await;
    world.control.go_down(unreachable());
    until(|| world.gateway.readiness().is_err()).await;
    let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let (head, body) = client.answer().await;
    assert_eq!(head.status, 503, "{}", String::from_utf8_lossy(&body));
}

#[tokio::test]
async fn a_revoked_key_stops_new_requests_and_lets_those_in_flight_finish() {
    let world = World::new().await;
    let mut flying = world
        .post("/ai/anthropic/v1/messages", br#"{"model":"m","stream":true}"#)
        .await;
    let mut exchange = world.provider.next().await;
    exchange.stream().await;
    exchange.chunk(b"event: ping\ndata: {\"type\":\"ping\"}\n\n").await;
    let head = flying.head().await;

    world
        .control
        .push(&Message::Close(CloseReason::Refused(KeyRefusal::Revoked)));
    world.control.go_down(LinkError::refused(KeyRefusal::Unknown));
    until(|| world.gateway.readiness().is_err()).await;
    let attempts = world.control.hellos().len();
    until(|| world.control.hellos().len() > attempts).await;
    // The first reason, revoked, is kept, although a revoked key is unknown afterwards.
    let why = world.gateway.readiness().unwrap_err();
    assert!(why.contains("deleted"), "{why}");
    let mut refused = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let (answer, body) = refused.answer().await;
    assert_eq!(answer.status, 503);
    assert!(String::from_utf8(body).unwrap().contains("deleted"));

    exchange
        .chunk(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
        .await;
    exchange.end().await;
    let (body, _) = flying.rest(&head).await;
    assert!(body.ends_with(b"message_stop\"}\n\n"));
    assert_eq!(world.gateway.spool_depth(), 1);

    // Once the key is valid again, it attaches and delivers.
    world.control.come_up();
    ready(&world.gateway).await;
    assert_eq!(world.control.one_record().await.outcome.as_str(), "completed");
}

#[tokio::test]
async fn a_configuration_change_reaches_the_next_request() {
    let world = World::new().await;
    let elsewhere = crate::support::Provider::start().await;
    world.control.configure(vec![config(
        "anthropic",
        ProviderType::Anthropic,
        &elsewhere.url("/new"),
    )]);
    world.control.until_in_force().await;
    let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let mut exchange = elsewhere.next().await;
    assert_eq!(exchange.line, "POST /new/v1/messages HTTP/1.1");
    exchange.json("200 OK", "", "{}").await;
    client.answer().await;
    let mut client = world.post("/ai/openai/v1/responses", b"{}").await;
    assert_eq!(client.answer().await.0.status, 404);
}

async fn until_waiting(world: &World, requests: f64) {
    while world.metric("lychgate_requests_waiting").await != requests {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.gateway.in_flight(), 0, "only requests of known tokens count");
}

#[tokio::test]
async fn concurrent_requests_share_one_look_up() {
    let world = World::new().await;
    world.control.hold_lookups();
    let mut clients = Vec::new();
    for _ in 0..5 {
        clients.push(world.post("/ai/anthropic/v1/messages", b"{}").await);
    }
    until_waiting(&world, 5.0).await;
    assert_eq!((world.control.lookups(), world.control.held_lookups()), (1, 1));
    // Their disconnecting does not cancel the look-up for the others.
    clients.truncate(1);
    until_waiting(&world, 1.0).await;
    world.control.answer_lookup(GOOD);
    world.provider.next().await.json("200 OK", "", "{}").await;
    assert_eq!(clients[0].answer().await.0.status, 200);
    assert_eq!(world.control.lookups(), 1);
}

#[tokio::test]
async fn an_answer_in_flight_during_a_revocation_is_discarded() {
    let world = World::new().await;
    world.control.hold_lookups();
    let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
    until(|| world.control.held_lookups() == 1).await;
    world.control.push(&Message::TokensRevoked(vec![world.token.hash()]));
    world.reconfigure().await;
    world.control.answer_lookup(GOOD);
    until(|| world.control.held_lookups() == 1).await;
    world.control.answer_lookup(Authorization::Denied {
        reason: DenyReason::Revoked,
        lease: Duration::from_secs(5),
    });
    let (head, _) = client.answer().await;
    assert_eq!((head.status, world.control.lookups()), (401, 2));
    // The first answer was not cached either.
    let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
    assert_eq!((client.answer().await.0.status, world.control.lookups()), (401, 2));
}
