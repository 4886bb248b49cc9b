//! What a WebSocket may cost.

use super::ends::close;
use super::{completed, create, created, delta, down, respond, up};
use crate::support::{World, until};
use futures_util::SinkExt as _;
use std::time::Duration;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};
use tokio_tungstenite::tungstenite::{Bytes, Message};

const MIB: usize = 1 << 20;

#[tokio::test]
async fn a_user_has_so_many_websockets() {
    let world = World::new().await;
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(world.websocket().await);
    }
    let mut client = world.ask_websocket().await;
    let (head, _) = client.answer().await;
    assert_eq!(
        (head.status, head.header("x-lychgate-reason")),
        (429, Some("sockets_too_many"))
    );
    // They are no requests in flight, and one that ends makes room.
    assert_eq!(world.gateway.in_flight(), 0);
    drop(open.pop());
    loop {
        let mut client = world.ask_websocket().await;
        tokio::select! {
            head = client.head() => assert_eq!(head.status, 429),
            _ = world.provider.next() => break,
        }
    }
}

#[tokio::test]
async fn a_message_that_is_too_large_or_no_text_closes_the_websocket() {
    let world = World::new().await;
    // Whole, and in parts each of which would do.
    for parts in [1, 3] {
        let (mut client, mut provider) = world.websocket().await;
        respond(&mut client, &mut provider, &format!("resp_{parts}")).await;
        let part = Bytes::from(vec![b' '; (16 * MIB + 3) / parts]);
        for at in 0..parts {
            let kind = if at == 0 { Data::Text } else { Data::Continue };
            let frame = Frame::message(part.clone(), OpCode::Data(kind), at + 1 == parts);
            // It may be refused before it has come whole.
            let _ = client.0.send(Message::Frame(frame)).await;
        }
        let error = client.error().await;
        assert_eq!(error["status"], 413, "{error}");
        assert_eq!(client.closed().await.0, 1009);
    }
    let (mut client, _provider) = world.websocket().await;
    client.0.send(Message::binary(vec![1])).await.unwrap();
    assert_eq!(client.error().await["status"], 400);
    assert_eq!(client.closed().await.0, 1003);
    // The provider's.
    let (mut client, mut provider) = world.websocket().await;
    provider.0.send(Message::binary(vec![1])).await.unwrap();
    respond(&mut client, &mut provider, "resp_b").await;
    let huge = tokio::spawn(async move {
        let _ = provider.0.send(Message::text(" ".repeat(64 * MIB + 1))).await;
        provider
    });
    assert_eq!(client.closed().await.0, 1011);
    drop(huge.await);
}

#[tokio::test]
async fn lanes_and_responses_are_bounded() {
    let world = World::new().await;
    let (mut client, mut provider) = world.websocket().await;
    let lane = |number: usize| format!(r#","stream_id":"l{number}""#);
    for number in 0..16 {
        up(&mut client, &mut provider, &create(&lane(number))).await;
    }
    client.say(&create(&lane(16))).await;
    let error = client.error().await;
    assert_eq!((&error["status"], &error["stream_id"]), (&429.into(), &"l16".into()));
    for _ in 1..16 {
        up(&mut client, &mut provider, &create(&lane(0))).await;
    }
    client.say(&create(&lane(0))).await;
    assert_eq!(client.error().await["status"], 429);
    assert_eq!(world.gateway.in_flight(), 31);
    // One after the other, until there are no more names.
    for number in 1..16 {
        let (id, lane) = (format!("resp_{number}"), lane(number));
        down(&mut client, &mut provider, &created(&id, &lane)).await;
        down(&mut client, &mut provider, &completed(&id, 1, &lane)).await;
    }
    for number in 16..32 {
        let (id, lane) = (format!("resp_{number}"), lane(number));
        up(&mut client, &mut provider, &create(&lane)).await;
        down(&mut client, &mut provider, &created(&id, &lane)).await;
        down(&mut client, &mut provider, &completed(&id, 1, &lane)).await;
    }
    client.say(&create(&lane(32))).await;
    assert_eq!(client.error().await["status"], 429);
    respond(&mut client, &mut provider, "resp_own").await;
    world.control.delivered(15 + 16 + 1).await;
    drop((client, provider));
    until(|| world.gateway.in_flight() == 0).await;
}

#[tokio::test]
async fn who_does_not_read_holds_no_more_than_the_budget() {
    let world = World::with_options(|options| options.body_budget.one = MIB).await;
    let (mut client, _provider) = world.websocket().await;
    let _ = client.0.send(Message::text(" ".repeat(2 * MIB))).await;
    assert_eq!(client.error().await["status"], 429);
    assert_eq!(client.closed().await.0, 1013);
}

/// A ping may go between the frames of a message, whose room stays taken.
#[tokio::test]
async fn pings_amid_a_message_free_none_of_its_room() {
    let world = World::with_options(|options| options.body_budget.one = MIB).await;
    let (mut client, _provider) = world.websocket().await;
    for at in 0..64 {
        let kind = if at == 0 { Data::Text } else { Data::Continue };
        let piece = Frame::message(vec![b' '; MIB / 32], OpCode::Data(kind), false);
        let sent = client.0.send(Message::Frame(piece)).await;
        let pinged = client.0.send(Message::Ping("x".into())).await;
        if sent.is_err() || pinged.is_err() {
            break;
        }
    }
    assert_eq!(client.error().await["status"], 429);
    assert_eq!(client.closed().await.0, 1013);
}

/// A delta of so many bytes and some.
fn long_delta(bytes: usize) -> String {
    delta(&format!(r#","x":"{}""#, "x".repeat(bytes)))
}

#[tokio::test]
async fn an_answer_waits_for_room_and_is_not_cut() {
    let world = World::with_options(|options| options.body_budget.one = MIB).await;
    let mut sockets = Vec::new();
    for _ in 0..2 {
        let (mut client, mut provider) = world.websocket().await;
        up(&mut client, &mut provider, &create("")).await;
        down(&mut client, &mut provider, &created("resp_1", "")).await;
        sockets.push((client, provider));
    }
    let [(mut client, mut provider), (mut second, mut second_provider)] = sockets.try_into().ok().unwrap();
    // A message that is larger than all there may be of one user has half come.
    let long = long_delta(2 * MIB);
    let (half, rest) = long.split_at(3 * MIB / 2);
    let half = Frame::message(half.to_owned(), OpCode::Data(Data::Text), false);
    provider.0.send(Message::Frame(half)).await.unwrap();
    // It has been read once there is no room for a request, which is none that could be read.
    loop {
        let mut other = world
            .post("/ai/openai/v1/responses", "{}".repeat(50_000).as_bytes())
            .await;
        match other.head().await.status {
            400 => {}
            status => break assert_eq!(status, 429),
        }
    }
    // Another one has to wait for it, and what is small has not.
    let longish = long_delta(MIB / 4);
    second_provider.say(&longish).await;
    let waits = timeout(Duration::from_millis(300), second.text()).await;
    assert!(waits.is_err(), "it has to wait");
    let (mut third, mut third_provider) = world.websocket().await;
    respond(&mut third, &mut third_provider, "resp_3").await;
    let rest = Frame::message(rest.to_owned(), OpCode::Data(Data::Continue), true);
    provider.0.send(Message::Frame(rest)).await.unwrap();
    assert_eq!(client.text().await, long);
    assert_eq!(second.text().await, longish);
    down(&mut client, &mut provider, &completed("resp_1", 5, "")).await;
    down(&mut second, &mut second_provider, &completed("resp_1", 5, "")).await;
}

#[tokio::test]
async fn a_slow_link_is_none_that_is_gone() {
    let world = World::with_policy(|policy| policy.relay.keep_alive_seconds = 0).await;
    let (mut client, mut provider) = world.websocket().await;
    let message = create("");
    tokio::time::pause();
    // A message that takes two minutes, in which its sender says nothing else, not even to pings.
    let mut pieces = message
        .as_bytes()
        .chunks(message.len().div_ceil(4))
        .enumerate()
        .peekable();
    while let Some((at, piece)) = pieces.next() {
        let kind = if at == 0 { Data::Text } else { Data::Continue };
        let frame = Frame::message(piece.to_vec(), OpCode::Data(kind), pieces.peek().is_none());
        client.0.send(Message::Frame(frame)).await.unwrap();
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        tokio::time::advance(Duration::from_secs(40)).await;
    }
    assert_eq!(provider.text().await, message);
}

#[tokio::test]
async fn a_websocket_that_is_read_on_keeps_its_place() {
    let world = World::new().await;
    let mut open = Vec::new();
    for _ in 0..64 {
        open.push(world.websocket().await);
    }
    let (mut client, mut provider) = open.pop().unwrap();
    up(&mut client, &mut provider, &create("")).await;
    down(&mut client, &mut provider, &created("resp_1", "")).await;
    client.0.send(close(1000, "done")).await.unwrap();
    client.closed().await;
    let mut asked = world.ask_websocket().await;
    assert_eq!(asked.head().await.status, 429);
    provider.say(&completed("resp_1", 5, "")).await;
    assert_eq!(provider.closed().await.0, 1000);
    world.control.one_record().await;
}

#[tokio::test]
async fn pings_count_towards_what_is_read_on() {
    let world = World::with_options(|options| options.drain_limits.bytes = 10_000).await;
    let (mut client, mut provider) = world.websocket().await;
    up(&mut client, &mut provider, &create("")).await;
    down(&mut client, &mut provider, &created("resp_1", "")).await;
    client.0.send(close(1000, "done")).await.unwrap();
    client.closed().await;
    for _ in 0..200 {
        // It may be closed before.
        let _ = provider.0.send(Message::Ping(Bytes::from_static(&[0; 100]))).await;
    }
    assert_eq!(world.control.one_record().await.outcome.as_str(), "client_aborted");
}

#[tokio::test]
async fn a_websocket_has_its_time() {
    let world = World::with_policy(|policy| policy.relay.keep_alive_seconds = 0).await;
    let (mut client, _provider) = world.websocket().await;
    tokio::time::pause();
    let began = tokio::time::Instant::now();
    assert_eq!(client.closed().await.0, 1001);
    let minutes = began.elapsed().as_secs() / 60;
    assert!((15..=16).contains(&minutes), "{minutes}");
    tokio::time::resume();
    // Used all the time, it has an hour; what is being made then is finished.
    let (mut client, mut provider) = world.websocket().await;
    tokio::time::pause();
    for second in (50..=3750).step_by(50) {
        tokio::time::advance(Duration::from_secs(50)).await;
        down(&mut client, &mut provider, r#"{"type":"response.made_up"}"#).await;
        if second == 3500 {
            up(&mut client, &mut provider, &create("")).await;
            down(&mut client, &mut provider, &created("resp_1", "")).await;
        }
    }
    down(&mut client, &mut provider, &completed("resp_1", 5, "")).await;
    assert_eq!(client.closed().await.0, 1001);
    tokio::time::resume();
    assert_eq!(world.control.one_record().await.outcome.as_str(), "completed");
}
