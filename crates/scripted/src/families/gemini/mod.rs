//! Google's Gemini API: its errors, credentials, headers, and what lies beside the generation of content.

mod embeddings;
mod generate;

pub(super) use embeddings::Embeddings;
pub(super) use generate::GenerateContent;

use super::{Detail, Endpoint, Family, has_bearer, input_tokens};
use crate::ask::Ask;
use crate::json::quoted;
use crate::script::Script;
use http::{HeaderMap, Method};
use serde_json::Value;

/// Models, newest first.
const MODELS: [(&str, &str); 3] = [
    ("gemini-3-flash", "Gemini 3 Flash"),
    ("gemini-3-pro", "Gemini 3 Pro"),
    ("gemini-embedding-2", "Gemini Embedding 2"),
];

pub(super) struct Gemini;

/// The name of a model and the verb in a path: `/v1beta/models/{model}:{verb}`.
fn model_and_verb(path: &str) -> Option<(&str, &str)> {
    let rest = ["/v1beta/", "/v1/", "/v1alpha/"]
        .iter()
        .find_map(|version| path.strip_prefix(version))?;
    let rest = rest
        .strip_prefix("models/")
        .or_else(|| rest.strip_prefix("tunedModels/"))?;
    let found = rest.rsplit_once(':').or_else(|| rest.rsplit_once("%3A"));
    Some(found.unwrap_or((rest, "")))
}

impl Family for Gemini {
    fn is_meant(&self, headers: &HeaderMap) -> bool {
        headers.contains_key("x-goog-api-key") || headers.contains_key("x-goog-api-client")
    }

    fn credential_headers(&self) -> &'static [&'static str] {
        &["x-goog-api-key", "authorization"]
    }

    fn check_credential(&self, headers: &HeaderMap) -> Result<(), Script> {
        let has_key = headers.get("x-goog-api-key").is_some_and(|value| !value.is_empty());
        if has_key || has_bearer(headers) {
            Ok(())
        } else {
            Err(self.error(
                403,
                "Method doesn't allow unregistered callers (callers without established identity).",
            ))
        }
    }

    fn error_type(&self, status: u16) -> &'static str {
        match status {
            401 => "UNAUTHENTICATED",
            403 => "PERMISSION_DENIED",
            404 => "NOT_FOUND",
            429 => "RESOURCE_EXHAUSTED",
            503 | 529 => "UNAVAILABLE",
            504 => "DEADLINE_EXCEEDED",
            500.. => "INTERNAL",
            _ => "INVALID_ARGUMENT",
        }
    }

    fn error_body(&self, error_type: &str, message: &str, _: Detail<'_>) -> String {
        let statuses = [400, 401, 403, 404, 429, 500, 503, 504];
        let code = statuses
            .into_iter()
            .find(|status| self.error_type(*status) == error_type);
        let details = match error_type {
            "RESOURCE_EXHAUSTED" => {
                r#",
    "details": [
      {
        "@type": "type.googleapis.com/google.rpc.RetryInfo",
        "retryDelay": "1s"
      }
    ]"#
            }
            _ => "",
        };
        let (code, message) = (code.unwrap_or(500), quoted(message));
        format!(
            "{{\n  \"error\": {{\n    \"code\": {code},\n    \"message\": {message},\n    \"status\": \"{error_type}\"{details}\n  }}\n}}\n"
        )
    }

    fn missing(&self, param: &str) -> Script {
        self.error(
            400,
            &format!("* GenerateContentRequest.{param}: {param} is not specified\n"),
        )
    }

    fn wrong(&self, param: &str, wanted: &str) -> Script {
        self.error(400, &format!("Invalid value at '{param}': should be {wanted}"))
    }

    fn not_json(&self) -> Script {
        self.error(400, "Invalid JSON payload received.")
    }

    fn bad_key(&self) -> Script {
        self.error(401, "API key not valid. Please pass a valid API key.")
    }

    fn no_model(&self, model: &str) -> Script {
        self.error(
            404,
            &format!("models/{model} is not found for API version v1beta, or is not supported for generateContent."),
        )
    }

    fn elsewhere(&self, method: &Method, path: &str, body: &[u8]) -> Option<Script> {
        let text = match (method, path.trim_end_matches('/')) {
            (&Method::GET, "/v1beta/models" | "/v1/models" | "/v1alpha/models") => {
                let models: Vec<String> = MODELS.iter().map(|(id, name)| model(id, name)).collect();
                format!("{{\"models\": [{}]}}", models.join(","))
            }
            (&Method::GET, path) => {
                let (asked, _) = model_and_verb(path)?;
                let (id, name) = MODELS.iter().find(|model| model.0 == asked)?;
                model(id, name)
            }
            (&Method::POST, path) => {
                let (_, "countTokens") = model_and_verb(path)? else {
                    return None;
                };
                let Ok(body @ Value::Object(_)) = serde_json::from_slice(body) else {
                    return Some(self.not_json());
                };
                let tokens = input_tokens(&Ask::read(Endpoint::GenerateContent, body));
                format!(
                    r#"{{"totalTokens": {tokens},"promptTokensDetails": [{{"modality": "TEXT","tokenCount": {tokens}}}]}}"#
                )
            }
            _ => return None,
        };
        Some(Script::json(200, text))
    }

    fn with_headers(&self, script: Script, _: &str) -> Script {
        script
            .header("vary", "Origin, X-Origin, Referer")
            .header("server", "scaffolding on HTTPServer2")
            .header("x-gemini-service-tier", "standard")
    }
}

/// `GET /v1beta/models/{id}`
fn model(id: &str, name: &str) -> String {
    format!(
        r#"{{"name": "models/{id}","version": "001","displayName": "{name}","inputTokenLimit": 1048576,"outputTokenLimit": 65536,"supportedGenerationMethods": ["generateContent","countTokens"]}}"#
    )
}
