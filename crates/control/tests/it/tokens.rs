//! `/api/v1/tokens`

use crate::bench::{Bench, hash, masked, problem, text};
use crate::interceptions::{record, sent};
use lychgate_link::{Authorization, ControlLink};
use lychgate_testkit::both_engines;
use lychgate_types::secret::UserTokenSecret;
use serde_json::json;

both_engines! {
    async fn the_shape_of_a_token(db: TestDb) {
        let bench = Bench::start(db).await;
        let body = json!({"name": "Laptop", "scopes": ["token:*", "user:read"], "lifetime_seconds": 3600});
        let mut made = bench.post(&bench.owner, "/tokens", body).await.expect(201).value();
        let secret = made.as_object_mut().unwrap().remove("token").unwrap();
        let secret = UserTokenSecret::parse(secret.as_str().unwrap()).unwrap();
        assert_eq!(made["token_prefix"], secret.prefix());
        insta::assert_json_snapshot!(masked(&made, &["/id", "/user/id", "/token_prefix"]), @r#"
        {
          "created_at": "2026-11-24T09:30:00.000000Z",
          "expires_at": "2026-11-24T10:30:00.000000Z",
          "id": "[…]",
          "last_used_at": null,
          "name": "laptop",
          "revoked_at": null,
          "scopes": [
            "user:read",
            "token:*"
          ],
          "state": "active",
          "token_prefix": "[…]",
          "user": {
            "deleted": false,
            "id": "[…]",
            "username": "admin"
          }
        }
        "#);
        let path = format!("/tokens/{}", text(&made["id"]));
        let shown = bench.get(&bench.owner, &path).await.expect(200).value();
        assert_eq!(shown, made);
        let page = bench.get(&bench.owner, "/tokens").await.expect(200);
        assert!(!page.text().contains(secret.expose()));
        assert!(page.value()["tokens"].as_array().unwrap().contains(&made));
    }

    async fn a_revoked_token_is_out_at_once(db: TestDb) {
        let bench = Bench::start(db).await;
        let made = bench.post(&bench.owner, "/tokens", json!({"name": "t", "scopes": ["*"]})).await.expect(201).value();
        let (path, token) = (format!("/tokens/{}", text(&made["id"])), text(&made["token"]));
        bench.get(&token, "/whoami").await.expect(200);
        bench.delete(&bench.owner, &path).await.expect(204);
        problem(&bench.get(&token, "/whoami").await, 401, "token_revoked");
        problem(&bench.delete(&bench.owner, &path).await, 404, "not_found");
        let shown = bench.get(&bench.owner, &path).await.expect(200).value();
        assert_eq!((text(&shown["state"]), shown["revoked_at"].is_string()), ("revoked".to_owned(), true));
    }

    async fn what_does_not_fit(db: TestDb) {
        let bench = Bench::start(db).await;
        for (body, field) in [
            (json!({"name": "t", "lifetime_seconds": 0}), "lifetime_seconds"),
            (json!({"name": "t", "lifetime_seconds": 365 * 24 * 3600 + 1}), "lifetime_seconds"),
            (json!({"name": "t", "lifetime_seconds": -1}), "lifetime_seconds"),
            (json!({"name": "t", "lifetime_seconds": 1.5}), "lifetime_seconds"),
            (json!({"name": "t", "scopes": []}), "scopes"),
            (json!({"name": "t", "scopes": ["user:read", "users:read"]}), "scopes[1]"),
            (json!({"name": "t", "scopes": [7]}), "scopes[0]"),
            (json!({"name": "t", "expires_at": "2027-01-01T00:00:00Z"}), "expires_at"),
        ] {
            let answer = bench.post(&bench.owner, "/tokens", body.clone()).await;
            assert_eq!(problem(&answer, 400, "invalid_request"), [field], "{body}");
        }
        let both = bench.post(&bench.owner, "/tokens", json!({"name": "-", "lifetime_seconds": 0})).await;
        assert_eq!(problem(&both, 400, "invalid_name"), ["name", "lifetime_seconds"]);
        let nobody = bench.post(&bench.owner, "/tokens", json!({"name": "t", "user": "nobody"})).await;
        problem(&nobody, 404, "not_found");
        let tokens = bench.get(&bench.owner, "/tokens").await.expect(200).value();
        assert_eq!(tokens["tokens"].as_array().unwrap().len(), 1, "nothing was written");
        bench.post(&bench.owner, "/tokens", json!({"name": "t", "lifetime_seconds": 365 * 24 * 3600})).await.expect(201);
    }

    async fn a_token_makes_no_wider_one(db: TestDb) {
        let bench = Bench::start(db).await;
        let narrow = bench.token("admin", &["token:create", "user:read"]).await;
        for scopes in [json!(["*"]), json!(["token:*"]), json!(["user:read", "provider:read"])] {
            let answer = bench.post(&narrow, "/tokens", json!({"name": "t", "scopes": scopes})).await;
            problem(&answer, 403, "scopes_too_wide");
        }
        problem(&bench.post(&narrow, "/tokens", json!({"name": "t"})).await, 403, "scopes_too_wide");
        bench.post(&narrow, "/tokens", json!({"name": "t", "scopes": ["user:read"]})).await.expect(201);
    }

    async fn a_token_of_which_nothing_is_said_is_for_an_ai_client(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, anothers) = bench.user("ada", "member").await;
        let made = bench.post(&bench.owner, "/tokens", json!({"name": "t"})).await.expect(201).value();
        assert_eq!(made["scopes"], json!(["interception:read:own", "ai_request:create"]));
        let token = text(&made["token"]);
        let (_, key) = bench.key("edge").await;
        let link = bench.link(&key);
        let mut records = Vec::new();
        for token in [&token, &anothers] {
            let told = link.authorize(hash(token)).await.unwrap();
            assert!(matches!(told, Authorization::Known { may_send_requests: true, .. }), "{told:?}");
            records.push(record(db, token));
        }
        link.deliver(bench.ambient.new_id(), records.iter().map(sent).collect()).await.unwrap();

        // It is an owner's, and reads its user's records alone.
        let path = "/ai-gateway/interceptions";
        let listed = bench.get(&token, path).await.expect(200).value();
        let ids: Vec<_> = listed["interceptions"].as_array().unwrap().iter().map(|seen| text(&seen["id"])).collect();
        assert_eq!(ids, [records[0].id.to_string()]);
        bench.get(&token, &format!("{path}/{}", records[0].id)).await.expect(200);
        problem(&bench.get(&token, &format!("{path}/{}", records[1].id)).await, 404, "not_found");
        for path in ["/users", "/tokens", "/whoami", "/audit-entries", "/ai-gateway/providers"] {
            let refused = bench.get(&token, path).await;
            problem(&refused, 403, "scope_missing");
            assert!(refused.text().contains(":read;"), "{}", refused.text());
        }
        problem(&bench.post(&token, "/tokens", json!({"name": "t"})).await, 403, "scope_missing");
        // What its role would not let it do either is no matter of scopes.
        let members = bench.post(&bench.owner, "/tokens", json!({"name": "t", "user": "ada"})).await.expect(201).value();
        problem(&bench.get(&text(&members["token"]), "/audit-entries").await, 403, "forbidden");
    }

    async fn members_have_their_own_only(db: TestDb) {
        let bench = Bench::start(db).await;
        let (ada, token) = bench.user("ada", "member").await;
        let (_, eve) = bench.user("eve", "member").await;
        let own = bench.get(&token, "/tokens").await.expect(200).value();
        assert_eq!(own["tokens"].as_array().unwrap().len(), 1);
        let adas = text(&own["tokens"][0]["id"]);
        problem(&bench.get(&eve, &format!("/tokens/{adas}")).await, 404, "not_found");
        problem(&bench.delete(&eve, &format!("/tokens/{adas}")).await, 404, "not_found");
        problem(&bench.post(&eve, "/tokens", json!({"name": "t", "user": "ada"})).await, 404, "not_found");
        let others = bench.get(&eve, "/tokens?user=ada").await;
        assert_eq!(problem(&others, 404, "filter_unmatched"), ["user"]);
        for user in ["ada", &ada] {
            let filtered = bench.get(&bench.owner, &format!("/tokens?user={user}")).await.expect(200).value();
            assert_eq!(filtered["tokens"].as_array().unwrap().len(), 1);
        }
        bench.delete(&token, &format!("/tokens/{adas}")).await.expect(204);
        bench.post(&bench.owner, "/users/eve/suspend", json!({})).await.expect(200);
        problem(&bench.post(&bench.owner, "/tokens", json!({"name": "t", "user": "eve"})).await, 409, "owner_suspended");
    }
}
