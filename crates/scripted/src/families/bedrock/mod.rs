//! Amazon Bedrock: its errors, its credentials (an API key, or a signature), and the paths that name the model.

mod converse;
mod frames;
mod invoke;
mod signature;

pub(super) use converse::Converse;
pub(super) use invoke::Invoke;

use super::{Detail, Endpoint, Family, has_bearer, input_tokens};
use crate::ask::Ask;
use crate::json::quoted;
use crate::script::Script;
use crate::seed::Seed;
use http::request::Parts;
use http::{HeaderMap, Method};
use serde_json::Value;
use time::OffsetDateTime;

/// What a path says of a request.
pub(super) struct Target {
    pub(super) endpoint: Endpoint,
    pub(super) model: String,
    pub(super) stream: bool,
}

/// Reads `/model/{model}/{verb}`.
pub(super) fn target(path: &str) -> Option<Target> {
    let (model, verb) = path.strip_prefix("/model/")?.split_once('/')?;
    let (endpoint, stream) = match verb {
        "invoke" => (Endpoint::BedrockInvoke, false),
        "invoke-with-response-stream" => (Endpoint::BedrockInvoke, true),
        "converse" => (Endpoint::BedrockConverse, false),
        "converse-stream" => (Endpoint::BedrockConverse, true),
        _ => return None,
    };
    let model = model.replace("%3A", ":").replace("%2F", "/");
    Some(Target {
        endpoint,
        model,
        stream,
    })
}

/// What a path says of a request, as members of a body.
fn told_by(path: &str) -> Vec<(&'static str, Value)> {
    let target = target(path);
    target
        .map(|target| vec![("model", target.model.into()), ("stream", target.stream.into())])
        .unwrap_or_default()
}

/// What streams of frames are called.
const FRAMES: &str = "application/vnd.amazon.eventstream";

/// The exception that breaks a stream off.
fn exception() -> String {
    "throttlingException\n{\"message\":\"Too many requests, please wait before trying again.\"}".to_owned()
}

/// An error of this type.
fn refused(status: u16, error_type: &str, message: &str) -> Script {
    Script::json(status, format!(r#"{{"message":{}}}"#, quoted(message))).header(
        "x-amzn-errortype",
        format!("{error_type}:http://internal.amazon.com/coral/"),
    )
}

pub(super) struct Bedrock;

impl Family for Bedrock {
    fn credential_headers(&self) -> &'static [&'static str] {
        &["authorization"]
    }

    /// Its APIs are known by their paths; beside them, by a signature.
    fn is_meant(&self, headers: &HeaderMap) -> bool {
        let value = headers.get("authorization").and_then(|value| value.to_str().ok());
        value.is_some_and(signature::is_one)
    }

    fn check_signature(&self, parts: &Parts, body: &[u8], now: OffsetDateTime) -> Result<(), Script> {
        signature::check(parts, body, now).map_err(|(error_type, message)| refused(403, error_type, &message))
    }

    fn check_credential(&self, headers: &HeaderMap) -> Result<(), Script> {
        if self.is_meant(headers) {
            return Ok(());
        }
        let is_signed = |name: &http::HeaderName| name.as_str().starts_with("x-amz-");
        if !has_bearer(headers) {
            return Err(self.error(403, "Missing Authentication Token"));
        }
        // Nobody signs with a key of this kind: the remains of a signature are another caller's.
        match headers.keys().find(|name| is_signed(name) && *name != "x-amz-target") {
            Some(_) => Err(self.error(403, "The request has a bearer token and the headers of a signature.")),
            None => Ok(()),
        }
    }

    fn check_body(&self, endpoint: Endpoint, body: &Value) -> Result<(), Script> {
        let refused = ["model", "stream"]
            .into_iter()
            .find(|member| body.get(*member).is_some());
        if let Some(member) = refused {
            let message = format!(
                "Malformed input request: extraneous key [{member}] is not permitted, please reformat your input and try again."
            );
            return Err(self.error(400, &message));
        }
        // AWS's own `bedrock-2023-05-31`, or a date of Anthropic's, as its SDKs of late have it.
        if endpoint == Endpoint::BedrockInvoke && !body["anthropic_version"].is_string() {
            return Err(self.error(400, "anthropic_version: Field required"));
        }
        Ok(())
    }

    fn error_type(&self, status: u16) -> &'static str {
        match status {
            400 | 405 => "ValidationException",
            401 => "UnrecognizedClientException",
            403 => "AccessDeniedException",
            404 => "ResourceNotFoundException",
            429 => "ThrottlingException",
            503 => "ServiceUnavailableException",
            _ => "InternalServerException",
        }
    }

    fn error_body(&self, _: &str, message: &str, _: Detail<'_>) -> String {
        format!(r#"{{"message":{}}}"#, quoted(message))
    }

    fn detailed(&self, status: u16, message: &str, _: Detail<'_>) -> Script {
        refused(status, self.error_type(status), message)
    }

    fn missing(&self, param: &str) -> Script {
        self.error(400, &format!("{param}: Field required"))
    }

    fn wrong(&self, param: &str, wanted: &str) -> Script {
        self.error(400, &format!("{param}: Input should be {wanted}"))
    }

    fn not_json(&self) -> Script {
        self.error(
            400,
            "Malformed input request, please reformat your input and try again.",
        )
    }

    fn bad_key(&self) -> Script {
        self.error(403, "Authentication failed: Please make sure your API Key is valid.")
    }

    fn no_model(&self, _: &str) -> Script {
        self.error(400, "The provided model identifier is invalid.")
    }

    fn elsewhere(&self, method: &Method, path: &str, body: &[u8]) -> Option<Script> {
        let counts = path.starts_with("/model/") && path.ends_with("/count-tokens");
        if method != Method::POST || !counts {
            return None;
        }
        let Ok(body) = serde_json::from_slice::<Value>(body) else {
            return Some(self.not_json());
        };
        let ask = Ask::read(Endpoint::BedrockConverse, body["input"]["converse"].clone());
        Some(Script::json(
            200,
            format!(r#"{{"inputTokens":{}}}"#, input_tokens(&ask)),
        ))
    }

    fn with_headers(&self, script: Script, body: &str) -> Script {
        let mut seed = Seed::new(&["request", body]);
        script.header("x-amzn-requestid", seed.id("", 32))
    }
}
