//! What a scenario makes of a request.

use crate::ask::{Ask, Endpoint};
use crate::families::anthropic::messages as anthropic;
use crate::families::openai::{chat, embeddings, responses};
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
    if let Some(error) = error::asked_for(ask.endpoint, scenario) {
        return error;
    }
    if !ask.stream || ask.endpoint == Endpoint::Embeddings {
        let text = match ask.endpoint {
            Endpoint::Messages => anthropic::message(ask, scenario),
            Endpoint::ChatCompletions => chat::completion(ask, scenario),
            Endpoint::Responses => responses::response(ask, scenario),
            Endpoint::Embeddings => embeddings::embeddings(ask),
        };
        return fault::blocking(scenario, text);
    }
    let (events, error) = match ask.endpoint {
        Endpoint::Messages => (anthropic::events(ask, scenario), anthropic::error_event()),
        Endpoint::ChatCompletions => (chat::events(ask, scenario), chat::error_event()),
        Endpoint::Responses | Endpoint::Embeddings => {
            let events = responses::events(ask, scenario);
            let error = responses::error_event(ask, scenario, events.len() / 2);
            (events, error)
        }
    };
    fault::stream(scenario, events, error)
}

/// The exact bytes of the body that the scenario sends in answer to this request's body; `None` where it is not a JSON object.
pub fn bytes_of(endpoint: Endpoint, scenario: Scenario, body: &[u8]) -> Option<Vec<u8>> {
    let Ok(body @ serde_json::Value::Object(_)) = serde_json::from_slice(body) else {
        return None;
    };
    Some(perform(&Ask::read(endpoint, body), scenario).bytes())
}
