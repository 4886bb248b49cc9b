//! Delivery of records: none is lost, none is duplicated by the gateway, none is stuck.

use crate::support::{Control, World, start, until};
use lychgate_gateway::{SpoolFull, SpoolSync};
use lychgate_link::LinkError;
use lychgate_types::Ambient;
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
async fn a_failed_delivery_is_repeated_with_the_same_id() {
    let world = World::new().await;
    world
        .control
        .fail_deliveries_of("a", LinkError::Unreachable("busy".into()));
    exchange(&world, "a").await;
    until(|| !world.control.batches().is_empty()).await;
    world.control.deliver_everything();
    let record = world.control.one_record().await;
    let batches = world.control.batches();
    let failures = world.metric("lychgate_spool_delivery_failures_total").await;
    assert_eq!(failures, (batches.len() - 1) as f64);
    assert!(
        batches.len() > 1 && batches.iter().all(|batch| *batch == [record.id]),
        "{batches:?}"
    );
    until(|| world.gateway.spool_depth() == 0).await;
}

#[tokio::test]
async fn a_record_that_is_rejected_is_set_aside() {
    let world = World::new().await;
    world.control.reject("bad");
    exchange(&world, "bad").await;
    exchange(&world, "good").await;
    assert_eq!(world.control.one_record().await.model, "good");
    until(|| world.gateway.spool_depth() == 0).await;
    for series in ["delivered_total", "rejected_total", "set_aside"] {
        assert_eq!(world.metric(&format!("lychgate_spool_{series}")).await, 1.0, "{series}");
    }
}

#[tokio::test]
async fn a_record_at_which_the_control_plane_fails_is_overtaken_and_set_aside() {
    let world = World::new().await;
    world.control.hold_deliveries();
    world.control.fail_deliveries_of(
        "poison",
        LinkError::Internal {
            request_id: String::new(),
        },
    );
    for model in ["a", "poison", "b", "c"] {
        exchange(&world, model).await;
    }
    world.control.release_deliveries();
    let mut models: Vec<_> = world
        .control
        .delivered(3)
        .await
        .iter()
        .map(|record| record.model.clone())
        .collect();
    models.sort();
    assert_eq!(models, ["a", "b", "c"]);
    // It is tried again while others overtake it, but not forever.
    let mut passed = 3;
    while world.gateway.spool_depth() > 0 {
        exchange(&world, "d").await;
        passed += 1;
        world.control.delivered(passed).await;
    }
    let mut heartbeats = world.control.heartbeats();
    heartbeats.wait_for(|heartbeat| heartbeat.set_aside == 1).await.unwrap();
    assert_eq!(world.metric("lychgate_spool_rejected_total").await, 1.0);
    assert_eq!(world.metric("lychgate_spool_delivered_total").await, passed as f64);
    assert_eq!(
        world.metric("lychgate_spool_oldest_record_timestamp_seconds").await,
        0.0
    );
}

#[tokio::test]
async fn what_one_process_could_not_deliver_the_next_one_does() {
    let world = World::new().await;
    world.control.hold_deliveries();
    exchange(&world, "a").await;
    exchange(&world, "b").await;
    // A killed process leaves what is in the directory.
    let left = tempfile::tempdir().unwrap();
    for entry in std::fs::read_dir(world.control.spool_directories().remove(0)).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            std::fs::copy(&path, left.path().join(path.file_name().unwrap())).unwrap();
        }
    }
    let control = Control::new();
    control.configure(world.control.providers());
    let (gateway, _) = start(
        &control,
        |options| options.spool.directory = left.path().to_owned(),
        Ambient::system(),
    )
    .await;
    let records = control.delivered(2).await;
    let models: Vec<_> = records.iter().map(|record| record.model.as_str()).collect();
    assert_eq!(models, ["a", "b"]);
    until(|| gateway.spool_depth() == 0).await;
}

#[tokio::test]
async fn with_a_sync_for_each_record_every_answer_still_ends_properly() {
    let world = World::with_options(|options| options.spool.sync = SpoolSync::Always).await;
    let answers = [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}", 2),
        ("HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n", 0),
        (
            "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
            2,
        ),
        (
            "HTTP/1.1 500 Oops\r\ncontent-length: 4\r\nconnection: close\r\n\r\noops",
            4,
        ),
    ];
    for (answer, length) in answers {
        let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
        world.provider.next().await.raw(answer.as_bytes()).await;
        let (_, body) = client.answer().await;
        assert_eq!(body.len(), length, "{answer}");
    }
    world.control.delivered(answers.len()).await;
}

#[tokio::test]
async fn if_the_operator_allows_it_requests_go_unrecorded() {
    let world = World::with_options(|options| {
        options.spool.max_bytes = 1;
        options.spool.when_full = SpoolFull::Unrecorded;
    })
    .await;
    world.control.hold_deliveries();
    for _ in 0..3 {
        exchange(&world, "m").await;
    }
    assert_eq!((world.gateway.spool_depth(), world.gateway.unrecorded()), (1, 2));
    assert_eq!(world.metric("lychgate_spool_unrecorded_total").await, 2.0);
    assert_eq!(world.metric("lychgate_spool_appended_total").await, 1.0);
    assert_eq!(world.metric("lychgate_spool_no_room{reason=\"full\"}").await, 1.0);
    assert_eq!(world.metric("lychgate_gateway_ready").await, 1.0);
    assert!(world.gateway.readiness().is_ok());
    world.control.release_deliveries();
    world.control.delivered(1).await;
}

#[tokio::test]
async fn draining_waits_for_streams_and_records_and_refuses_the_rest() {
    let world = World::new().await;
    world.control.hold_deliveries();
    let mut client = world.post("/ai/anthropic/v1/messages", br#"{"stream":true}"#).await;
    let mut stream = world.provider.next().await;
    stream.stream().await;
    let head = client.head().await;
    let gateway = world.gateway.clone();
    let draining = tokio::spawn(async move { gateway.drain(Duration::from_secs(60)).await });
    until(|| world.gateway.readiness().is_err()).await;
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
    world.control.release_deliveries();
    closing.await.unwrap();
    assert_eq!(world.control.records().len(), 1);
}
