//! Targets and fallbacks in the notation of the command line: `provider`, `provider=model`, `provider=model:weight`.

use lychgate_types::Name;
use serde_json::{Value, json};
use std::str::FromStr;

/// `PROVIDER[=MODEL][:WEIGHT]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Target {
    place: Fallback,
    weight: Option<u32>,
}

/// `PROVIDER[=MODEL]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fallback {
    provider: Name,
    model: Option<String>,
}

impl FromStr for Fallback {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (provider, model) = match text.split_once('=') {
            Some((_, "")) => return Err("the model after `=` is missing"),
            Some((provider, model)) => (provider, Some(model.to_owned())),
            None => (text, None),
        };
        // An id is a valid name too.
        let provider = Name::parse(provider).map_err(|_| "must start with the name or id of a provider")?;
        Ok(Self { provider, model })
    }
}

impl FromStr for Target {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        // Model names contain colons too, so only a number after the last one is a weight.
        let (place, weight) = match text.rsplit_once(':') {
            Some((place, weight)) if is_number(weight) => (place, Some(weight)),
            _ => (text, None),
        };
        let weight = match weight.map(str::parse::<u32>) {
            None => None,
            Some(Ok(weight @ 1..=1000)) => Some(weight),
            Some(_) => {
                return Err(
                    "a weight is a whole number from 1 to 1000; if the model itself ends in `:NUMBER`, give the weight too",
                );
            }
        };
        Ok(Self {
            place: place.parse()?,
            weight,
        })
    }
}

fn is_number(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit())
}

impl Fallback {
    /// As the API takes it.
    pub(super) fn body(&self) -> Value {
        let mut body = json!({ "provider": self.provider });
        if let Some(model) = &self.model {
            body["model"] = model.as_str().into();
        }
        body
    }
}

impl Target {
    /// As the API takes it.
    pub(super) fn body(&self) -> Value {
        let mut body = self.place.body();
        if let Some(weight) = self.weight {
            body["weight"] = weight.into();
        }
        body
    }
}

/// An answer's targets or fallbacks in the notation of the command line.
pub(super) fn texts(places: &Value) -> Vec<String> {
    places.as_array().into_iter().flatten().map(text).collect()
}

fn text(place: &Value) -> String {
    let mut text = place["provider"]["name"].as_str().unwrap_or("?").to_owned();
    if let Some(model) = place["model"].as_str() {
        text.push('=');
        text.push_str(model);
    }
    match place["weight"].as_u64() {
        Some(weight) if weight != 1 || text.rsplit_once(':').is_some_and(|(_, end)| is_number(end)) => {
            text.push_str(&format!(":{weight}"));
        }
        _ => (),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_is_what_is_sent_and_shown() {
        for (typed, body) in [
            ("p", json!({ "provider": "p" })),
            ("P:1000", json!({ "provider": "p", "weight": 1000 })),
            ("p=m", json!({ "provider": "p", "model": "m" })),
            ("p=m:9", json!({ "provider": "p", "model": "m", "weight": 9 })),
            ("p=llama3:70b", json!({ "provider": "p", "model": "llama3:70b" })),
            ("p=v1:0:1", json!({ "provider": "p", "model": "v1:0", "weight": 1 })),
            ("p=a=b", json!({ "provider": "p", "model": "a=b" })),
        ] {
            assert_eq!(typed.parse::<Target>().unwrap().body(), body, "{typed}");
            let answer = json!({ "provider": { "name": "p" }, "model": body["model"], "weight": body["weight"].as_u64().unwrap_or(1) });
            assert_eq!(texts(&json!([answer])), [typed.to_lowercase()]);
        }
        // Fallbacks have no weight: everything after the `=` is the model.
        let fallback: Fallback = "p=v1:0".parse().unwrap();
        assert_eq!(fallback.body(), json!({ "provider": "p", "model": "v1:0" }));
        let answer = json!({ "provider": { "name": "p" }, "model": "v1:0" });
        assert_eq!(texts(&json!([answer])), ["p=v1:0"]);
    }

    #[test]
    fn invalid_targets() {
        for bad in [
            "",
            ":1",
            "=m",
            "p=",
            "p=:3",
            "p:0",
            "p:1001",
            "p=m:0",
            "p=m:99999999999",
            "a b",
            "p:x",
        ] {
            assert!(bad.parse::<Target>().is_err(), "{bad:?}");
        }
        assert!("p:1".parse::<Fallback>().is_err());
    }
}
