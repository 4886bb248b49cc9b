//! What a scenario makes of a request.

use crate::ask::Ask;
use crate::families::Endpoint;
use crate::scenario::Scenario;
use crate::script::Script;
use crate::{error, fault};

/// The scenario that the request's own words choose.
pub(crate) fn chosen(ask: &Ask) -> Scenario {
    // A coding agent offers many tools and would run what it is told: there, only on demand.
    let callable = !ask.tools.is_empty() && !ask.tools_forbidden && (ask.tools.len() <= 8 || ask.tool_demanded);
    match Scenario::named(&ask.model) {
        Some(scenario) => scenario,
        None if ask.tool_result => Scenario::Text,
        None if callable => Scenario::Tool,
        None if ask.thinking => Scenario::Thinking,
        None => Scenario::Text,
    }
}

/// The answer that the scenario gives to this request.
pub(crate) fn perform(ask: &Ask, scenario: Scenario) -> Script {
    let api = ask.endpoint.api();
    if let Some(error) = error::asked_for(api.family(), scenario) {
        return error;
    }
    let stream = if ask.stream { api.stream(ask, scenario) } else { None };
    match stream {
        Some(stream) => fault::stream(scenario, stream, api.framing()),
        None => fault::blocking(scenario, api.whole(ask, scenario)),
    }
}

/// The exact bytes of the body that the scenario sends in answer to this request's body; `None` where it is not a JSON object.
pub fn bytes_of(endpoint: Endpoint, scenario: Scenario, body: &[u8]) -> Option<Vec<u8>> {
    let Ok(body @ serde_json::Value::Object(_)) = serde_json::from_slice(body) else {
        return None;
    };
    Some(perform(&Ask::read(endpoint, body), scenario).bytes())
}
