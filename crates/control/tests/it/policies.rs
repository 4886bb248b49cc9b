//! The member `policy` of a provider.

use crate::bench::{Bench, problem};
use lychgate_testkit::both_engines;
use lychgate_types::policy::ProviderPolicy;
use serde_json::{Value, json};

const PATH: &str = "/ai-gateway/providers";

/// The default policy, with this laid over it, group by group.
#[expect(clippy::needless_pass_by_value, reason = "so that callers can write json! in place")]
fn with(changes: Value) -> Value {
    let mut policy = serde_json::to_value(ProviderPolicy::default()).unwrap();
    for (name, value) in changes.as_object().unwrap() {
        match value.as_object() {
            Some(group) => group
                .iter()
                .for_each(|(field, value)| policy[name][field] = value.clone()),
            None => policy[name] = value.clone(),
        }
    }
    policy
}

both_engines! {
    async fn settings_are_changed_one_by_one(db: TestDb) {
        let bench = Bench::start(db).await;
        let body = json!({"name": "a", "type": "anthropic", "policy": {"retry": {"max_attempts": 1}, "http2": true}});
        let made = bench.post(&bench.owner, PATH, body).await.expect(201).value();
        assert_eq!(made["policy"], with(json!({"retry": {"max_attempts": 1}, "http2": true})));
        let path = format!("{PATH}/a");
        for (change, result) in [
            (json!({"retry": {"budget_percent": 0}}), json!({"retry": {"max_attempts": 1, "budget_percent": 0}, "http2": true})),
            (json!({"retry": {"max_attempts": 10}, "http2": false}), json!({"retry": {"max_attempts": 10, "budget_percent": 0}})),
            (json!({"retry": {}, "breaker": {"failures": 0}}), json!({"retry": {"max_attempts": 10, "budget_percent": 0}, "breaker": {"failures": 0}})),
            (json!(null), json!({"retry": {"max_attempts": 10, "budget_percent": 0}, "breaker": {"failures": 0}})),
        ] {
            let changed = bench.patch(&bench.owner, &path, json!({"policy": change})).await.expect(200).value();
            assert_eq!(changed["policy"], with(result), "{change}");
            assert_eq!(bench.get(&bench.owner, &path).await.expect(200).value(), changed);
        }
    }

    async fn what_is_out_of_bounds_is_named_and_changes_nothing(db: TestDb) {
        let bench = Bench::start(db).await;
        bench.provider("a", "anthropic").await;
        for (policy, fields) in [
            (json!({"retry": {"max_attempts": 0}}), vec!["policy.retry.max_attempts"]),
            (json!({"retry": {"max_attempts": 11}, "key_cooldown_seconds": 0}), vec!["policy.retry.max_attempts", "policy.key_cooldown_seconds"]),
            (json!({"timeouts": {"idle_ms": 0}, "breaker": {"open_seconds": 3601}}), vec!["policy.timeouts.idle_ms", "policy.breaker.open_seconds"]),
            (json!({"retry": {"max_attempts": -1}}), vec!["policy.retry.max_attempts"]),
            (json!({"retry": {"max_attempts": "3"}}), vec!["policy.retry.max_attempts"]),
            (json!({"retry": {"attempts": 3}}), vec!["policy.retry.attempts"]),
            (json!({"retry": 3}), vec!["policy.retry"]),
            (json!({"retries": {}}), vec!["policy.retries"]),
            (json!({"http2": 1}), vec!["policy.http2"]),
        ] {
            let patch = json!({"enabled": false, "policy": policy});
            let answer = bench.patch(&bench.owner, &format!("{PATH}/a"), patch).await;
            assert_eq!(problem(&answer, 400, "invalid_request"), fields, "{policy}");
            let body = json!({"name": "b", "type": "anthropic", "policy": policy});
            assert_eq!(problem(&bench.post(&bench.owner, PATH, body).await, 400, "invalid_request"), fields, "{policy}");
        }
        let answer = bench.patch(&bench.owner, &format!("{PATH}/a"), json!({"policy": {"retry": {"max_attempts": 0}}})).await;
        assert_eq!(answer.value()["validations"][0]["detail"], "must be a whole number from 1 to 10");
        let shown = bench.get(&bench.owner, PATH).await.expect(200).value();
        assert_eq!(shown["providers"].as_array().unwrap().len(), 1);
        assert_eq!((&shown["providers"][0]["enabled"], &shown["providers"][0]["policy"]), (&json!(true), &with(json!({}))));
    }

    async fn replicas_have_a_new_policy_before_the_answer(db: TestDb) {
        let bench = Bench::start(db).await;
        bench.provider("a", "anthropic").await;
        let (_, key) = bench.key("edge").await;
        let mut replica = bench.attach(&key).await;
        let patch = json!({"policy": {"retry": {"max_attempts": 5}, "timeouts": {"headers_ms": 1000}}});
        bench.patch(&bench.owner, &format!("{PATH}/a"), patch).await.expect(200);
        let configuration = replica.configuration().await;
        let mut expected = ProviderPolicy::default();
        (expected.retry.max_attempts, expected.timeouts.headers_ms) = (5, 1000);
        assert_eq!(configuration.providers[0].policy, expected);
    }
}
