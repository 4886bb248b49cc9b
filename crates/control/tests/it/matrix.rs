//! The committed matrix (`crates/authz/policy-matrix.md`), held against what the API does: role × action × resource.

use crate::bench::{Attached, Bench, hello, text};
use crate::interceptions::{record, sent};
use lychgate_link::ControlLink;
use lychgate_testkit::both_engines;
use lychgate_testkit::db::TestDb;
use serde_json::json;
use std::collections::BTreeMap;

const MATRIX: &str = include_str!("../../../authz/policy-matrix.md");
const ACTIONS: [&str; 4] = ["create", "read", "update", "delete"];

/// (role, resource, action) → `any`, `own` or `–`.
fn matrix() -> BTreeMap<(String, String, String), String> {
    let mut cells = BTreeMap::new();
    for row in MATRIX.lines().filter(|line| line.starts_with("| ")).skip(1) {
        let parts: Vec<_> = row
            .trim_matches('|')
            .split('|')
            .map(|part| part.trim().trim_matches('`').to_owned())
            .collect();
        for (action, cell) in ACTIONS.iter().zip(&parts[2..]) {
            cells.insert((parts[0].clone(), parts[1].clone(), (*action).to_owned()), cell.clone());
        }
    }
    cells
}

/// What one attempt is made with.
struct Attempt<'a> {
    bench: &'a Bench,
    db: &'a TestDb,
    /// The role's token.
    token: &'a str,
    /// A user to do it to: the caller, or somebody else.
    user: &'a str,
    users_token: &'a str,
    number: usize,
}

impl Attempt<'_> {
    /// Does it by the API; `None` where the API has no such operation. 401, 403 and 404 mean no.
    async fn is_allowed(&self, resource: &str, action: &str) -> Option<bool> {
        let Self {
            bench,
            token,
            user,
            number,
            ..
        } = *self;
        let admin = bench.owner.as_str();
        let new = format!("n-{number}");
        let keys = "/ai-gateway/keys";
        let providers = "/ai-gateway/providers";
        let routes = "/ai-gateway/routes";
        let provider = json!({"name": new, "type": "anthropic", "keys": ["k"]});
        let answer = match (resource, action) {
            ("user", "create") => {
                bench
                    .post(token, "/users", json!({"username": new, "role": "member"}))
                    .await
            }
            ("user", "read") => bench.get(token, &format!("/users/{user}")).await,
            ("user", "update") => bench.post(token, &format!("/users/{user}/activate"), json!({})).await,
            ("user", "delete") => bench.delete(token, &format!("/users/{user}")).await,
            ("token", "create") => bench.post(token, "/tokens", json!({"name": new, "user": user})).await,
            ("token", "read" | "delete") => {
                let made = bench
                    .post(admin, "/tokens", json!({"name": new, "user": user}))
                    .await
                    .expect(201)
                    .value();
                let path = format!("/tokens/{}", text(&made["id"]));
                if action == "read" {
                    bench.get(token, &path).await
                } else {
                    bench.delete(token, &path).await
                }
            }
            ("ai_gateway_key", "create") => bench.post(token, keys, json!({"name": new})).await,
            ("ai_gateway_key", _) => {
                let path = format!("{keys}/{}", bench.key(&new).await.0);
                match action {
                    "read" => bench.get(token, &path).await,
                    "update" => {
                        let rotated = bench.post(token, &format!("{path}/rotate"), json!({})).await;
                        let updated = bench.patch(token, &path, json!({"disabled": true})).await;
                        assert_eq!(rotated.status, updated.status, "{}", rotated.text());
                        updated
                    }
                    _ => bench.delete(token, &path).await,
                }
            }
            ("provider", "create") => bench.post(token, providers, provider).await,
            ("provider", _) => {
                bench.post(admin, providers, provider).await.expect(201);
                let path = format!("{providers}/{new}");
                match action {
                    "read" => bench.get(token, &path).await,
                    "update" => bench.patch(token, &path, json!({"enabled": false})).await,
                    _ => bench.delete(token, &path).await,
                }
            }
            ("route", _) => {
                bench.provider(&new, "anthropic").await;
                let route = json!({"name": new, "provider": new, "model": "*", "targets": [{"provider": new}]});
                let path = format!("{routes}/{new}");
                if action != "create" {
                    bench.post(admin, routes, route.clone()).await.expect(201);
                }
                match action {
                    "create" => bench.post(token, routes, route).await,
                    "read" => bench.get(token, &path).await,
                    "update" => bench.patch(token, &path, json!({"enabled": false})).await,
                    _ => bench.delete(token, &path).await,
                }
            }
            ("replica", "read" | "update") => {
                let id = bench.ambient.new_id();
                let (_, key) = bench.key(&new).await;
                drop(Attached::open(&bench.link(&key), hello(id)).await.unwrap());
                let path = format!("/ai-gateway/replicas/{id}");
                if action == "read" {
                    bench.get(token, &path).await
                } else {
                    bench.post(token, &format!("{path}/drain"), json!({})).await
                }
            }
            ("interception", "read") => {
                let record = record(self.db, self.users_token);
                let (_, key) = bench.key(&new).await;
                let link = bench.link(&key);
                link.authorize(record.token_hash).await.unwrap();
                link.deliver(bench.ambient.new_id(), vec![sent(&record)]).await.unwrap();
                bench
                    .get(token, &format!("/ai-gateway/interceptions/{}", record.id))
                    .await
            }
            ("audit_entry", "read") => bench.get(token, "/audit-entries").await,
            _ => return None,
        };
        assert!(
            [200, 201, 204, 403, 404].contains(&answer.status),
            "{resource} {action}: {}",
            answer.text()
        );
        Some(answer.status < 300)
    }
}

both_engines! {
    async fn the_api_does_what_the_matrix_says(db: TestDb) {
        let bench = Bench::start(db).await;
        let mut number = 0;
        let mut tried = 0;
        for ((role, resource, action), reach) in matrix() {
            if !["owner", "auditor", "member"].contains(&role.as_str()) {
                continue;
            }
            for own in [true, false] {
                number += 1;
                let (_, token) = bench.user(&format!("me-{number}"), &role).await;
                let (_, others_token) = bench.user(&format!("other-{number}"), "member").await;
                let user = format!("{}-{number}", if own { "me" } else { "other" });
                let users_token = if own { &token } else { &others_token };
                let attempt = Attempt { bench: &bench, db, token: &token, user: &user, users_token, number };
                let Some(allowed) = attempt.is_allowed(&resource, &action).await else { continue };
                let wanted = reach == "any" || (reach == "own" && own);
                assert_eq!(allowed, wanted, "{role} {action} {resource}, own: {own}; the matrix says {reach}");
                tried += 1;
            }
        }
        // Two attempts for each role and each of the 23 rights that the API has an operation for.
        assert_eq!(tried, 3 * 23 * 2);
    }
}
