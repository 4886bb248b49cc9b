//! OpenAI: its errors, credentials, headers, and what lies beside its APIs.

mod chat;
mod embeddings;
mod response_items;
mod responses;

pub(super) use chat::ChatCompletions;
pub(super) use embeddings::Embeddings;
pub(super) use responses::Responses;

use super::{Detail, Family, has_bearer};
use crate::json::{quoted, quoted_or_null};
use crate::script::Script;
use crate::seed::Seed;
use http::{HeaderMap, Method};

const MODELS: [&str; 4] = ["gpt-5.5", "gpt-5.4-mini", "gpt-5-mini", "text-embedding-3-small"];
/// When everything was made: fixed, so that the same request gets the same bytes.
const CREATED: u64 = 1_764_000_000;

pub(super) struct OpenAi;

impl Family for OpenAi {
    fn credential_headers(&self) -> &'static [&'static str] {
        &["authorization"]
    }

    fn check_credential(&self, headers: &HeaderMap) -> Result<(), Script> {
        if has_bearer(headers) {
            return Ok(());
        }
        let message = "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).";
        Err(self.error(401, message))
    }

    fn error_type(&self, status: u16) -> &'static str {
        match status {
            429 => "requests",
            500.. => "server_error",
            _ => "invalid_request_error",
        }
    }

    fn error_body(&self, error_type: &str, message: &str, detail: Detail<'_>) -> String {
        let (message, param, code) = (
            quoted(message),
            quoted_or_null(detail.param),
            quoted_or_null(detail.code),
        );
        let members = format!(
            "\"message\": {message},\n        \"type\": \"{error_type}\",\n        \"param\": {param},\n        \"code\": {code}"
        );
        format!("{{\n    \"error\": {{\n        {members}\n    }}\n}}\n")
    }

    fn missing(&self, param: &str) -> Script {
        let detail = Detail {
            param: Some(param),
            code: Some("missing_required_parameter"),
        };
        self.detailed(400, &format!("Missing required parameter: '{param}'."), detail)
    }

    fn wrong(&self, param: &str, wanted: &str) -> Script {
        let detail = Detail {
            param: Some(param),
            code: Some("invalid_type"),
        };
        self.detailed(400, &format!("Invalid type for '{param}': expected {wanted}."), detail)
    }

    fn not_json(&self) -> Script {
        self.error(400, "We could not parse the JSON body of your request.")
    }

    fn bad_key(&self) -> Script {
        self.detailed(401, "Incorrect API key provided.", code("invalid_api_key"))
    }

    fn no_model(&self, model: &str) -> Script {
        let message = format!("The model `{model}` does not exist or you do not have access to it.");
        self.detailed(404, &message, code("model_not_found"))
    }

    fn elsewhere(&self, method: &Method, path: &str, _: &[u8]) -> Option<Script> {
        if method != Method::GET {
            return None;
        }
        let text = match path {
            "/v1/models" => models(),
            path => {
                let id = path.strip_prefix("/v1/models/")?;
                model(MODELS.iter().find(|model| **model == id)?)
            }
        };
        Some(Script::json(200, text))
    }

    fn with_headers(&self, script: Script, body: &str) -> Script {
        let mut seed = Seed::new(&["request", body]);
        script
            .header("x-request-id", seed.hex("req_", 32))
            .header("openai-organization", "scripted")
            .header("openai-processing-ms", "7")
            .header("openai-version", "2020-10-01")
            .header("x-ratelimit-limit-requests", "10000")
            .header("x-ratelimit-remaining-requests", "9999")
            .header("x-ratelimit-reset-requests", "6ms")
    }
}

fn code(code: &str) -> Detail<'_> {
    Detail {
        param: None,
        code: Some(code),
    }
}

/// `GET /v1/models`
fn models() -> String {
    let models: Vec<String> = MODELS.iter().map(|id| model(id)).collect();
    format!("{{\n  \"object\": \"list\",\n  \"data\": [{}]\n}}\n", models.join(", "))
}

/// `GET /v1/models/{id}`
fn model(id: &str) -> String {
    format!(r#"{{"id": "{id}", "object": "model", "created": 1754425777, "owned_by": "system"}}"#)
}
