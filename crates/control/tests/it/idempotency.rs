//! `Idempotency-Key`, the same for every endpoint whose answer shows a secret once.

use crate::bench::{Bench, problem, text};
use http::Method;
use lychgate_testkit::both_engines;
use lychgate_testkit::http::{Answer, Call};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::time::Duration;

/// One of the endpoints, and two requests to it that differ.
struct Endpoint {
    path: &'static str,
    status: u16,
    request: Value,
    other: Value,
    /// The member of the answer that holds the secret.
    secret: &'static str,
}

fn endpoints() -> [Endpoint; 3] {
    [
        Endpoint {
            path: "/ai-gateway/keys",
            status: 201,
            request: json!({"name": "new", "description": "d"}),
            other: json!({"name": "newer", "description": "d"}),
            secret: "key",
        },
        Endpoint {
            path: "/ai-gateway/keys/edge/rotate",
            status: 200,
            request: json!({"force": true, "grace_seconds": 60}),
            other: json!({"force": true, "grace_seconds": 61}),
            secret: "key",
        },
        Endpoint {
            path: "/tokens",
            status: 201,
            request: json!({"name": "laptop", "lifetime_seconds": 60}),
            other: json!({"name": "laptop", "lifetime_seconds": 61}),
            secret: "token",
        },
    ]
}

impl Endpoint {
    fn call(&self, bench: &Bench, token: &str, key: &str, body: &Value) -> Call {
        let call = bench.call(Method::POST, self.path).bearer(token);
        call.header("idempotency-key", key).json(body)
    }

    async fn send(&self, bench: &Bench, token: &str, key: &str, body: &Value) -> Answer {
        self.call(bench, token, key, body).send().await
    }

    fn secret(&self, answer: &Answer) -> String {
        text(&answer.value()[self.secret])
    }
}

/// With a gateway key to rotate.
async fn start(db: &lychgate_testkit::db::TestDb) -> Bench {
    let bench = Bench::start(db).await;
    bench.key("edge").await;
    bench
}

/// How many creations and rotations the audit log has with this outcome. Every change is there.
async fn count(bench: &Bench, outcome: &str) -> usize {
    let entries = bench.audit("").await;
    let counted = |entry: &&Value| {
        entry["outcome"] == outcome && ["create", "rotate"].contains(&entry["action"].as_str().unwrap())
    };
    entries.iter().filter(counted).count()
}

async fn changes(bench: &Bench) -> usize {
    count(bench, "ok").await
}

both_engines! {
    async fn the_same_request_gets_the_same_answer_and_changes_nothing(db: TestDb) {
        let bench = start(db).await;
        let mut secrets = HashSet::new();
        // One idempotency key for all: each operation has its own.
        for endpoint in endpoints() {
            let before = changes(&bench).await;
            let first = endpoint.send(&bench, &bench.owner, "k", &endpoint.request).await.expect(endpoint.status);
            assert_eq!(changes(&bench).await, before + 1);
            assert!(secrets.insert(endpoint.secret(&first)));
            db.clock().advance(Duration::from_secs(3599));
            let again = endpoint.send(&bench, &bench.owner, "k", &endpoint.request).await.expect(endpoint.status);
            assert_eq!((again.text(), again.header("content-type")), (first.text(), first.header("content-type")));
            assert_eq!(changes(&bench).await, before + 1);
        }
    }

    async fn the_order_of_fields_does_not_matter(db: TestDb) {
        let bench = start(db).await;
        let [create, ..] = endpoints();
        let first = create.send(&bench, &bench.owner, "k", &create.request).await.expect(201);
        let again = create.call(&bench, &bench.owner, "k", &json!(null)).text(r#"{ "description": "d", "name": "new" }"#);
        assert_eq!(again.send().await.expect(201).text(), first.text());
    }

    async fn what_is_gone_is_not_shown_again(db: TestDb) {
        let bench = start(db).await;
        let [create, _, token] = endpoints();
        for (endpoint, path) in [(&create, "/ai-gateway/keys"), (&token, "/tokens")] {
            let first = endpoint.send(&bench, &bench.owner, "k", &endpoint.request).await.expect(endpoint.status);
            let id = text(&first.value()["id"]);
            bench.delete(&bench.owner, &format!("{path}/{id}")).await.expect(204);
            let anew = endpoint.send(&bench, &bench.owner, "k", &endpoint.request).await.expect(endpoint.status);
            assert_ne!(endpoint.secret(&anew), endpoint.secret(&first));
        }
    }

    async fn another_request_under_the_key_is_refused(db: TestDb) {
        let bench = start(db).await;
        let narrow = bench.token("admin", &["*"]).await;
        for endpoint in endpoints() {
            endpoint.send(&bench, &bench.owner, "k", &endpoint.request).await.expect(endpoint.status);
            let before = changes(&bench).await;
            let other = endpoint.send(&bench, &bench.owner, "k", &endpoint.other).await;
            problem(&other, 409, "idempotency_key_reused");
            let token = endpoint.send(&bench, &narrow, "k", &endpoint.request).await;
            problem(&token, 409, "idempotency_key_reused");
            assert_eq!(changes(&bench).await, before, "{}", endpoint.path);
        }
        bench.key("other").await;
        let rotate = Endpoint { path: "/ai-gateway/keys/other/rotate", ..endpoints().into_iter().nth(1).unwrap() };
        let other = rotate.send(&bench, &bench.owner, "k", &rotate.request).await;
        problem(&other, 409, "idempotency_key_reused");
    }

    async fn another_user_or_key_is_another_request(db: TestDb) {
        let bench = start(db).await;
        let (_, second) = bench.user("second", "owner").await;
        let [create, rotate, token] = endpoints();
        for endpoint in [&create, &rotate, &token] {
            endpoint.send(&bench, &bench.owner, "k", &endpoint.request).await.expect(endpoint.status);
        }
        for (caller, key) in [(&second, "k"), (&bench.owner, "K")] {
            problem(&create.send(&bench, caller, key, &create.request).await, 409, "name_taken");
            let mut secrets = HashSet::new();
            for endpoint in [&rotate, &token] {
                let first = endpoint.send(&bench, &bench.owner, "k", &endpoint.request).await;
                let another = endpoint.send(&bench, caller, key, &endpoint.request).await.expect(endpoint.status);
                assert!(secrets.insert(endpoint.secret(&first)) && secrets.insert(endpoint.secret(&another)));
            }
        }
    }

    async fn at_the_same_moment_only_one_wins(db: TestDb) {
        let bench = start(db).await;
        let [create, rotate, token] = endpoints();
        let gently = Endpoint { request: json!({}), ..endpoints().into_iter().nth(1).unwrap() };
        for (key, endpoint) in [("k", &create), ("k", &gently), ("forced", &rotate), ("k", &token)] {
            let before = changes(&bench).await;
            let all = (0..8).map(|_| endpoint.send(&bench, &bench.owner, key, &endpoint.request));
            let answers = futures_util::future::join_all(all).await;
            let answers: HashSet<_> = answers.into_iter().map(|answer| answer.expect(endpoint.status).text()).collect();
            assert_eq!((answers.len(), changes(&bench).await), (1, before + 1), "{}", endpoint.path);
        }
        assert_eq!(count(&bench, "denied").await, 0, "those that lost were not refused");
    }

    async fn a_rotation_whose_answer_was_lost_is_not_made_twice(db: TestDb) {
        let bench = start(db).await;
        let [_, rotate, _] = endpoints();
        for request in [&rotate.request, &json!({})] {
            db.clock().advance(Duration::from_secs(3600));
            let lost = rotate.call(&bench, &bench.owner, "k", request).open().await;
            assert_eq!(lost.status, 200);
            lost.leave().await;
            let rotated = bench.get(&bench.owner, "/ai-gateway/keys/edge").await.expect(200).value();
            let before = changes(&bench).await;
            let again = rotate.send(&bench, &bench.owner, "k", request).await.expect(200);
            assert_eq!(changes(&bench).await, before);
            assert!(rotate.secret(&again).starts_with(&text(&rotated["key_prefix"])), "the present secret");
            assert_eq!(again.value()["previous_valid_until"], rotated["previous_valid_until"]);
            let replica = lychgate_types::secret::GatewayKeySecret::parse(&rotate.secret(&again)).unwrap();
            bench.attach(&replica).await;
        }
    }

    async fn what_failed_is_not_remembered(db: TestDb) {
        let bench = start(db).await;
        let [create, rotate, token] = endpoints();
        bench.key("new").await;
        problem(&create.send(&bench, &bench.owner, "k", &create.request).await, 409, "name_taken");
        bench.delete(&bench.owner, "/ai-gateway/keys/new").await.expect(204);
        create.send(&bench, &bench.owner, "k", &create.request).await.expect(201);

        rotate.send(&bench, &bench.owner, "first", &rotate.request).await.expect(200);
        problem(&rotate.send(&bench, &bench.owner, "k", &json!({})).await, 409, "rotation_in_grace");
        db.clock().advance(Duration::from_secs(60));
        rotate.send(&bench, &bench.owner, "k", &json!({})).await.expect(200);

        let theirs = json!({"name": "laptop", "user": "mel"});
        problem(&token.send(&bench, &bench.owner, "k", &theirs).await, 404, "not_found");
        bench.user("mel", "member").await;
        token.send(&bench, &bench.owner, "k", &theirs).await.expect(201);
    }

    async fn after_an_hour_the_key_is_free_again(db: TestDb) {
        let bench = start(db).await;
        for endpoint in endpoints() {
            let first = endpoint.send(&bench, &bench.owner, "k", &endpoint.request).await.expect(endpoint.status);
            db.clock().advance(Duration::from_secs(3600));
            let other = endpoint.send(&bench, &bench.owner, "k", &endpoint.other).await.expect(endpoint.status);
            assert!(endpoint.secret(&other) != endpoint.secret(&first));
        }
    }

    async fn who_may_not_do_it_sees_no_answer_and_is_in_the_audit_log(db: TestDb) {
        let bench = start(db).await;
        let narrow = bench.token("admin", &["user:read"]).await;
        for (at, endpoint) in endpoints().iter().enumerate() {
            endpoint.send(&bench, &bench.owner, "k", &endpoint.request).await.expect(endpoint.status);
            problem(&endpoint.send(&bench, &narrow, "k", &endpoint.request).await, 403, "scope_missing");
            assert_eq!(count(&bench, "denied").await, at + 1);
        }
    }

    async fn a_key_that_is_not_one(db: TestDb) {
        let bench = start(db).await;
        let before = changes(&bench).await;
        for endpoint in endpoints() {
            for bad in ["", "a b", &"x".repeat(256)] {
                let answer = endpoint.send(&bench, &bench.owner, bad, &endpoint.request).await;
                assert_eq!(problem(&answer, 400, "invalid_request"), ["Idempotency-Key"]);
            }
        }
        assert_eq!(changes(&bench).await, before);
    }
}
