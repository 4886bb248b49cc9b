//! What the providers refuse, and the errors that scenarios ask for.
//!
//! Not here: the words and shapes of each family's errors (`families`).

use crate::ask::Ask;
use crate::families::{Detail, Family};
use crate::host::Host;
use crate::scenario::Scenario;
use crate::script::Script;
use http::HeaderMap;

/// The error that the scenario asks for, if it asks for one.
pub(crate) fn asked_for(family: &dyn Family, scenario: Scenario) -> Option<Script> {
    let script = match scenario {
        Scenario::Error400 => family.error(400, "The request was not understood, as it was asked to be."),
        Scenario::Error401 => family.bad_key(),
        Scenario::Error403 => family.error(
            403,
            "Your API key does not have permission to use the specified resource.",
        ),
        Scenario::Error404 => family.no_model("no-such-model"),
        Scenario::Error429 => {
            let detail = Detail {
                param: None,
                code: Some("rate_limit_exceeded"),
            };
            family.detailed(429, "Rate limit reached for requests.", detail)
        }
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

/// Refuses a request that the provider would refuse.
pub(crate) fn check(ask: &Ask, headers: &HeaderMap) -> Result<(), Script> {
    let api = ask.endpoint.api();
    let family = api.family();
    // There the version is in the body.
    if ask.host != Host::Vertex {
        family.check_headers(headers)?;
    }
    let required = ["model", api.required()];
    if let Some(param) = required
        .iter()
        .find(|param| ask.body.get(**param).is_none_or(serde_json::Value::is_null))
    {
        return Err(family.missing(param));
    }
    if !ask.body["model"].is_string() {
        return Err(family.wrong("model", "a valid string"));
    }
    if ask
        .body
        .get("messages")
        .is_some_and(|messages| messages.as_array().is_none_or(Vec::is_empty))
    {
        return Err(family.wrong("messages", "a list with at least one message"));
    }
    if ask
        .body
        .get("stream")
        .is_some_and(|stream| !stream.is_boolean() && !stream.is_null())
    {
        return Err(family.wrong("stream", "a valid boolean"));
    }
    if ask.model.starts_with("no-such-") {
        return Err(family.no_model(&ask.model));
    }
    Ok(())
}
