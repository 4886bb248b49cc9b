//! `/api/v1/ai-gateway/replicas`

use crate::bench::{Attached, Bench, masked, problem, text};
use lychgate_link::{CloseReason, Heartbeat, Message};
use lychgate_testkit::both_engines;
use lychgate_testkit::wait::eventually;
use lychgate_types::secret::GatewayKeySecret;
use lychgate_types::{KeyRefusal, ReplicaId};
use serde_json::{Value, json};
use std::time::Duration;

const PATH: &str = "/ai-gateway/replicas";

async fn open(bench: &Bench, key: &GatewayKeySecret, id: ReplicaId) -> Attached {
    bench.attach_as(id, key).await
}

async fn list(bench: &Bench, query: &str) -> Vec<String> {
    let list = bench
        .get(&bench.owner, &format!("{PATH}{query}"))
        .await
        .expect(200)
        .value();
    let replicas = list["replicas"].as_array().unwrap();
    replicas.iter().map(|replica| text(&replica["id"])).collect()
}

async fn get(bench: &Bench, id: ReplicaId) -> Value {
    bench
        .get(&bench.owner, &format!("{PATH}/{id}"))
        .await
        .expect(200)
        .value()
}

async fn until(bench: &Bench, id: ReplicaId, state: &str) -> Value {
    eventually(state, || async {
        let shown = get(bench, id).await;
        (shown["state"] == state).then_some(shown)
    })
    .await
}

fn beat(spool_depth: u64, draining: bool) -> Heartbeat {
    Heartbeat {
        spool_depth,
        in_flight: 2,
        configuration_version: 1,
        draining,
        set_aside: 4,
        sent_at: None,
    }
}

both_engines! {
    async fn the_shape_of_a_replica(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        let id = bench.ambient.new_id();
        let replica = open(&bench, &key, id).await;
        db.clock().advance(Duration::from_secs(5));
        replica.heartbeats.send_replace(beat(3, false));
        let shown = eventually("the heartbeat", || async {
            let shown = get(&bench, id).await;
            (shown["spool_depth"] == 3).then_some(shown)
        })
        .await;
        assert_eq!(text(&shown["id"]), id.to_string());
        insta::assert_json_snapshot!(masked(&shown, &["/id", "/key/id", "/control_plane_id"]), @r#"
        {
          "address": "edge:4001",
          "clock_is_off": false,
          "clock_skew_ms": null,
          "configuration_version": 1,
          "connected_since": "2026-11-24T09:30:00.000000Z",
          "control_plane_id": "[…]",
          "id": "[…]",
          "in_flight": 2,
          "key": {
            "id": "[…]",
            "name": "edge"
          },
          "labels": {
            "region": "eu"
          },
          "last_heartbeat_at": "2026-11-24T09:30:05.000000Z",
          "name": "edge",
          "set_aside": 4,
          "spool_depth": 3,
          "state": "attached",
          "version": "0.0.0-test"
        }
        "#);
        let page = bench.get(&bench.owner, PATH).await.expect(200).value();
        assert_eq!(page, json!({"replicas": [shown], "next": null}));
    }

    async fn a_wrong_clock_is_shown(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        let id = bench.ambient.new_id();
        let replica = open(&bench, &key, id).await;
        let now = bench.ambient.now();
        let (second, longest) = (Duration::from_secs(1), "lychgate_replica_clock_skew_seconds");
        for (sent_at, skew_ms, is_off, seconds) in [
            (Some(now.plus(30 * second)), json!(30_000), false, 30.0),
            (Some(now.minus(31 * second)), json!(-31_000), true, 31.0),
            (None, Value::Null, false, 0.0),
            (Some(now), json!(0), false, 0.0),
        ] {
            replica.heartbeats.send_replace(Heartbeat { sent_at, ..beat(3, false) });
            let shown = eventually("the clock", || async {
                let shown = get(&bench, id).await;
                (shown["clock_skew_ms"] == skew_ms).then_some(shown)
            })
            .await;
            assert_eq!(shown["clock_is_off"], is_off);
            assert_eq!(bench.metric(longest).await, seconds);
        }
        // Nothing that a replica says is too much.
        for micros in [i64::MIN, i64::MAX] {
            let sent_at = Some(lychgate_types::Timestamp::from_micros(micros));
            replica.heartbeats.send_replace(Heartbeat { sent_at, ..beat(3, false) });
            eventually("the odd clock", || async {
                let shown = get(&bench, id).await;
                let seconds = shown["clock_skew_ms"].as_i64().unwrap() / 1000;
                (seconds.signum() == micros.signum() && shown["clock_is_off"] == true).then_some(())
            })
            .await;
        }
    }

    async fn what_a_deleted_key_leaves_behind_is_shown(db: TestDb) {
        let bench = Bench::start(db).await;
        let (key_id, key) = bench.key("edge").await;
        let [reports, silent] = [(); 2].map(|()| bench.ambient.new_id());
        let (mut reporting, mut quiet) = (open(&bench, &key, reports).await, open(&bench, &key, silent).await);
        for attached in [&reporting, &quiet] {
            attached.heartbeats.send_replace(beat(3, false));
        }
        for id in [reports, silent] {
            eventually("the heartbeat", || async { (get(&bench, id).await["spool_depth"] == 3).then_some(()) }).await;
        }
        bench.delete(&bench.owner, "/ai-gateway/keys/edge").await.expect(204);
        let closed = Message::Close(CloseReason::Refused(KeyRefusal::Revoked));
        for attached in [&mut reporting, &mut quiet] {
            assert_eq!(attached.message().await, closed);
        }
        // A replica reports once more when it is refused; without that, what it said before counts.
        reporting.heartbeats.send_replace(Heartbeat { in_flight: 5, ..beat(9, false) });
        for attached in [&mut reporting, &mut quiet] {
            assert!(attached.next().await.is_none());
        }
        for (id, in_flight, spool_depth) in [(reports, 5, 9), (silent, 2, 3)] {
            let shown = until(&bench, id, "detached").await;
            assert_eq!((&shown["in_flight"], &shown["spool_depth"]), (&json!(in_flight), &json!(spool_depth)));
        }
        assert_eq!(list(&bench, &format!("?key={key_id}")).await.len(), 2);
    }

    async fn who_goes_is_shown_as_gone(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        let [orderly, killed, moved, silent] = [(); 4].map(|()| bench.ambient.new_id());
        let mut attached = Vec::new();
        for id in [orderly, killed, moved, silent] {
            attached.push(open(&bench, &key, id).await);
        }
        for (at, replica) in attached.iter().enumerate() {
            replica.heartbeats.send_replace(beat(at as u64 + 1, at == 0));
        }
        for id in [orderly, killed, moved, silent] {
            eventually("the heartbeat", || async { (get(&bench, id).await["spool_depth"] != 0).then_some(()) }).await;
        }
        let mut attached = attached.into_iter();
        drop(attached.next());
        drop(attached.next());
        let again = open(&bench, &key, moved).await;
        assert_eq!(until(&bench, orderly, "detached").await["spool_depth"], 1);
        assert_eq!(until(&bench, killed, "lost").await["spool_depth"], 2);
        drop(attached.next());
        db.clock().advance(Duration::from_secs(31));
        again.heartbeats.send_replace(beat(7, false));
        assert_eq!(until(&bench, silent, "lost").await["spool_depth"], 4);
        eventually("the moved one is heard", || async {
            let shown = get(&bench, moved).await;
            (shown["state"] == "attached" && shown["spool_depth"] == 7).then_some(())
        })
        .await;
        let shown = bench.get(&bench.owner, "/ai-gateway/keys/edge").await.expect(200).value();
        assert_eq!((&shown["live_replicas"], shown["replicas"].as_array().unwrap().len()), (&json!(1), 3));
    }

    async fn the_list_is_narrowed_and_comes_in_pages(db: TestDb) {
        let bench = Bench::start(db).await;
        let ((one_id, one), (_, two)) = (bench.key("one").await, bench.key("two").await);
        let mut ids = Vec::new();
        let mut attached = Vec::new();
        for key in [&one, &two, &one, &two, &one] {
            db.clock().advance(Duration::from_secs(1));
            let id = bench.ambient.new_id();
            attached.push(open(&bench, key, id).await);
            ids.push(id);
        }
        let wanted = |which: &[usize]| which.iter().map(|at| ids[*at].to_string()).collect::<Vec<_>>();
        assert_eq!(list(&bench, "").await, wanted(&[0, 1, 2, 3, 4]));
        assert_eq!(list(&bench, "?key=two").await, wanted(&[1, 3]));
        assert_eq!(list(&bench, &format!("?key={one_id}&state=attached")).await, wanted(&[0, 2, 4]));
        assert_eq!(list(&bench, "?state=detached").await, [""; 0]);
        let nobody = bench.get(&bench.owner, &format!("{PATH}?key=nobody")).await;
        assert_eq!(problem(&nobody, 404, "filter_unmatched"), ["key"]);
        let (mut seen, mut after) = (Vec::new(), String::new());
        loop {
            let page = bench.get(&bench.owner, &format!("{PATH}?limit=2{after}")).await.expect(200).value();
            seen.extend(page["replicas"].as_array().unwrap().iter().map(|replica| text(&replica["id"])));
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
        assert_eq!(seen, wanted(&[0, 1, 2, 3, 4]));
        for (query, field) in [("?state=gone", "state"), ("?limit=0", "limit"), ("?after=x", "after"), ("?name=a", "name")] {
            let answer = bench.get(&bench.owner, &format!("{PATH}{query}")).await;
            assert_eq!(problem(&answer, 400, "invalid_request"), [field]);
        }
        problem(&bench.get(&bench.owner, &format!("{PATH}/edge")).await, 400, "invalid_id");
    }

    async fn a_drained_replica_is_notified_and_listed(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        let id = bench.ambient.new_id();
        let mut replica = open(&bench, &key, id).await;
        for _ in 0..2 {
            let drained = bench.post(&bench.owner, &format!("{PATH}/{id}/drain"), json!({})).await.expect(200).value();
            assert_eq!((text(&drained["id"]), &drained["state"]), (id.to_string(), &json!("draining")));
        }
        assert!(matches!(replica.message().await, Message::Drain));
        bench.provider("claude", "anthropic").await;
        assert!(matches!(replica.message().await, Message::Configuration { .. }), "it is told once, and stays attached");
        assert_eq!(list(&bench, "?state=draining").await, [id.to_string()]);
        let entries = bench.audit("resource_type=replica").await;
        let told: Vec<_> = entries.iter().map(|e| (text(&e["action"]), text(&e["target_id"]), text(&e["target_name"]))).collect();
        assert_eq!(told, vec![("drain".to_owned(), id.to_string(), "edge".to_owned()); 2]);

        // Killed while it still had something, it is lost like any other; with nothing left, it has done what it was told.
        replica.heartbeats.send_replace(beat(1, true));
        eventually("the heartbeat", || async { (get(&bench, id).await["spool_depth"] == 1).then_some(()) }).await;
        drop(replica);
        until(&bench, id, "lost").await;
        let mut replica = open(&bench, &key, id).await;
        assert!(matches!(replica.message().await, Message::Drain));
        replica.heartbeats.send_replace(Heartbeat { draining: true, ..Heartbeat::default() });
        eventually("the heartbeat", || async { (get(&bench, id).await["spool_depth"] == 0).then_some(()) }).await;
        drop(replica);
        until(&bench, id, "detached").await;
    }

    async fn a_replica_whose_key_is_deleted_is_detached_and_keeps_its_keys_name(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        let id = bench.ambient.new_id();
        let mut replica = open(&bench, &key, id).await;
        bench.delete(&bench.owner, "/ai-gateway/keys/edge").await.expect(204);
        assert!(matches!(replica.message().await, Message::Close(_)));
        drop(replica);
        assert_eq!(until(&bench, id, "detached").await["key"]["name"], "edge");
    }
}
