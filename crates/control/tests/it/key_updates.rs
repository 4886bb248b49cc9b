//! `PATCH /api/v1/ai-gateway/keys/{key}`

use crate::bench::{Bench, problem, text};
use lychgate_testkit::both_engines;
use serde_json::{Value, json};

const PATH: &str = "/ai-gateway/keys";
const EDGE: &str = "/ai-gateway/keys/edge";

async fn update(bench: &Bench, patch: Value) -> Value {
    bench.patch(&bench.owner, EDGE, patch).await.expect(200).value()
}

both_engines! {
    async fn what_is_named_changes_and_null_takes_away(db: TestDb) {
        let bench = Bench::start(db).await;
        let (claude, gpt) = (bench.provider("claude", "anthropic").await, bench.provider("gpt", "openai").await);
        let body = json!({"name": "edge", "description": "rack", "expires_at": "2026-12-01T00:00:00Z",
            "providers": ["GPT"], "allowed_cidrs": ["10.0.0.0/8", "::ffff:192.0.2.7", "192.0.2.7"]});
        let mut shown = bench.post(&bench.owner, PATH, body).await.expect(201).value();
        shown.as_object_mut().unwrap().remove("key").unwrap();
        assert_eq!(shown["providers"], json!([{"id": gpt, "name": "gpt"}]));
        assert_eq!(shown["allowed_cidrs"], json!(["10.0.0.0/8", "192.0.2.7/32"]));
        assert_eq!((&shown["expires_soon"], &shown["state"]), (&json!(true), &json!("active")));
        assert_eq!(update(&bench, json!({})).await, shown);
        for (patch, change) in [
            (json!({"description": null}), json!({"description": null})),
            (json!({"expires_at": "2027-01-01T00:00:00Z"}), json!({"expires_at": "2027-01-01T00:00:00.000000Z", "expires_soon": false})),
            (json!({"disabled": true}), json!({"state": "disabled"})),
            (json!({"disabled": null}), json!({})),
            (json!({"disabled": false, "expires_at": null}), json!({"state": "active", "expires_at": null})),
            (json!({"providers": [claude, "gpt", "Claude"]}), json!({"providers": [{"id": claude, "name": "claude"}, {"id": gpt, "name": "gpt"}]})),
            (json!({"providers": null}), json!({"providers": null})),
            (json!({"allowed_cidrs": ["2001:db8::/32"]}), json!({"allowed_cidrs": ["2001:db8::/32"]})),
            (json!({"allowed_cidrs": null, "description": "cellar"}), json!({"allowed_cidrs": null, "description": "cellar"})),
        ] {
            shown.as_object_mut().unwrap().extend(change.as_object().unwrap().clone());
            assert_eq!(update(&bench, patch.clone()).await, shown, "{patch}");
        }
        let entries = bench.audit("resource_type=ai_gateway_key&action=update").await;
        assert_eq!(entries.len(), 10);
        for entry in &entries {
            assert_eq!((&entry["target_name"], &entry["target_prefix"], &entry["outcome"]), (&json!("edge"), &shown["key_prefix"], &json!("ok")));
        }
    }

    async fn what_does_not_fit(db: TestDb) {
        let bench = Bench::start(db).await;
        bench.key("edge").await;
        let before = bench.get(&bench.owner, EDGE).await.expect(200).value();
        for (patch, field) in [
            (json!({"expires_at": "tomorrow"}), "expires_at"),
            (json!({"description": "x".repeat(501)}), "description"),
            (json!({"providers": []}), "providers"),
            (json!({"allowed_cidrs": []}), "allowed_cidrs"),
            (json!({"allowed_cidrs": "10.0.0.0/8"}), "allowed_cidrs"),
            (json!({"disabled": "yes"}), "disabled"),
            (json!({"name": "other"}), "name"),
        ] {
            let answer = bench.patch(&bench.owner, EDGE, patch.clone()).await;
            assert_eq!(problem(&answer, 400, "invalid_request"), [field], "{patch}");
        }
        for (patch, field) in [
            (json!({"expires_at": "2026-11-24T09:30:00Z"}), "expires_at"),
            (json!({"allowed_cidrs": ["10.0.0.1/8"]}), "allowed_cidrs[0]"),
        ] {
            let answer = bench.patch(&bench.owner, EDGE, patch.clone()).await;
            assert_eq!(problem(&answer, 409, "value_refused"), [field], "{patch}");
        }
        let answer = bench.patch(&bench.owner, EDGE, json!({"disabled": true, "providers": ["nobody"]})).await;
        assert_eq!(problem(&answer, 409, "no_such_provider"), ["providers[0]"]);
        let unclear = bench.patch(&bench.owner, EDGE, json!({"allowed_cidrs": ["10.0.0.1/8"]})).await.value();
        assert!(text(&unclear["validations"][0]["detail"]).contains("10.0.0.0/8"), "{unclear}");
        assert_eq!(bench.get(&bench.owner, EDGE).await.expect(200).value(), before);
        problem(&bench.patch(&bench.owner, "/ai-gateway/keys/nobody", json!({"disabled": true})).await, 404, "not_found");
        let (_, auditor) = bench.user("aud", "auditor").await;
        problem(&bench.patch(&auditor, EDGE, json!({"disabled": true})).await, 403, "forbidden");
        let (_, member) = bench.user("mel", "member").await;
        problem(&bench.patch(&member, EDGE, json!({"providers": ["nobody"]})).await, 404, "not_found");
        assert_eq!(bench.audit("resource_type=ai_gateway_key&action=update").await.len(), 2, "the refusals");
    }

    async fn a_deleted_provider_is_in_no_list_and_its_key_does_not_come_to_serve_all(db: TestDb) {
        let bench = Bench::start(db).await;
        bench.provider("claude", "anthropic").await;
        bench.post(&bench.owner, PATH, json!({"name": "edge", "providers": ["claude"]})).await.expect(201);
        bench.delete(&bench.owner, "/ai-gateway/providers/claude").await.expect(204);
        assert_eq!(bench.get(&bench.owner, EDGE).await.expect(200).value()["providers"], json!([]));
    }
}
