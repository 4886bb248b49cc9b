//! `/api/v1/ai-gateway/keys`

use crate::bench::{Bench, hash, masked, problem, text};
use crate::interceptions::{record, sent};
use lychgate_link::ControlLink;
use lychgate_testkit::both_engines;
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::secret::GatewayKeySecret;
use serde_json::json;
use std::time::Duration;

const PATH: &str = "/ai-gateway/keys";

async fn count(bench: &Bench) -> usize {
    bench.get(&bench.owner, PATH).await.expect(200).value()["keys"]
        .as_array()
        .unwrap()
        .len()
}

both_engines! {
    async fn the_shape_of_a_key(db: TestDb) {
        let bench = Bench::start(db).await;
        let body = json!({"name": "Edge-1", "description": "first rack", "expires_at": "2027-01-01T01:00:00+01:00"});
        let mut made = bench.post(&bench.owner, PATH, body).await.expect(201).value();
        let secret = made.as_object_mut().unwrap().remove("key").unwrap();
        let secret = GatewayKeySecret::parse(secret.as_str().unwrap()).unwrap();
        assert_eq!(made["key_prefix"], secret.prefix());
        insta::assert_json_snapshot!(masked(&made, &["/id", "/created_by/id", "/key_prefix"]), @r#"
        {
          "allowed_cidrs": null,
          "created_at": "2026-11-24T09:30:00.000000Z",
          "created_by": {
            "deleted": false,
            "id": "[…]",
            "username": "admin"
          },
          "description": "first rack",
          "expires_at": "2027-01-01T00:00:00.000000Z",
          "expires_soon": false,
          "id": "[…]",
          "key_prefix": "[…]",
          "last_used_at": null,
          "live_replicas": 0,
          "name": "edge-1",
          "previous_valid_until": null,
          "providers": null,
          "rotated_at": null,
          "state": "active"
        }
        "#);
        let page = bench.get(&bench.owner, PATH).await.expect(200);
        assert_eq!(page.value(), json!({"keys": [made], "next": null}));
        assert!(!page.text().contains(secret.expose()));
        made["replicas"] = json!([]);
        for name in ["edge-1", "EDGE-1", made["id"].as_str().unwrap()] {
            assert_eq!(bench.get(&bench.owner, &format!("{PATH}/{name}")).await.expect(200).value(), made);
        }
        let later = async |days: u64| {
            db.clock().advance(Duration::from_secs(days * 24 * 3600));
            let shown = bench.get(&bench.owner, &format!("{PATH}/edge-1")).await.expect(200).value();
            (text(&shown["state"]), shown["expires_soon"].as_bool().unwrap())
        };
        assert_eq!(later(23).await, ("active".to_owned(), false));
        assert_eq!(later(1).await, ("active".to_owned(), true));
        assert_eq!(later(14).await, ("expired".to_owned(), false));
    }

    async fn what_does_not_fit(db: TestDb) {
        let bench = Bench::start(db).await;
        for bad in ["", "-a", "a-", "a--b", "a_b", "a b", "a.b", "é", &"a".repeat(65)] {
            let answer = bench.post(&bench.owner, PATH, json!({"name": bad})).await;
            assert_eq!(problem(&answer, 400, "invalid_name"), ["name"]);
            assert!(text(&answer.value()["detail"]).contains("1 to 64 characters"));
        }
        for (body, field) in [
            (json!({"name": "a", "expires_at": "tomorrow"}), "expires_at"),
            (json!({"name": "a", "expires_at": 7}), "expires_at"),
            (json!({"name": "a", "description": "x".repeat(501)}), "description"),
            (json!({"name": "a", "description": "\u{1b}[31m"}), "description"),
            (json!({"name": "a", "key": "lgw_mine"}), "key"),
            (json!({"name": "a", "providers": []}), "providers"),
            (json!({"name": "a", "providers": vec!["p"; 101]}), "providers"),
            (json!({"name": "a", "providers": "p"}), "providers"),
            (json!({"name": "a", "allowed_cidrs": []}), "allowed_cidrs"),
            (json!({"name": "a", "allowed_cidrs": vec!["::"; 65]}), "allowed_cidrs"),
            (json!({"name": "a", "allowed_cidrs": ["here"]}), "allowed_cidrs[0]"),
        ] {
            let answer = bench.post(&bench.owner, PATH, body.clone()).await;
            assert_eq!(problem(&answer, 400, "invalid_request"), [field], "{body}");
        }
        for (body, field) in [
            (json!({"name": "a", "expires_at": "2026-11-24T09:30:00Z"}), "expires_at"),
            (json!({"name": "a", "allowed_cidrs": ["10.0.0.0/8", "10.0.0.1/8"]}), "allowed_cidrs[1]"),
        ] {
            let answer = bench.post(&bench.owner, PATH, body.clone()).await;
            assert_eq!(problem(&answer, 409, "value_refused"), [field], "{body}");
        }
        bench.provider("claude", "anthropic").await;
        let answer = bench.post(&bench.owner, PATH, json!({"name": "a", "providers": ["claude", "nobody"]})).await;
        assert_eq!(problem(&answer, 409, "no_such_provider"), ["providers[1]"]);
        let (_, member) = bench.user("mel", "member").await;
        for provider in ["claude", "nobody"] {
            let answer = bench.post(&member, PATH, json!({"name": "a", "providers": [provider]})).await;
            problem(&answer, 403, "forbidden");
        }
        assert_eq!(count(&bench).await, 0);
        bench.post(&bench.owner, PATH, json!({"name": "a".repeat(64), "description": "é".repeat(500)})).await.expect(201);
    }

    async fn a_name_is_taken_whatever_its_case_and_free_after_deletion(db: TestDb) {
        let bench = Bench::start(db).await;
        let (id, _) = bench.key("test-key").await;
        problem(&bench.post(&bench.owner, PATH, json!({"name": "TEST-KEY"})).await, 409, "name_taken");
        bench.delete(&bench.owner, &format!("{PATH}/Test-Key")).await.expect(204);
        for gone in ["test-key", &id] {
            problem(&bench.delete(&bench.owner, &format!("{PATH}/{gone}")).await, 404, "not_found");
            problem(&bench.get(&bench.owner, &format!("{PATH}/{gone}")).await, 404, "not_found");
        }
        bench.key("test-key").await;
    }

    async fn the_audit_log_has_it_without_the_secret(db: TestDb) {
        let bench = Bench::start(db).await;
        let (id, secret) = bench.key("edge").await;
        db.clock().advance(Duration::from_secs(1));
        let (_, auditor) = bench.user("aud", "auditor").await;
        problem(&bench.delete(&auditor, &format!("{PATH}/{id}")).await, 403, "forbidden");
        db.clock().advance(Duration::from_secs(1));
        let answer = bench.delete(&bench.owner, &format!("{PATH}/{id}")).await.expect(204);
        let entries = bench.audit("resource_type=ai_gateway_key").await;
        let told: Vec<_> = entries.iter().map(|e| format!("{} {} {}", text(&e["actor"]["name"]), text(&e["action"]), text(&e["outcome"]))).collect();
        assert_eq!(told, ["admin delete ok", "aud delete denied", "admin create ok"]);
        assert_eq!(entries[0]["request_id"], answer.header("x-request-id"));
        assert_eq!((&entries[0]["target_name"], &entries[0]["target_prefix"]), (&json!("edge"), &json!(secret.prefix())));
        assert!(!json!(entries).to_string().contains(secret.expose()));
    }

    async fn a_key_replaces_others_up_to_a_bound(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, token) = bench.user("ada", "member").await;
        let (_, unrelated) = bench.key("unrelated").await;
        let (_, first) = bench.key("edge").await;
        let (_, other) = bench.user("eve", "member").await;
        bench.link(&first).authorize(hash(&other)).await.unwrap();
        let (left_behind, too_far) = (record(db, &token), record(db, &other));
        let mut key = first;
        for number in 1..=10 {
            db.clock().advance(Duration::from_secs(1));
            bench.delete(&bench.owner, &format!("{PATH}/edge")).await.expect(204);
            // It may have the name of the deleted one, and replaces the last that had it.
            let made = bench.post(&bench.owner, PATH, json!({"name": "edge", "replaces": "edge"})).await.expect(201).value();
            key = GatewayKeySecret::parse(made["key"].as_str().unwrap()).unwrap();
            assert_eq!(bench.attach(&key).await.replaced, number.min(8));
            if number == 2 {
                bench.link(&key).authorize(hash(&token)).await.unwrap();
            }
        }
        let rejected = async |key: &GatewayKeySecret, record: &InterceptionRecord| {
            let receipt = bench.link(key).deliver(bench.ambient.new_id(), vec![sent(record)]).await.unwrap();
            receipt.rejected.len()
        };
        assert_eq!(rejected(&unrelated, &left_behind).await, 1, "it was told of no token");
        assert_eq!(rejected(&key, &left_behind).await, 0, "what the one eight keys before was told counts");
        assert_eq!(rejected(&key, &too_far).await, 1, "and no more than that: it can't open its spool either");
        assert_eq!(bench.attach(&unrelated).await.replaced, 0);

        // One that works can be replaced, too; what it is told from then on counts, too.
        let made = bench.post(&bench.owner, PATH, json!({"name": "next", "replaces": "unrelated"})).await.expect(201).value();
        let next = GatewayKeySecret::parse(made["key"].as_str().unwrap()).unwrap();
        bench.link(&unrelated).authorize(hash(&token)).await.unwrap();
        let late = record(db, &token);
        bench.delete(&bench.owner, &format!("{PATH}/unrelated")).await.expect(204);
        let receipt = bench.link(&next).deliver(bench.ambient.new_id(), vec![sent(&late)]).await.unwrap();
        assert!(receipt.rejected.is_empty(), "{receipt:?}");

        for nobody in ["none", "01920000-0000-7000-8000-000000000000"] {
            let refused = bench.post(&bench.owner, PATH, json!({"name": "other", "replaces": nobody})).await;
            problem(&refused, 409, "no_such_gateway_key");
        }
        assert_eq!(bench.get(&bench.owner, &format!("{PATH}/other")).await.status, 404, "nothing was made");
    }
}
