//! What the scripted provider can be asked about itself, under `/__scripted`. Not part of any provider's API.

use crate::families::{Endpoint, is_credential};
use crate::json::quoted;
use crate::perform::bytes_of;
use crate::provider::Shared;
use crate::scenario::Scenario;
use crate::script::{Script, Step};
use crate::seen::SeenRequest;
use http::request::Parts;
use std::time::Duration;

/// Answers `/__scripted`, `/__scripted/requests`, `/__scripted/scripts/{api}/{name}`.
pub(crate) fn answer(parts: &Parts, rest: &str, body: &[u8], shared: &Shared) -> Script {
    let missing = |what: &str| Script::json(404, format!("{{\"error\":{}}}\n", quoted(what)));
    let mut words = rest.trim_matches('/').split('/');
    match (words.next(), words.next(), words.next(), words.next()) {
        (Some(""), None, ..) => {
            let list: Vec<String> = Scenario::ALL
                .iter()
                .map(|s| format!("  {}: {}", quoted(s.name()), quoted(s.about())))
                .collect();
            Script::json(200, format!("{{\n{}\n}}\n", list.join(",\n")))
        }
        (Some("requests"), None, ..) => Script::json(200, listing(&shared.seen())),
        (Some("scripts"), Some(api), Some(name), None) => {
            let Some(endpoint) = Endpoint::ALL.into_iter().find(|endpoint| endpoint.name() == api) else {
                let names = Endpoint::ALL.map(Endpoint::name).join(", ");
                return missing(&format!("no such API; there are {names}"));
            };
            if let Some(script) = shared.script(name) {
                return raw(script.bytes());
            }
            let Some(scenario) = Scenario::named(name) else {
                return missing("no such scenario; see /__scripted");
            };
            let stream = parts.uri.query() != Some("stream=false");
            let example = endpoint.example(stream);
            let asked = if body.is_empty() { example.as_bytes() } else { body };
            bytes_of(endpoint, scenario, asked).map_or_else(|| missing("the body is not a JSON object"), raw)
        }
        _ => missing("there are /__scripted, /__scripted/requests and /__scripted/scripts/{api}/{name}"),
    }
}

fn raw(bytes: Vec<u8>) -> Script {
    let headers = vec![
        ("content-type", "application/octet-stream".to_owned()),
        ("content-length", bytes.len().to_string()),
    ];
    Script {
        delay: Duration::ZERO,
        status: 200,
        headers,
        steps: vec![Step::Send(bytes.into())],
    }
}

/// The requests as JSON, with the values of credential headers left out.
fn listing(requests: &[SeenRequest]) -> String {
    let one = |request: &SeenRequest| {
        let headers: Vec<String> = request
            .headers
            .iter()
            .map(|(name, value)| {
                let name_text = name.as_str();
                let secret = is_credential(name_text) || matches!(name_text, "cookie" | "proxy-authorization");
                let value = if secret {
                    "…".into()
                } else {
                    String::from_utf8_lossy(value.as_bytes())
                };
                format!("[{}, {}]", quoted(name.as_str()), quoted(&value))
            })
            .collect();
        format!(
            r#"{{"method": {}, "path": {}, "headers": [{}], "body": {}}}"#,
            quoted(&request.method),
            quoted(&request.path),
            headers.join(", "),
            quoted(&String::from_utf8_lossy(&request.body)),
        )
    };
    let all: Vec<String> = requests.iter().map(one).collect();
    format!("[{}]\n", all.join(",\n "))
}
