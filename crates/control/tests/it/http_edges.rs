//! What holds for every endpoint: tokens, methods, paths, bodies, headers.

use crate::bench::{Bench, problem, text};
use http::Method;
use lychgate_testkit::both_engines;
use lychgate_testkit::http::get;
use lychgate_types::secret::{GatewayKeySecret, UserTokenSecret};
use serde_json::json;
use std::time::Duration;

both_engines! {
    async fn a_token_that_lets_nobody_in(db: TestDb) {
        let bench = Bench::start(db).await;
        let whoami = |token: String| bench.call(Method::GET, "/whoami").bearer(&token).send();
        let unknown = UserTokenSecret::generate(&bench.ambient).expose().to_owned();
        problem(&whoami(unknown.clone()).await, 401, "token_unknown");
        let gateway_key = GatewayKeySecret::generate(&bench.ambient).expose().to_owned();
        for malformed in [&unknown[..45], "x", "", &gateway_key, &format!("{unknown}x"), &unknown.replace("lgu_", "lgx_")] {
            let answer = whoami(malformed.to_owned()).await;
            problem(&answer, 401, "token_malformed");
            assert!(malformed.len() < 10 || !answer.text().contains(malformed), "{}", answer.text());
        }
        let basic = bench.call(Method::GET, "/whoami").header("authorization", "Basic YTpi").send().await;
        problem(&basic, 401, "token_malformed");

        let (user, token) = bench.user("ada", "member").await;
        whoami(token.clone()).await.expect(200);
        bench.post(&bench.owner, &format!("/users/{user}/suspend"), json!({})).await.expect(200);
        problem(&whoami(token.clone()).await, 401, "user_suspended");
        bench.post(&bench.owner, "/users/ada/activate", json!({})).await.expect(200);
        whoami(token.clone()).await.expect(200);

        db.clock().advance(Duration::from_secs(90 * 24 * 60 * 60 + 1));
        problem(&whoami(token).await, 401, "token_expired");
    }

    async fn paths_methods_and_headers(db: TestDb) {
        let bench = Bench::start(db).await;
        for path in ["/", "/api", "/api/v1", "/api/v1/", "/api/v1/nothing", "/api/v1/users/a/b/c", "/favicon.ico"] {
            let answer = get(format!("{}{path}", bench.url)).bearer(&bench.owner).send().await;
            problem(&answer, 404, "unknown_path");
        }
        let answer = bench.call(Method::PUT, "/users").bearer(&bench.owner).send().await;
        problem(&answer, 405, "method_not_allowed");
        let mut allowed: Vec<_> = answer.header("allow").split(',').map(str::trim).collect();
        allowed.sort_unstable();
        assert_eq!(allowed, ["GET", "HEAD", "POST"]);

        let answer = bench.call(Method::GET, "/whoami").bearer(&bench.owner).header("x-request-id", "mine").send().await;
        let request_id = uuid::Uuid::try_parse(answer.header("x-request-id")).unwrap();
        assert_eq!(request_id.get_version_num(), 7);
        let shown = ["cache-control", "x-content-type-options", "x-frame-options", "content-security-policy"];
        assert!(shown.iter().all(|name| !answer.header(name).is_empty()));
        assert_eq!(answer.header("access-control-allow-origin"), "");

        let document = get(format!("{}/api/v1/openapi.json", bench.url)).send().await.expect(200);
        assert_eq!(document.text(), lychgate_control::openapi());
    }

    async fn bodies_that_do_not_fit(db: TestDb) {
        let bench = Bench::start(db).await;
        let post = |body: &str| bench.call(Method::POST, "/users").bearer(&bench.owner).text(body).send();
        let good = r#"{"username": "ada", "role": "member"}"#;

        let plain = bench.call(Method::POST, "/users").bearer(&bench.owner).header("content-type", "text/plain");
        problem(&plain.send().await, 415, "unsupported_media_type");
        let none = bench.call(Method::POST, "/users").bearer(&bench.owner).send().await;
        problem(&none, 415, "unsupported_media_type");
        problem(&post(&format!("{}{good}", " ".repeat(1 << 20))).await, 413, "body_too_large");
        for malformed in ["", "{", "nonsense", "{\"username\": \"ada\",}", &format!("{good} {{}}"), "\u{feff}{}"] {
            assert_eq!(problem(&post(malformed).await, 400, "malformed_json"), [""], "{malformed:?}");
        }
        for (body, field) in [
            (r#"{"username": "ada", "role": "member", "admin": true}"#, "admin"),
            (r#"{"username": "ada"}"#, "role"),
            (r#"{"username": "ada", "role": "member", "role": "owner"}"#, "role"),
            (r#"{"username": 7, "role": "member"}"#, "username"),
            (r#"{"username": "ada", "role": null}"#, "role"),
            (r#"{"username": "ada", "role": "king"}"#, "role"),
            ("[]", ""), ("null", ""), ("\"text\"", ""),
        ] {
            assert_eq!(problem(&post(body).await, 400, "invalid_request"), [field], "{body}");
        }
        let users = bench.get(&bench.owner, "/users").await.expect(200).value();
        assert_eq!(users["users"].as_array().unwrap().len(), 1, "nothing was written: {users}");
    }

    async fn a_secret_in_the_wrong_place_is_not_repeated(db: TestDb) {
        let bench = Bench::start(db).await;
        let secret = "sk-canary-0123456789";
        for body in [
            json!({"name": "a", "type": "anthropic", "keys": secret}),
            json!({"name": "a", "type": secret, "keys": []}),
            json!({"name": secret.to_owned() + " ", "type": "anthropic", "keys": [secret.to_owned() + "\n"]}),
            json!({"name": "a", "type": "anthropic", "keys": [{"key": secret}]}),
            json!({"name": "a", "type": "anthropic", "enabled": secret}),
            json!({"name": "a", "type": "anthropic", "base_url": format!("https://{secret}@h")}),
        ] {
            let answer = bench.post(&bench.owner, "/ai-gateway/providers", body).await.expect(400);
            assert!(!answer.text().contains("canary"), "{}", answer.text());
        }
    }

    async fn queries_that_do_not_fit(db: TestDb) {
        let bench = Bench::start(db).await;
        let lists = ["/users", "/tokens", "/ai-gateway/keys", "/ai-gateway/providers", "/ai-gateway/interceptions", "/audit-entries"];
        for list in lists {
            for (query, field) in [
                ("limit=0", "limit"), ("limit=201", "limit"), ("limit=x", "limit"), ("limit=", "limit"), ("limit=-1", "limit"),
                ("limit=1&limit=2", "limit"), ("after=x", "after"), ("after=", "after"), ("offset=5", "offset"),
            ] {
                let answer = bench.get(&bench.owner, &format!("{list}?{query}")).await;
                assert_eq!(problem(&answer, 400, "invalid_request"), [field], "{list}?{query}");
            }
            let answer = bench.get(&bench.owner, &format!("{list}?limit=0&after=x")).await;
            assert_eq!(problem(&answer, 400, "invalid_request"), ["limit", "after"]);
        }
        let nul = "/ai-gateway/interceptions?model=a%00";
        assert_eq!(problem(&bench.get(&bench.owner, nul).await, 400, "invalid_request"), ["model"]);
        for id in ["x", "01920000", "{01920000-0000-7000-8000-000000000000}", "01920000000070008000000000000000"] {
            for list in ["/tokens", "/ai-gateway/interceptions"] {
                let id = id.replace('{', "%7B").replace('}', "%7D");
                assert_eq!(problem(&bench.get(&bench.owner, &format!("{list}/{id}")).await, 400, "invalid_id"), ["id"]);
            }
        }
        for path in ["/users/%FF", "/users/no%20body", "/ai-gateway/keys/%2e%2e%2f", "/ai-gateway/providers/A--B", "/users/a%00", "/ai-gateway/keys/%00"] {
            problem(&bench.get(&bench.owner, path).await, 404, "not_found");
        }
    }

    /// A page starts after the row that the page before ended with, also among rows of one moment.
    async fn pages_join_without_gap_or_overlap(db: TestDb) {
        let bench = Bench::start(db).await;
        for n in 0..7 {
            bench.key(&format!("key-{n}")).await;
        }
        let mut seen = Vec::new();
        let mut query = "limit=3".to_owned();
        loop {
            let page = bench.get(&bench.owner, &format!("/ai-gateway/keys?{query}")).await.expect(200).value();
            seen.extend(page["keys"].as_array().unwrap().iter().map(|key| text(&key["name"])));
            let Some(next) = page["next"].as_str() else { break };
            query = format!("limit=3&after={next}");
        }
        seen.sort();
        assert_eq!(seen, (0..7).map(|n| format!("key-{n}")).collect::<Vec<_>>());
    }

    async fn last_used_is_noted_once_a_minute(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, token) = bench.user("ada", "member").await;
        let used = async || text(&bench.get(&token, "/tokens").await.expect(200).value()["tokens"][0]["last_used_at"]);
        let first = used().await;
        db.clock().advance(Duration::from_secs(59));
        assert_eq!(used().await, first);
        db.clock().advance(Duration::from_secs(1));
        assert_ne!(used().await, first);
    }
}
