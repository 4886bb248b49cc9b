//! The attachment to the control plane: resumed, out of step, drained, renewed, refused.

use crate::support::{Control, World, config, options, ready, until};
use lychgate_gateway::Gateway;
use lychgate_link::{CloseReason, LinkError, Message};
use lychgate_types::Ambient;
use lychgate_types::KeyRefusal;
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::UserTokenSecret;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Sends a request with this token, and returns the status. If it is 200, the provider has answered.
async fn ask(world: &World, token: &UserTokenSecret) -> u16 {
    let mut client = world.client().await;
    let head = format!("x-api-key: {}\r\n", token.expose());
    client.send("POST /ai/anthropic/v1/messages", &head, b"{}").await;
    let answer = client.answer();
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        (head, _) = &mut answer => head.status,
        mut exchange = world.provider.next() => {
            exchange.json("200 OK", "", "{}").await;
            answer.await.0.status
        }
    }
}

/// A gateway that nobody sends requests to.
async fn gateway(control: &Control) -> Gateway {
    control.configure(vec![config("anthropic", ProviderType::Anthropic, "http://127.0.0.1:1")]);
    Gateway::start(options(control), Arc::new(control.clone()), Ambient::system()).unwrap()
}

#[tokio::test]
async fn a_resumed_attachment_keeps_all_leases_but_the_revoked_ones() {
    let world = World::new().await;
    world.control.resume_attachments();
    let other = world.control.valid_token();
    for token in [&world.token, &other] {
        assert_eq!(ask(&world, token).await, 200);
    }
    assert_eq!(world.control.lookups(), 2);

    world
        .control
        .fail_attaching(Some(LinkError::Unreachable("nobody there".into())));
    world.control.drop_attachments();
    until(|| world.control.hellos().len() > 1).await;
    world.control.revoke(&other);
    world.control.fail_attaching(None);
    until(|| world.gateway.readiness().is_ok() && world.control.is_attached()).await;
    world.reconfigure().await;
    assert_eq!(world.control.hellos().last().unwrap().resume_after, 1);
    assert_eq!((ask(&world, &world.token).await, world.control.lookups()), (200, 2));
    assert_eq!((ask(&world, &other).await, world.control.lookups()), (401, 3));
}

#[tokio::test]
async fn a_missed_message_is_noticed_and_all_leases_are_dropped() {
    let world = World::new().await;
    world.control.resume_attachments();
    assert_eq!((ask(&world, &world.token).await, world.control.lookups()), (200, 1));
    world.control.lose_change();
    world.control.push(&Message::TokensRevoked(vec![]));
    until(|| world.control.hellos().len() > 1).await;
    assert_eq!(world.control.hellos()[1].resume_after, 0);
    world.reconfigure().await;
    assert_eq!((ask(&world, &world.token).await, world.control.lookups()), (200, 2));
}

#[tokio::test]
async fn an_unknown_message_keeps_its_position_in_the_feed() {
    let world = World::new().await;
    world.control.push(&Message::Unknown);
    world.reconfigure().await;
    world.control.resume_attachments();
    world.control.drop_attachments();
    until(|| world.control.hellos().len() > 1).await;
    assert_eq!(world.control.hellos()[1].resume_after, 3);
}

#[tokio::test]
async fn a_drained_replica_refuses_new_requests_finishes_those_in_flight_and_stays_attached() {
    let world = World::new().await;
    let mut flying = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let mut exchange = world.provider.next().await;
    world.control.push(&Message::Drain);
    world.control.heartbeats().wait_for(|beat| beat.draining).await.unwrap();
    assert_eq!(world.control.heartbeats().borrow().in_flight, 1);
    let mut refused = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let (head, body) = refused.answer().await;
    assert_eq!((head.status, head.header("retry-after").is_some()), (503, true));
    assert!(String::from_utf8(body).unwrap().contains("drained"));
    assert!(world.gateway.readiness().unwrap_err().contains("drained"));

    exchange.json("200 OK", "", "{}").await;
    assert_eq!(flying.answer().await.0.status, 200);
    world.control.delivered(1).await;
    world.reconfigure().await;
    assert_eq!(world.control.hellos().len(), 1);
}

#[tokio::test]
async fn a_new_key_opens_a_second_stream_before_the_first_is_closed() {
    let world = World::new().await;
    world.control.hold_attachments();
    world.control.renew_key();
    until(|| world.control.hellos().len() > 1).await;
    // The first one is still in use.
    assert_eq!(ask(&world, &world.token).await, 200);
    world.control.revoke(&world.token);
    world.reconfigure().await;
    assert_eq!(ask(&world, &world.token).await, 401);
    // The control plane closes it when the second one is opened, and clients do not notice.
    world.control.drop_attachments();
    world.control.release_attachments();
    let token = world.control.valid_token();
    for _ in 0..10 {
        assert_eq!(ask(&world, &token).await, 200);
        assert_eq!(world.gateway.readiness(), Ok(()));
    }
    world.reconfigure().await;
    assert_eq!(world.control.hellos().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_new_key_that_is_refused_changes_nothing() {
    let control = Control::new();
    let gateway = gateway(&control).await;
    ready(&gateway).await;
    control.fail_attaching(Some(LinkError::refused(KeyRefusal::Unknown)));
    control.renew_key();
    until(|| control.hellos().len() > 1).await;
    control.configure_again();
    control.until_in_force().await;
    assert_eq!(gateway.readiness(), Ok(()));
    // If attaching with it fails for another reason, it is tried again.
    control.fail_attaching(Some(LinkError::Unreachable("nobody there".into())));
    control.renew_key();
    until(|| control.hellos().len() > 2).await;
    assert_eq!(gateway.readiness(), Ok(()));
    control.fail_attaching(None);
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(control.hellos().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_refused_key_is_tried_slowly_and_a_new_one_at_once() {
    for (reason, why) in [
        (
            CloseReason::Refused(KeyRefusal::Rotated),
            "rotated; give this replica the new secret",
        ),
        (CloseReason::Refused(KeyRefusal::Disabled), "disabled"),
        (CloseReason::Refused(KeyRefusal::SourceNotAllowed), "address"),
        (CloseReason::Refused(KeyRefusal::Expired), "expired"),
    ] {
        let control = Control::new();
        let gateway = gateway(&control).await;
        ready(&gateway).await;
        control.fail_attaching(Some(LinkError::refused(KeyRefusal::Unknown)));
        control.push(&Message::Close(reason));
        until(|| gateway.readiness().is_err()).await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(
            gateway.readiness().unwrap_err().contains(why),
            "{:?}",
            gateway.readiness()
        );
        assert!(control.hellos().len() < 60, "{}", control.hellos().len());
        control.fail_attaching(None);
        let now = Instant::now();
        control.renew_key();
        ready(&gateway).await;
        assert_eq!(now, Instant::now());
    }
}

#[tokio::test(start_paused = true)]
async fn after_a_reversible_refusal_the_key_is_tried_within_seconds() {
    for reason in [KeyRefusal::Disabled, KeyRefusal::SourceNotAllowed, KeyRefusal::Expired] {
        let control = Control::new();
        let gateway = gateway(&control).await;
        ready(&gateway).await;
        control.fail_attaching(Some(LinkError::refused(reason)));
        control.push(&Message::Close(CloseReason::Refused(KeyRefusal::Disabled)));
        until(|| gateway.readiness().is_err()).await;
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert!(control.hellos().len() < 300, "{}", control.hellos().len());
        control.fail_attaching(None);
        tokio::time::sleep(Duration::from_secs(11)).await;
        assert_eq!(gateway.readiness(), Ok(()));
    }
}
