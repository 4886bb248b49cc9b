//! `/api/v1/users` and `/api/v1/whoami`

use crate::bench::{Bench, masked, problem, text};
use lychgate_testkit::both_engines;
use serde_json::{Value, json};
use std::time::Duration;

both_engines! {
    async fn the_shape_of_a_user(db: TestDb) {
        let bench = Bench::start(db).await;
        let made = bench.post(&bench.owner, "/users", json!({"username": "Ada", "role": "auditor"})).await.expect(201).value();
        insta::assert_json_snapshot!(masked(&made, &["/id"]), @r#"
        {
          "created_at": "2026-11-24T09:30:00.000000Z",
          "deleted_at": null,
          "display_name": null,
          "email": null,
          "id": "[…]",
          "role": "auditor",
          "state": "active",
          "username": "ada"
        }
        "#);
        for name in ["ada", "ADA", made["id"].as_str().unwrap()] {
            assert_eq!(bench.get(&bench.owner, &format!("/users/{name}")).await.expect(200).value(), made);
        }
        let page = bench.get(&bench.owner, "/users?q=AD").await.expect(200).value();
        assert_eq!(page["users"].as_array().unwrap().len(), 2, "admin and ada: {page}");
    }

    async fn whoami_shows_user_and_token(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, token) = bench.user("ada", "member").await;
        let me = bench.get(&token, "/whoami").await.expect(200).value();
        insta::assert_json_snapshot!(masked(&me, &["/user_id", "/token_id"]), @r#"
        {
          "expires_at": "2027-02-22T09:30:00.000000Z",
          "role": "member",
          "scopes": [
            "*"
          ],
          "token_id": "[…]",
          "user_id": "[…]",
          "username": "ada"
        }
        "#);
    }

    async fn names_are_checked_and_unique(db: TestDb) {
        let bench = Bench::start(db).await;
        for bad in ["", "-a", "a b", "a/b", "é", &"a".repeat(201)] {
            let answer = bench.post(&bench.owner, "/users", json!({"username": bad, "role": "member"})).await;
            assert_eq!(problem(&answer, 400, "invalid_name"), ["username"]);
        }
        bench.user("ada", "member").await;
        let again = bench.post(&bench.owner, "/users", json!({"username": "ADA", "role": "member"})).await;
        problem(&again, 409, "name_taken");
        bench.delete(&bench.owner, "/users/ada").await.expect(204);
        problem(&bench.get(&bench.owner, "/users/ada").await, 404, "not_found");
        bench.user("ada", "member").await;
    }

    async fn an_update_changes_what_it_names_and_a_role_at_once(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, token) = bench.user("ada@example.com", "member").await;
        let path = "/users/ada@example.com";
        problem(&bench.get(&token, "/audit-entries").await, 403, "forbidden");
        let changed = bench.patch(&bench.owner, path, json!({"role": "auditor", "display_name": "Ada", "email": "ada@example.com"})).await;
        let changed = changed.expect(200).value();
        assert_eq!((&changed["role"], &changed["display_name"], &changed["email"]), (&json!("auditor"), &json!("Ada"), &json!("ada@example.com")));
        bench.get(&token, "/audit-entries").await.expect(200);
        db.clock().advance(Duration::from_secs(1));
        let rest = bench.patch(&bench.owner, path, json!({"email": null})).await.expect(200).value();
        assert_eq!((&rest["email"], &rest["display_name"]), (&Value::Null, &json!("Ada")));
        let entries = bench.audit("action=update&resource_type=user").await;
        assert_eq!((&entries[0]["before"], &entries[0]["after"]), (&json!({"email": "ada@example.com"}), &json!({})));
        for bad in [json!({"email": "ada"}), json!({"email": "a b@c"}), json!({"email": "a\u{0}@c"})] {
            assert_eq!(problem(&bench.patch(&bench.owner, path, bad).await, 400, "invalid_request"), ["email"]);
        }
        let bad = json!({"role": "king", "display_name": " ", "email": format!("{}@c", "a".repeat(260))});
        assert_eq!(problem(&bench.patch(&bench.owner, path, bad).await, 400, "invalid_request"), ["role", "display_name", "email"]);
        problem(&bench.patch(&bench.owner, path, json!({"username": "eve"})).await, 400, "invalid_request");
        problem(&bench.patch(&token, "/users/admin", json!({"role": "member"})).await, 403, "forbidden");
        problem(&bench.patch(&bench.owner, "/users/admin", json!({"role": "member"})).await, 409, "last_owner");
        bench.stop().await;
    }

    async fn a_deleted_user_is_out_at_once(db: TestDb) {
        let bench = Bench::start(db).await;
        let (id, token) = bench.user("ada", "member").await;
        bench.delete(&bench.owner, &format!("/users/{id}")).await.expect(204);
        bench.get(&token, "/whoami").await.expect(401);
        problem(&bench.delete(&bench.owner, &format!("/users/{id}")).await, 404, "not_found");
        problem(&bench.delete(&bench.owner, "/users/ada").await, 404, "not_found");
    }

    async fn the_last_owner_stays(db: TestDb) {
        let bench = Bench::start(db).await;
        problem(&bench.post(&bench.owner, "/users/admin/suspend", json!({})).await, 409, "last_owner");
        problem(&bench.delete(&bench.owner, "/users/admin").await, 409, "last_owner");
        let (_, second) = bench.user("second", "owner").await;
        bench.post(&bench.owner, "/users/admin/suspend", json!({})).await.expect(200);
        problem(&bench.get(&bench.owner, "/whoami").await, 401, "user_suspended");
        let state = bench.get(&second, "/users/admin").await.expect(200).value();
        assert_eq!(text(&state["state"]), "suspended");
    }

    async fn members_see_themselves_only(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, token) = bench.user("ada", "member").await;
        bench.user("eve", "member").await;
        let page = bench.get(&token, "/users").await.expect(200).value();
        assert_eq!(page["users"].as_array().unwrap().len(), 1, "{page}");
        problem(&bench.get(&token, "/users/eve").await, 404, "not_found");
        problem(&bench.delete(&token, "/users/eve").await, 404, "not_found");
        problem(&bench.delete(&token, "/users/nobody").await, 404, "not_found");
        problem(&bench.delete(&token, "/users/ada").await, 403, "forbidden");
    }
}
