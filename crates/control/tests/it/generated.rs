//! Tests made from the committed OpenAPI document: every operation refuses strangers, tokens without its scope, and ids that
//! nobody has.

use crate::bench::{Bench, problem};
use http::Method;
use lychgate_authz::{Action, Resource};
use lychgate_testkit::both_engines;
use lychgate_testkit::http::Call;
use serde_json::Value;

const DOCUMENT: &str = include_str!("../../openapi.json");
const NOBODY: &str = "01920000-0000-7000-8000-000000000000";

struct Operation {
    id: String,
    method: Method,
    /// As in the document, `/api/v1` taken off.
    path: String,
    body: Option<Value>,
    responses: Vec<String>,
}

fn operations() -> Vec<Operation> {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let mut all = Vec::new();
    for (path, item) in document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let schema = &operation["requestBody"]["content"]["application/json"]["schema"];
            // A body that may be left out is documented as what it is, or null.
            let reference = [&schema["$ref"], &schema["oneOf"][0]["$ref"]];
            let body = reference
                .iter()
                .find_map(|reference| reference.as_str())
                .map(|reference| {
                    let schema = document.pointer(reference.strip_prefix('#').unwrap()).unwrap();
                    schema["example"].clone()
                });
            all.push(Operation {
                id: operation["operationId"].as_str().unwrap().to_owned(),
                method: method.to_uppercase().parse().unwrap(),
                path: path.strip_prefix("/api/v1").unwrap().to_owned(),
                body,
                responses: operation["responses"].as_object().unwrap().keys().cloned().collect(),
            });
        }
    }
    all
}

impl Operation {
    fn takes_an_id(&self) -> bool {
        self.path.contains('{')
    }

    fn call(&self, bench: &Bench) -> Call {
        let path: Vec<_> = self
            .path
            .split('/')
            .map(|part| if part.starts_with('{') { NOBODY } else { part })
            .collect();
        let call = bench.call(self.method.clone(), &path.join("/"));
        match &self.body {
            Some(body) => call.json(body),
            None => call,
        }
    }

    /// What the operation needs, read from its id: `<resource>_<verb>`.
    fn right(&self) -> (Resource, Action) {
        let (noun, verb) = self.id.rsplit_once('_').unwrap();
        let resource = match noun {
            "whoami" => Resource::User,
            noun => noun.parse().unwrap_or_else(|_| panic!("{}: no such resource", self.id)),
        };
        let action = match verb {
            "create" => Action::Create,
            "get" | "list" => Action::Read,
            "update" | "rotate" | "suspend" | "activate" | "drain" => Action::Update,
            "delete" | "revoke" => Action::Delete,
            _ => panic!("{}: which action is {verb}? Add it here, in `right()`", self.id),
        };
        (resource, action)
    }

    #[track_caller]
    fn documents(&self, status: u16) {
        assert!(
            self.responses.contains(&status.to_string()),
            "{} does not document {status}",
            self.id
        );
    }
}

fn scope(resource: Resource, action: Action) -> String {
    format!("{resource}:{action}")
}

fn all_but(right: (Resource, Action)) -> Vec<String> {
    let all = Resource::ALL
        .iter()
        .flat_map(|r| Action::ALL.iter().map(move |a| (*r, *a)));
    all.filter(|other| *other != right).map(|(r, a)| scope(r, a)).collect()
}

#[test]
fn the_document_is_covered() {
    let operations = operations();
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let count: usize = document["paths"]
        .as_object()
        .unwrap()
        .values()
        .map(|item| item.as_object().unwrap().len())
        .sum();
    assert_eq!(operations.len(), count);
    for operation in &operations {
        operation.right();
        operation.documents(401);
        operation.documents(403);
        operation.documents(500);
        operation.documents(503);
        assert!(!operation.takes_an_id() || operation.responses.contains(&"404".to_owned()));
        assert!(
            operation.body.as_ref().is_none_or(Value::is_object),
            "{} has no example",
            operation.id
        );
    }
    let mut ids: Vec<_> = operations.iter().map(|operation| &operation.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), count, "operation ids are unique");
}

#[test]
fn every_response_is_described_and_every_error_is_a_problem() {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            for (status, response) in operation["responses"].as_object().unwrap() {
                let id = &operation["operationId"];
                assert!(
                    response["description"].as_str().is_some_and(|text| !text.is_empty()),
                    "{id} {status}"
                );
                let is_problem = !response["content"]["application/problem+json"].is_null();
                assert_eq!(status.starts_with(['4', '5']), is_problem, "{id} {status}");
            }
        }
    }
}

#[test]
fn every_operation_that_shows_a_secret_once_takes_an_idempotency_key() {
    let document: Value = serde_json::from_str(DOCUMENT).unwrap();
    let shows_a_secret = |operation: &Value| {
        let success = operation["responses"].as_object().unwrap().values().next().unwrap();
        let schema = &success["content"]["application/json"]["schema"]["$ref"];
        let schema = schema
            .as_str()
            .map(|reference| document.pointer(reference.strip_prefix('#').unwrap()).unwrap());
        schema.is_some_and(|schema| schema.to_string().contains("\"description\":\"The secret: `"))
    };
    let mut found = Vec::new();
    for item in document["paths"].as_object().unwrap().values() {
        for operation in item.as_object().unwrap().values() {
            let parameters = operation["parameters"].as_array().map_or(&[][..], Vec::as_slice);
            let takes_a_key = parameters
                .iter()
                .any(|parameter| parameter["name"] == "Idempotency-Key");
            assert_eq!(takes_a_key, shows_a_secret(operation), "{}", operation["operationId"]);
            let refuses_another = !operation["responses"]["409"].is_null();
            assert!(!takes_a_key || refuses_another, "{}", operation["operationId"]);
            found.extend(takes_a_key.then(|| operation["operationId"].as_str().unwrap()));
        }
    }
    found.sort_unstable();
    assert_eq!(
        found,
        ["ai_gateway_key_create", "ai_gateway_key_rotate", "token_create"]
    );
}

both_engines! {
    async fn without_a_token_401(db: TestDb) {
        let bench = Bench::start(db).await;
        for operation in operations() {
            let answer = operation.call(&bench).send().await;
            assert_eq!(answer.status, 401, "{}", operation.id);
            problem(&answer, 401, "token_missing");
            assert_eq!(answer.header("www-authenticate"), "Bearer");
        }
    }

    async fn without_the_scope_403(db: TestDb) {
        let bench = Bench::start(db).await;
        for operation in operations() {
            let scopes = all_but(operation.right());
            let scopes: Vec<_> = scopes.iter().map(String::as_str).collect();
            let token = bench.token("admin", &scopes).await;
            let answer = operation.call(&bench).bearer(&token).send().await;
            assert_eq!(answer.status, 403, "{}: {}", operation.id, answer.text());
            problem(&answer, 403, "scope_missing");
            let (resource, action) = operation.right();
            let named = format!(" {} ", scope(resource, action));
            assert!(answer.text().replace(';', " ").contains(&named), "{}: {}", operation.id, answer.text());
        }
    }

    async fn with_the_scope_alone_it_is_allowed(db: TestDb) {
        let bench = Bench::start(db).await;
        for operation in operations() {
            let (resource, action) = operation.right();
            let token = bench.token("admin", &[&scope(resource, action)]).await;
            let mut operation = operation;
            if operation.id == "token_create" {
                operation.body.as_mut().unwrap()["scopes"] = serde_json::json!(["token:create"]);
            }
            if operation.id == "route_create" {
                bench.provider("claude", "anthropic").await;
            }
            let answer = operation.call(&bench).bearer(&token).send().await;
            let wanted = if operation.takes_an_id() { 404..405 } else { 200..300 };
            assert!(wanted.contains(&answer.status), "{}: {} {}", operation.id, answer.status, answer.text());
            operation.documents(answer.status);
        }
    }

    async fn with_an_id_that_nobody_has_404(db: TestDb) {
        let bench = Bench::start(db).await;
        for operation in operations().iter().filter(|operation| operation.takes_an_id()) {
            let answer = operation.call(&bench).bearer(&bench.owner).send().await;
            assert_eq!(answer.status, 404, "{}: {}", operation.id, answer.text());
            problem(&answer, 404, "not_found");
            operation.documents(404);
        }
    }
}
