//! What the providers refuse, in their own words and shapes.

use crate::ask::{Ask, Endpoint};
use crate::json::{quoted, quoted_or_null};
use crate::scenario::Scenario;
use crate::script::Script;
use http::HeaderMap;

/// The two families of error shapes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Family {
    Anthropic,
    OpenAi,
}

impl Endpoint {
    /// Whose errors this API speaks.
    pub(crate) fn family(self) -> Family {
        if self == Self::Messages {
            Family::Anthropic
        } else {
            Family::OpenAi
        }
    }
}

impl Family {
    /// An error with the type that the family gives to this status.
    pub(crate) fn error(self, status: u16, message: &str) -> Script {
        self.detailed(status, message, None, None)
    }

    fn detailed(self, status: u16, message: &str, param: Option<&str>, code: Option<&str>) -> Script {
        let kind = self.kind(status);
        let message = quoted(message);
        let script = match self {
            Self::Anthropic => {
                let id = crate::seed::Seed::new(&[&message]).id("req_011C", 20);
                let body = format!(
                    r#"{{"type":"error","error":{{"type":"{kind}","message":{message}}},"request_id":"{id}"}}"#
                );
                Script::json(status, body)
            }
            Self::OpenAi => {
                let (param, code) = (quoted_or_null(param), quoted_or_null(code));
                let members = format!(
                    "\"message\": {message},\n        \"type\": \"{kind}\",\n        \"param\": {param},\n        \"code\": {code}"
                );
                Script::json(
                    status,
                    format!("{{\n    \"error\": {{\n        {members}\n    }}\n}}\n"),
                )
            }
        };
        match status {
            429 => script.header("retry-after", "1").header("x-should-retry", "true"),
            500..=599 => script.header("x-should-retry", "true"),
            _ => script.header("x-should-retry", "false"),
        }
    }

    fn kind(self, status: u16) -> &'static str {
        match (self, status) {
            (Self::Anthropic, 400 | 405) => "invalid_request_error",
            (Self::Anthropic, 401) => "authentication_error",
            (Self::Anthropic, 403) => "permission_error",
            (Self::Anthropic, 404) => "not_found_error",
            (Self::Anthropic, 413) => "request_too_large",
            (Self::Anthropic, 429) => "rate_limit_error",
            (Self::Anthropic, 529) => "overloaded_error",
            (Self::Anthropic, _) => "api_error",
            (Self::OpenAi, 429) => "requests",
            (Self::OpenAi, 500..) => "server_error",
            (Self::OpenAi, _) => "invalid_request_error",
        }
    }
}

/// The error that the scenario asks for, if it asks for one.
pub(crate) fn asked_for(endpoint: Endpoint, scenario: Scenario) -> Option<Script> {
    let family = endpoint.family();
    let script = match scenario {
        Scenario::Error400 => family.error(400, "The request was not understood, as it was asked to be."),
        Scenario::Error401 => bad_key(family),
        Scenario::Error403 => family.error(
            403,
            "Your API key does not have permission to use the specified resource.",
        ),
        Scenario::Error404 => no_model(family, "no-such-model"),
        Scenario::Error429 => family.detailed(
            429,
            "Rate limit reached for requests.",
            None,
            Some("rate_limit_exceeded"),
        ),
        Scenario::Error500 => family.error(500, "Internal server error"),
        Scenario::Error503 => Script {
            headers: vec![
                ("content-type", "text/html".to_owned()),
                ("retry-after", "2".to_owned()),
            ],
            ..Script::json(
                503,
                "<html><head><title>503 Service Temporarily Unavailable</title></head></html>\r\n".to_owned(),
            )
        },
        Scenario::Error529 => family.error(529, "Overloaded"),
        _ => return None,
    };
    Some(script)
}

/// Refuses a request without the credential that the family wants.
pub(crate) fn credential(family: Family, headers: &HeaderMap) -> Result<(), Script> {
    let full = |name: &str| headers.get(name).is_some_and(|value| !value.is_empty());
    let bearer = headers
        .get("authorization")
        .and_then(|v| v.to_str().ok())
        .is_some_and(|v| v.len() > 7 && v.starts_with("Bearer "));
    match family {
        Family::Anthropic if full("x-api-key") || bearer => Ok(()),
        Family::Anthropic => Err(family.error(401, "x-api-key header is required")),
        Family::OpenAi if bearer => Ok(()),
        Family::OpenAi => Err(family.error(
            401,
            "You didn't provide an API key. You need to provide your API key in an Authorization header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY).",
        )),
    }
}

/// Refuses a body that the provider would refuse.
pub(crate) fn body(ask: &Ask, headers: &HeaderMap) -> Result<(), Script> {
    let family = ask.endpoint.family();
    let missing = |param: &str| match family {
        Family::Anthropic => family.error(400, &format!("{param}: Field required")),
        Family::OpenAi => {
            let message = format!("Missing required parameter: '{param}'.");
            family.detailed(400, &message, Some(param), Some("missing_required_parameter"))
        }
    };
    let wrong = |param: &str, wanted: &str| match family {
        Family::Anthropic => family.error(400, &format!("{param}: Input should be {wanted}")),
        Family::OpenAi => {
            let message = format!("Invalid type for '{param}': expected {wanted}.");
            family.detailed(400, &message, Some(param), Some("invalid_type"))
        }
    };
    if family == Family::Anthropic && !headers.contains_key("anthropic-version") {
        return Err(family.error(400, "anthropic-version: header is required"));
    }
    let required: &[&str] = match ask.endpoint {
        Endpoint::Messages => &["model", "messages"],
        Endpoint::ChatCompletions => &["model", "messages"],
        Endpoint::Responses | Endpoint::Embeddings => &["model", "input"],
    };
    if let Some(param) = required
        .iter()
        .find(|param| ask.body.get(**param).is_none_or(serde_json::Value::is_null))
    {
        return Err(missing(param));
    }
    if !ask.body["model"].is_string() {
        return Err(wrong("model", "a valid string"));
    }
    if ask
        .body
        .get("messages")
        .is_some_and(|messages| messages.as_array().is_none_or(Vec::is_empty))
    {
        return Err(wrong("messages", "a list with at least one message"));
    }
    if ask
        .body
        .get("stream")
        .is_some_and(|stream| !stream.is_boolean() && !stream.is_null())
    {
        return Err(wrong("stream", "a valid boolean"));
    }
    if ask.model.starts_with("no-such-") {
        return Err(no_model(family, &ask.model));
    }
    Ok(())
}

/// Refuses a body that is not a JSON object.
pub(crate) fn not_json(family: Family) -> Script {
    match family {
        Family::Anthropic => family.error(400, "The request body is not valid JSON: expected a JSON object"),
        Family::OpenAi => family.error(400, "We could not parse the JSON body of your request."),
    }
}

fn bad_key(family: Family) -> Script {
    match family {
        Family::Anthropic => family.error(401, "invalid x-api-key"),
        Family::OpenAi => family.detailed(401, "Incorrect API key provided.", None, Some("invalid_api_key")),
    }
}

fn no_model(family: Family, model: &str) -> Script {
    match family {
        Family::Anthropic => family.error(404, &format!("model: {model}")),
        Family::OpenAi => {
            let message = format!("The model `{model}` does not exist or you do not have access to it.");
            family.detailed(404, &message, None, Some("model_not_found"))
        }
    }
}
