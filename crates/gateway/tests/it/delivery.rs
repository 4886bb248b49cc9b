//! Records on their way: nothing lost, nothing doubled by the gateway's own doing, nothing stuck.

use crate::support::World;
use lychgate_link::LinkError;
use std::time::Duration;

async fn exchange(world: &World, model: &str) {
    let body = format!(r#"{{"model":"{model}"}}"#);
    let mut client = world.post("/ai/anthropic/v1/messages", body.as_bytes()).await;
    world
        .provider
        .next()
        .await
        .json("200 OK", "connection: close\r\n", "{}")
        .await;
    client.answer().await;
}

#[tokio::test]
async fn what_could_not_be_delivered_is_delivered_again_under_the_same_id() {
    let world = World::new().await;
    world
        .control
        .fail_deliveries_of("a", LinkError::Unreachable("busy".into()));
    exchange(&world, "a").await;
    crate::support::until(|| !world.control.batches().is_empty()).await;
    world.control.deliver_everything();
    let record = world.control.one_record().await;
    let batches = world.control.batches();
    assert!(
        batches.len() > 1 && batches.iter().all(|batch| *batch == [record.id]),
        "{batches:?}"
    );
    crate::support::until(|| world.gateway.spool_depth() == 0).await;
}

#[tokio::test]
async fn a_record_that_is_rejected_is_set_aside() {
    let world = World::new().await;
    world.control.reject("bad");
    exchange(&world, "bad").await;
    exchange(&world, "good").await;
    assert_eq!(world.control.one_record().await.model, "good");
    crate::support::until(|| world.gateway.spool_depth() == 0).await;
}

#[tokio::test]
async fn a_record_that_breaks_the_control_plane_does_not_hold_up_the_others() {
    let world = World::new().await;
    world.control.hold_deliveries(true);
    world.control.fail_deliveries_of(
        "poison",
        LinkError::Internal {
            request_id: String::new(),
        },
    );
    for model in ["a", "poison", "b", "c"] {
        exchange(&world, model).await;
    }
    world.control.hold_deliveries(false);
    let mut models: Vec<_> = world
        .control
        .delivered(3)
        .await
        .iter()
        .map(|record| record.model.clone())
        .collect();
    models.sort();
    assert_eq!(models, ["a", "b", "c"]);
    assert_eq!(world.gateway.spool_depth(), 1);
}

#[tokio::test]
async fn draining_waits_for_streams_and_records_and_refuses_the_rest() {
    let world = World::new().await;
    world.control.hold_deliveries(true);
    let mut client = world.post("/ai/anthropic/v1/messages", br#"{"stream":true}"#).await;
    let mut stream = world.provider.next().await;
    stream.stream().await;
    let head = client.head().await;
    let gateway = world.gateway.clone();
    let draining = tokio::spawn(async move { gateway.drain(Duration::from_secs(60)).await });
    crate::support::until(|| world.gateway.readiness().is_err()).await;
    let mut late = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let (refusal, _) = late.answer().await;
    assert_eq!((refusal.status, refusal.header("retry-after").is_some()), (503, true));
    assert!(!draining.is_finished());
    stream
        .chunk(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
        .await;
    stream.end().await;
    client.rest(&head).await;
    draining.await.unwrap();
    let gateway = world.gateway.clone();
    let closing = tokio::spawn(async move { gateway.close().await });
    tokio::task::yield_now().await;
    assert!(!closing.is_finished());
    world.control.hold_deliveries(false);
    closing.await.unwrap();
    assert_eq!(world.control.records().len(), 1);
}
