//! What is on the books of a response that fails, whoever leaves and whenever.

use super::ends::close;
use super::{ERROR, completed, create, created, delta, down, output, up};
use crate::support::websocket::Socket;
use crate::support::{World, until};
use futures_util::{SinkExt as _, StreamExt as _};
use lychgate_types::interception::InterceptionRecord;
use std::sync::Arc;
use std::time::Duration;
use tokio_tungstenite::tungstenite::Message;

/// All records, once nothing is in flight.
async fn records(world: &World, count: usize) -> Vec<Arc<InterceptionRecord>> {
    until(|| world.gateway.in_flight() == 0).await;
    let records = world.control.delivered(count).await;
    assert_eq!(records.len(), count, "{records:?}");
    records
}

async fn leave(mut client: Socket) {
    client.0.send(close(1000, "done")).await.unwrap();
    client.closed().await;
}

/// A response that has begun.
async fn begin(world: &World) -> (Socket, Socket) {
    let (mut client, mut provider) = world.websocket().await;
    up(&mut client, &mut provider, &create("")).await;
    down(&mut client, &mut provider, &created("resp_1", "")).await;
    (client, provider)
}

#[tokio::test]
async fn what_has_begun_costs_something_though_nothing_but_an_error_was_seen() {
    for leaves_first in [true, false] {
        let world = World::new().await;
        let (mut client, mut provider) = begin(&world).await;
        down(&mut client, &mut provider, ERROR).await;
        if leaves_first {
            leave(client).await;
            drop(provider);
        } else {
            drop(provider);
            assert_eq!(client.closed().await.0, 1011);
        }
        let record = &records(&world, 1).await[0];
        let usage = &record.token_usages[0];
        assert!(usage.estimated && usage.input_tokens > 0, "{usage:?}");
        let outcome = if leaves_first { "client_aborted" } else { "failed" };
        assert_eq!((record.outcome.as_str(), record.upstream_status), (outcome, Some(200)));
    }
}

#[tokio::test]
async fn what_goes_on_behind_an_error_and_a_long_silence_is_on_the_books_once() {
    let world = World::with_policy(|policy| {
        policy.timeouts.idle_ms = 20_000;
        policy.relay.keep_alive_seconds = 0;
    })
    .await;
    let (mut client, mut provider) = begin(&world).await;
    down(&mut client, &mut provider, ERROR).await;
    tokio::time::pause();
    for _ in 0..3 {
        tokio::time::advance(Duration::from_secs(15)).await;
        // The gateway has looked at its clocks.
        while !matches!(client.0.next().await.unwrap().unwrap(), Message::Ping(_)) {}
    }
    tokio::time::resume();
    down(&mut client, &mut provider, &delta("")).await;
    down(&mut client, &mut provider, &completed("resp_1", 5, "")).await;
    let record = &records(&world, 1).await[0];
    assert_eq!((record.outcome.as_str(), output(record)), ("completed", (5, false)));
    // Nobody waits for what is given up: the WebSocket ends when it is not used.
    up(&mut client, &mut provider, &create("")).await;
    down(&mut client, &mut provider, &created("resp_2", "")).await;
    down(&mut client, &mut provider, ERROR).await;
    tokio::time::pause();
    assert_eq!(client.closed().await.0, 1001);
    tokio::time::resume();
    drop(provider);
    assert_eq!(records(&world, 2).await.len(), 2);
}

/// A client that reads slowly makes no provider silent.
#[tokio::test]
async fn what_a_slow_client_is_behind_with_is_on_the_books_whole() {
    let world = World::with_policy(|policy| {
        policy.timeouts.idle_ms = 5_000;
        // So often are clocks looked at, and the provider is pinged then.
        policy.relay.keep_alive_seconds = 1;
    })
    .await;
    let (mut client, mut provider) = begin(&world).await;
    // More than fits between the two.
    let long = delta(&format!(r#","obfuscation":"{}""#, "x".repeat(16 << 20)));
    provider.say(&long).await;
    provider.say(&completed("resp_1", 5, "")).await;
    for _ in 0..7 {
        while !matches!(provider.0.next().await.unwrap().unwrap(), Message::Ping(_)) {}
    }
    assert_eq!(client.text().await.len(), long.len());
    assert_eq!(client.text().await, completed("resp_1", 5, ""));
    let record = &records(&world, 1).await[0];
    assert_eq!((record.outcome.as_str(), output(record)), ("completed", (5, false)));
}

#[tokio::test]
async fn an_error_behind_a_client_that_left_is_on_record() {
    let world = World::new().await;
    let (mut client, mut provider) = world.websocket().await;
    up(&mut client, &mut provider, &create("")).await;
    leave(client).await;
    provider.say(ERROR).await;
    let record = &records(&world, 1).await[0];
    assert_eq!(
        (record.outcome.as_str(), record.upstream_status),
        ("client_aborted", Some(400))
    );
    assert_eq!(record.token_usages, [], "what was refused costs nothing");
}

#[tokio::test]
async fn a_response_that_nobody_asked_for_behind_a_client_that_left_is_on_record() {
    let world = World::new().await;
    let (client, mut provider) = begin(&world).await;
    leave(client).await;
    for event in [
        created("resp_2", ""),
        completed("resp_1", 1, ""),
        completed("resp_2", 2, ""),
    ] {
        provider.say(&event).await;
    }
    let records = records(&world, 2).await;
    assert_eq!([output(&records[0]), output(&records[1])], [(1, false), (2, false)]);
}
