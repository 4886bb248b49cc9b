//! `POST /api/v1/ai-gateway/keys/{key}/rotate`

use crate::bench::{Bench, problem, text};
use http::Method;
use lychgate_testkit::both_engines;
use lychgate_testkit::http::Answer;
use lychgate_types::secret::GatewayKeySecret;
use serde_json::{Value, json};
use std::time::Duration;

const EDGE: &str = "/ai-gateway/keys/edge";
const ROTATE: &str = "/ai-gateway/keys/edge/rotate";

async fn rotate(bench: &Bench, body: Value) -> Answer {
    bench.post(&bench.owner, ROTATE, body).await
}

both_engines! {
    async fn a_rotated_key_shows_its_new_secret_once_and_until_when_the_old_one_works(db: TestDb) {
        let bench = Bench::start(db).await;
        let (id, first) = bench.key("edge").await;
        db.clock().advance(Duration::from_secs(1));
        let answer = bench.call(Method::POST, ROTATE).bearer(&bench.owner).send().await.expect(200);
        let mut rotated = answer.value();
        let second = rotated.as_object_mut().unwrap().remove("key").unwrap();
        let second = GatewayKeySecret::parse(second.as_str().unwrap()).unwrap();
        assert!(second.expose() != first.expose());
        assert_eq!((&rotated["id"], text(&rotated["key_prefix"])), (&json!(id), second.prefix().to_owned()));
        assert_eq!(rotated["rotated_at"], "2026-11-24T09:30:01.000000Z");
        assert_eq!(rotated["previous_valid_until"], "2026-11-25T09:30:01.000000Z", "a day where nothing is said");
        let page = bench.get(&bench.owner, "/ai-gateway/keys").await.expect(200);
        assert_eq!(page.value()["keys"], json!([rotated]));
        assert!(!page.text().contains(second.expose()));
        db.clock().advance(Duration::from_secs(24 * 3600));
        let shown = bench.get(&bench.owner, EDGE).await.expect(200).value();
        assert_eq!((&shown["rotated_at"], &shown["previous_valid_until"]), (&rotated["rotated_at"], &json!(null)));

        let entries = bench.audit("resource_type=ai_gateway_key&action=rotate").await;
        assert_eq!(entries.len(), 1);
        assert_eq!((&entries[0]["target_id"], &entries[0]["target_name"]), (&json!(id), &json!("edge")));
        assert_eq!((&entries[0]["target_prefix"], &entries[0]["request_id"]), (&rotated["key_prefix"], &json!(answer.header("x-request-id"))));
        assert!(text(&entries[0]["detail"]).contains("2026-11-25T09:30:01"), "{entries:?}");
        assert!(!json!(entries).to_string().contains(second.expose()));
    }

    async fn while_a_grace_runs_only_force_rotates(db: TestDb) {
        let bench = Bench::start(db).await;
        bench.key("edge").await;
        rotate(&bench, json!({"grace_seconds": 60})).await.expect(200);
        let before = bench.get(&bench.owner, EDGE).await.expect(200).value();
        let refused = rotate(&bench, json!({"grace_seconds": 0})).await;
        problem(&refused, 409, "rotation_in_grace");
        assert!(text(&refused.value()["detail"]).contains("2026-11-24T09:31:00"), "{}", refused.text());
        problem(&rotate(&bench, json!({"force": false})).await, 409, "rotation_in_grace");
        assert_eq!(bench.get(&bench.owner, EDGE).await.expect(200).value(), before);
        let forced = rotate(&bench, json!({"force": true, "grace_seconds": 0})).await.expect(200).value();
        assert_eq!(forced["previous_valid_until"], json!(null));
        rotate(&bench, json!({"grace_seconds": 60})).await.expect(200);
        db.clock().advance(Duration::from_secs(60));
        rotate(&bench, json!({"grace_seconds": 2_592_000})).await.expect(200);
    }

    async fn what_does_not_fit(db: TestDb) {
        let bench = Bench::start(db).await;
        bench.key("edge").await;
        for (body, field) in [
            (json!({"grace_seconds": 2_592_001}), "grace_seconds"),
            (json!({"grace_seconds": -1}), "grace_seconds"),
            (json!({"grace_seconds": "1h"}), "grace_seconds"),
            (json!({"grace": 1}), "grace"),
            (json!({"force": 1}), "force"),
        ] {
            assert_eq!(problem(&rotate(&bench, body.clone()).await, 400, "invalid_request"), [field], "{body}");
        }
        problem(&bench.post(&bench.owner, "/ai-gateway/keys/nobody/rotate", json!({})).await, 404, "not_found");
        let (_, auditor) = bench.user("aud", "auditor").await;
        problem(&bench.post(&auditor, ROTATE, json!({})).await, 403, "forbidden");
        let (_, member) = bench.user("mel", "member").await;
        problem(&bench.post(&member, ROTATE, json!({})).await, 404, "not_found");
        let shown = bench.get(&bench.owner, EDGE).await.expect(200).value();
        assert_eq!(shown["rotated_at"], json!(null));
    }
}
