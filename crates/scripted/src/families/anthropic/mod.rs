//! Anthropic: its errors, credentials, headers, and what lies beside Messages.

mod messages;

pub(super) use messages::Messages;

use super::{Detail, Endpoint, Family, has_bearer, input_tokens};
use crate::ask::Ask;
use crate::json::quoted;
use crate::script::Script;
use crate::seed::Seed;
use http::{HeaderMap, Method};

/// Models, newest first.
const MODELS: [(&str, &str); 3] = [
    ("claude-sonnet-5", "Claude Sonnet 5"),
    ("claude-haiku-5-5", "Claude Haiku 5.5"),
    ("claude-opus-5", "Claude Opus 5"),
];

pub(super) struct Anthropic;

impl Family for Anthropic {
    fn is_meant(&self, headers: &HeaderMap) -> bool {
        headers.contains_key("anthropic-version") || headers.contains_key("x-api-key")
    }

    fn credential_headers(&self) -> &'static [&'static str] {
        &["x-api-key", "authorization"]
    }

    fn check_credential(&self, headers: &HeaderMap) -> Result<(), Script> {
        let has_key = headers.get("x-api-key").is_some_and(|value| !value.is_empty());
        if has_key || has_bearer(headers) {
            Ok(())
        } else {
            Err(self.error(401, "x-api-key header is required"))
        }
    }

    fn check_headers(&self, headers: &HeaderMap) -> Result<(), Script> {
        if headers.contains_key("anthropic-version") {
            Ok(())
        } else {
            Err(self.error(400, "anthropic-version: header is required"))
        }
    }

    fn error_type(&self, status: u16) -> &'static str {
        match status {
            400 | 405 => "invalid_request_error",
            401 => "authentication_error",
            403 => "permission_error",
            404 => "not_found_error",
            413 => "request_too_large",
            429 => "rate_limit_error",
            529 => "overloaded_error",
            _ => "api_error",
        }
    }

    fn error_body(&self, error_type: &str, message: &str, _: Detail<'_>) -> String {
        let message = quoted(message);
        let id = Seed::new(&[&message]).id("req_011C", 20);
        format!(r#"{{"type":"error","error":{{"type":"{error_type}","message":{message}}},"request_id":"{id}"}}"#)
    }

    fn missing(&self, param: &str) -> Script {
        self.error(400, &format!("{param}: Field required"))
    }

    fn wrong(&self, param: &str, wanted: &str) -> Script {
        self.error(400, &format!("{param}: Input should be {wanted}"))
    }

    fn not_json(&self) -> Script {
        self.error(400, "The request body is not valid JSON: expected a JSON object")
    }

    fn bad_key(&self) -> Script {
        self.error(401, "invalid x-api-key")
    }

    fn no_model(&self, model: &str) -> Script {
        self.error(404, &format!("model: {model}"))
    }

    fn elsewhere(&self, method: &Method, path: &str, body: &[u8]) -> Option<Script> {
        let text = match (method, path) {
            (&Method::GET, "/v1/models") => models(),
            (&Method::GET, path) => {
                let id = path.strip_prefix("/v1/models/")?;
                let (id, name) = MODELS.iter().find(|model| model.0 == id)?;
                model(id, name)
            }
            (&Method::POST, "/v1/messages/count_tokens") => match serde_json::from_slice(body) {
                Ok(body) => token_count(&Ask::read(Endpoint::Messages, body)),
                Err(_) => return Some(self.not_json()),
            },
            (&Method::POST, path) if path.starts_with("/api/event_logging/") => "{}".to_owned(),
            _ => return None,
        };
        Some(Script::json(200, text))
    }

    fn with_headers(&self, script: Script, body: &str) -> Script {
        let mut seed = Seed::new(&["request", body]);
        script
            .header("request-id", seed.id("req_011C", 20))
            .header("anthropic-organization-id", "00000000-0000-4000-8000-000000000000")
            .header("anthropic-ratelimit-requests-limit", "4000")
            .header("anthropic-ratelimit-requests-remaining", "3999")
            .header("anthropic-ratelimit-requests-reset", "2026-01-01T00:00:00Z")
            .header("anthropic-ratelimit-tokens-limit", "2400000")
            .header("anthropic-ratelimit-tokens-remaining", "2399000")
    }
}

/// `GET /v1/models`
fn models() -> String {
    let models: Vec<String> = MODELS.iter().map(|(id, name)| model(id, name)).collect();
    let (first, last) = (MODELS[0].0, MODELS[MODELS.len() - 1].0);
    format!(
        r#"{{"data":[{}],"has_more":false,"first_id":"{first}","last_id":"{last}"}}"#,
        models.join(",")
    )
}

/// `GET /v1/models/{id}`
fn model(id: &str, name: &str) -> String {
    format!(r#"{{"type":"model","id":"{id}","display_name":"{name}","created_at":"2026-06-01T00:00:00Z"}}"#)
}

/// `POST /v1/messages/count_tokens`
fn token_count(ask: &Ask) -> String {
    format!(r#"{{"input_tokens":{}}}"#, input_tokens(ask))
}
