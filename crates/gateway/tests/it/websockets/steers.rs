//! Responses that no message asks for: those that follow a steer, and others.

use super::ends::close;
use super::{completed, create, created, down, in_force, output, respond, up};
use crate::support::websocket::Socket;
use crate::support::{World, until};
use futures_util::SinkExt as _;
use lychgate_link::Message as LinkMessage;

const STEER: &str = r#"{"type":"response.steer","previous_response_id":"resp_1","input":"Shorter"}"#;
const LANE: &str = r#","stream_id":"a""#;

/// A response in a lane that has begun, and is steered.
async fn steered(world: &World) -> (Socket, Socket) {
    let (mut client, mut provider) = world.websocket().await;
    up(&mut client, &mut provider, &create(LANE)).await;
    down(&mut client, &mut provider, &created("resp_1", LANE)).await;
    up(&mut client, &mut provider, STEER).await;
    (client, provider)
}

fn successor() -> [String; 2] {
    let of = r#","previous_response_id":"resp_1","status":"in_progress""#;
    let begun = created("resp_2", LANE).replace(r#","status":"in_progress""#, of);
    [begun, completed("resp_2", 2, LANE)]
}

#[tokio::test]
async fn what_follows_a_steer_is_on_record_whatever_happens_before_it_begins() {
    for change in ["nothing", "drained", "key", "client"] {
        let world = World::new().await;
        let (mut client, mut provider) = steered(&world).await;
        match change {
            "drained" => {
                world.control.push(&LinkMessage::Drain);
                in_force(&world).await;
            }
            "key" => {
                let mut providers = world.control.providers();
                providers[1].keys.clear();
                world.control.configure(providers);
                world.control.until_in_force().await;
            }
            "client" => {
                client.0.send(close(1000, "done")).await.unwrap();
                client.closed().await;
            }
            _ => {}
        }
        provider.say(&completed("resp_1", 1, LANE)).await;
        for event in successor() {
            provider.say(&event).await;
        }
        let records = world.control.delivered(2).await;
        let second = records.iter().find(|record| output(record).0 == 2).expect(change);
        assert_eq!((second.model.as_str(), output(second).1), ("gpt-x", false), "{change}");
        assert_eq!(&*second.prompts[0].prompt.open(usize::MAX).text, "Shorter");
    }
}

#[tokio::test]
async fn a_steer_that_comes_to_nothing_takes_no_room() {
    for end in [
        r#"{"type":"response.steer.failed","stream_id":"a","steer":{"previous_response_id":"resp_1"}}"#,
        r#"{"type":"response.steer.pending","stream_id":"a","steer":{"previous_response_id":"resp_1"}}"#,
        "",
    ] {
        let world = World::new().await;
        let (mut client, mut provider) = steered(&world).await;
        assert_eq!(world.gateway.in_flight(), 2);
        down(&mut client, &mut provider, &completed("resp_1", 1, LANE)).await;
        if end.is_empty() {
            // The next one in its lane shows it, too.
            up(&mut client, &mut provider, &create(LANE)).await;
            down(&mut client, &mut provider, &created("resp_3", LANE)).await;
            down(&mut client, &mut provider, &completed("resp_3", 1, LANE)).await;
        } else {
            down(&mut client, &mut provider, end).await;
        }
        until(|| world.gateway.in_flight() == 0).await;
    }
}

#[tokio::test]
async fn steers_that_wait_are_bounded() {
    let world = World::new().await;
    let (mut client, mut provider) = steered(&world).await;
    for number in 2..=16 {
        up(
            &mut client,
            &mut provider,
            &STEER.replace("resp_1", &format!("resp_{number}")),
        )
        .await;
    }
    client.say(&STEER.replace("resp_1", "resp_17")).await;
    assert_eq!(client.error().await["status"], 429);
}

#[tokio::test]
async fn responses_that_nobody_asked_for_are_bounded_and_on_record() {
    let world = World::new().await;
    let (mut client, mut provider) = world.websocket().await;
    respond(&mut client, &mut provider, "resp_0").await;
    for number in 1..=16 {
        down(&mut client, &mut provider, &created(&format!("resp_{number}"), "")).await;
    }
    provider.say(&created("resp_17", "")).await;
    let error = client.error().await;
    assert_eq!(error["status"], 502, "{error}");
    assert_eq!(client.closed().await.0, 1013);
    for number in 1..=17 {
        provider.say(&completed(&format!("resp_{number}"), number, "")).await;
    }
    let records = world.control.delivered(18).await;
    let mut told: Vec<_> = records.iter().map(|record| output(record)).collect();
    told.sort_unstable();
    assert_eq!(told.last(), Some(&(17, false)));
    assert!(told.iter().all(|(_, estimated)| !estimated), "{told:?}");
}

#[tokio::test]
async fn a_websocket_makes_so_many_responses() {
    let world = World::with_policy(|policy| policy.relay.keep_alive_seconds = 0).await;
    let (mut client, mut provider) = world.websocket().await;
    for number in 0..4096 {
        up(&mut client, &mut provider, &create("")).await;
        down(&mut client, &mut provider, &created(&format!("resp_{number}"), "")).await;
        down(&mut client, &mut provider, &completed(&format!("resp_{number}"), 1, "")).await;
        // Whatever comes of it again is on the books already.
        down(&mut client, &mut provider, &completed("resp_0", 1, "")).await;
    }
    assert_eq!(client.closed().await.0, 1001);
    assert_eq!(world.control.delivered(4096).await.len(), 4096);
}

#[tokio::test]
async fn what_the_provider_names_is_bounded() {
    let long = "x".repeat(513);
    for event in [
        created(&long, ""),
        created("resp_1", &format!(r#","stream_id":"{long}""#)),
    ] {
        let world = World::new().await;
        let (mut client, mut provider) = world.websocket().await;
        up(&mut client, &mut provider, &create("")).await;
        provider.say(&event).await;
        let error = client.error().await;
        assert_eq!(error["status"], 502, "{error}");
        assert_eq!(client.closed().await.0, 1013);
    }
    // Of an error behind a beginning no more is kept than the record needs.
    let world = World::new().await;
    let (mut client, mut provider) = world.websocket().await;
    up(&mut client, &mut provider, &create("")).await;
    down(&mut client, &mut provider, &created("resp_1", "")).await;
    let error = format!(
        r#"{{"type":"error","status":429,"error":{{"type":"t","message":"{}"}}}}"#,
        "x".repeat(5000)
    );
    down(&mut client, &mut provider, &error).await;
    up(&mut client, &mut provider, &create("")).await;
    down(&mut client, &mut provider, &created("resp_2", "")).await;
    let record = world.control.one_record().await;
    assert!(
        record.error_message.as_deref().unwrap().contains("too long"),
        "{record:?}"
    );
    assert!(output(&record).1, "it had begun");
}
