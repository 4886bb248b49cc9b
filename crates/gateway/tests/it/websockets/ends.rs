//! How a WebSocket ends.

use super::{ERROR, completed, create, created, delta, down, in_force, output, respond, up};
use crate::support::{World, until};
use futures_util::SinkExt as _;
use lychgate_link::{LinkError, Message as LinkMessage};
use lychgate_types::KeyRefusal;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::CloseFrame;

pub(super) fn close(code: u16, reason: &'static str) -> Message {
    Message::Close(Some(CloseFrame {
        code: code.into(),
        reason: reason.into(),
    }))
}

#[tokio::test]
async fn the_providers_end_is_the_clients_and_what_was_being_made_has_failed() {
    for (code, reason) in [(1011, "server error"), (1001, "restart"), (4000, "")] {
        let world = World::new().await;
        let (mut client, mut provider) = world.websocket().await;
        up(&mut client, &mut provider, &create("")).await;
        down(&mut client, &mut provider, &created("resp_1", "")).await;
        down(&mut client, &mut provider, &delta("")).await;
        provider.0.send(close(code, reason)).await.unwrap();
        assert_eq!(client.closed().await, (code, reason.to_owned()));
        let record = world.control.one_record().await;
        assert_eq!((record.outcome.as_str(), output(&record).1), ("failed", true));
        assert!(output(&record).0 > 0, "what came is estimated");
        until(|| world.gateway.in_flight() == 0).await;
    }
}

#[tokio::test]
async fn a_provider_that_breaks_off_is_an_end_that_another_one_may_mend() {
    let world = World::new().await;
    let (mut client, mut provider) = world.websocket().await;
    up(&mut client, &mut provider, &create("")).await;
    down(&mut client, &mut provider, &created("resp_1", "")).await;
    drop(provider);
    assert_eq!(client.closed().await.0, 1011);
    assert_eq!(world.control.one_record().await.outcome.as_str(), "failed");
}

#[tokio::test]
async fn behind_a_client_that_leaves_the_rest_is_read_for_its_usage() {
    // Errors behind its beginning may be about other messages, and end nothing.
    for (says_so, errors) in [(true, 0), (true, 2), (false, 0), (false, 1)] {
        let world = World::new().await;
        let (mut client, mut provider) = world.websocket().await;
        up(&mut client, &mut provider, &create("")).await;
        down(&mut client, &mut provider, &created("resp_1", "")).await;
        for _ in 0..errors {
            down(&mut client, &mut provider, ERROR).await;
        }
        if says_so {
            client.0.send(close(1000, "done")).await.unwrap();
            client.closed().await;
        }
        drop(client);
        provider.say(&delta("")).await;
        provider.say(&completed("resp_1", 5, "")).await;
        let record = world.control.one_record().await;
        assert_eq!(output(&record), (5, false));
        // That a client has left without a word may show later than the end.
        assert!(record.outcome.as_str() == "client_aborted" || (!says_so && record.outcome.as_str() == "completed"));
        let told = provider.closed().await;
        if says_so {
            assert_eq!(told, (1000, "done".to_owned()));
        }
        until(|| world.gateway.in_flight() == 0).await;
    }
}

#[tokio::test]
async fn a_revoked_token_ends_what_it_has_opened_behind_what_is_being_made() {
    let world = World::new().await;
    let (mut idle, _idle_provider) = world.websocket().await;
    let (mut client, mut provider) = world.websocket().await;
    up(&mut client, &mut provider, &create("")).await;
    down(&mut client, &mut provider, &created("resp_1", "")).await;
    world.control.revoke(&world.token);
    in_force(&world).await;
    // One in which nothing is made ends at once.
    let error = idle.error().await;
    assert_eq!(
        (&error["status"], &error["headers"]["x-lychgate-reason"]),
        (&401.into(), &"token_revoked".into())
    );
    assert_eq!(idle.closed().await.0, 1008);
    // What is being made goes on; nothing more is taken.
    down(&mut client, &mut provider, &delta("")).await;
    client.say(&create("")).await;
    assert_eq!(client.error().await["status"], 401);
    down(&mut client, &mut provider, &completed("resp_1", 5, "")).await;
    assert_eq!(client.closed().await.0, 1008);
    let record = world.control.one_record().await;
    assert_eq!((record.outcome.as_str(), output(&record)), ("completed", (5, false)));
}

#[tokio::test]
async fn a_gateway_that_is_refused_keeps_no_websocket() {
    let world = World::new().await;
    let (mut client, _provider) = world.websocket().await;
    world.control.go_down(LinkError::refused(KeyRefusal::Unknown));
    let error = client.error().await;
    assert_eq!(
        (&error["status"], &error["headers"]["x-lychgate-reason"]),
        (&503.into(), &"replica_refused".into())
    );
    assert_eq!(client.closed().await.0, 1008);
}

#[tokio::test]
async fn a_gateway_that_leaves_finishes_what_is_being_made() {
    for by_operator in [true, false] {
        let world = World::new().await;
        let (mut idle, _idle_provider) = world.websocket().await;
        let (mut client, mut provider) = world.websocket().await;
        up(&mut client, &mut provider, &create("")).await;
        down(&mut client, &mut provider, &created("resp_1", "")).await;
        let gateway = world.gateway.clone();
        let draining = if by_operator {
            world.control.push(&LinkMessage::Drain);
            in_force(&world).await;
            None
        } else {
            Some(tokio::spawn(
                async move { gateway.drain(Duration::from_secs(60)).await },
            ))
        };
        assert_eq!(idle.closed().await.0, 1001);
        client.say(&create("")).await;
        assert_eq!(client.error().await["status"], 503);
        down(&mut client, &mut provider, &completed("resp_1", 5, "")).await;
        assert_eq!(client.closed().await.0, 1001);
        assert_eq!(world.control.one_record().await.outcome.as_str(), "completed");
        if let Some(draining) = draining {
            draining.await.unwrap();
        }
    }
}

#[tokio::test]
async fn what_lasts_longer_than_a_gateway_may_is_cut_off() {
    let world = World::new().await;
    let (mut client, mut provider) = world.websocket().await;
    up(&mut client, &mut provider, &create("")).await;
    down(&mut client, &mut provider, &created("resp_1", "")).await;
    world.gateway.drain(Duration::from_millis(10)).await;
    assert_eq!(client.closed().await.0, 1001);
    provider.say(&completed("resp_1", 5, "")).await;
    let record = world.control.one_record().await;
    assert_eq!(
        (record.outcome.as_str(), output(&record)),
        ("gateway_stopped", (5, false))
    );
}

#[tokio::test]
async fn a_provider_that_is_configured_otherwise_needs_another_websocket() {
    for change in ["off", "key", "disabled"] {
        let world = World::new().await;
        let (mut client, mut provider) = world.websocket().await;
        respond(&mut client, &mut provider, "resp_1").await;
        // What does not concern it does not end it.
        world.reconfigure().await;
        respond(&mut client, &mut provider, "resp_2").await;
        let mut providers = world.control.providers();
        match change {
            "off" => providers[1].policy.relay.websocket = false,
            "key" => providers[1].keys.clear(),
            _ => providers[1].enabled = false,
        }
        world.control.configure(providers);
        assert_eq!(client.closed().await.0, 1001, "{change}");
    }
}

#[tokio::test]
async fn a_provider_that_falls_silent_is_given_up() {
    let world = World::with_policy(|policy| {
        policy.timeouts.idle_ms = 20_000;
        policy.relay.keep_alive_seconds = 0;
    })
    .await;
    let (mut client, mut provider) = world.websocket().await;
    let lane = r#","stream_id":"a""#;
    up(&mut client, &mut provider, &create(lane)).await;
    down(&mut client, &mut provider, &created("resp_1", lane)).await;
    tokio::time::pause();
    let error = client.error().await;
    assert_eq!((&error["status"], &error["stream_id"]), (&504.into(), &"a".into()));
    assert_eq!(client.closed().await.0, 1011);
    tokio::time::resume();
    let record = world.control.one_record().await;
    assert_eq!((record.outcome.as_str(), output(&record).1), ("failed", true));
}
