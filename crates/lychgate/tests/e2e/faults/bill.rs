//! What the provider bills: of an answer that was cut off, as much as it had sent by then.

use super::log::Sent;
use lychgate_scripted::{SeenRequest, bytes_of};
use serde_json::Value;
use std::collections::HashMap;

/// What one request of a client costs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Bill {
    /// How often it came to the provider.
    pub(super) times: usize,
    pub(super) tokens: Tokens,
    /// Of the answer, had it been sent to its end.
    pub(super) whole: Tokens,
}

/// Tokens of all kinds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tokens {
    pub(super) input: u64,
    pub(super) output: u64,
}

impl Tokens {
    /// Those of a token usage, as the API shows it.
    pub(super) fn of(usage: &Value) -> Self {
        let number = |field: &str| usage[field].as_u64().unwrap_or(0);
        let cached = [
            "cache_read_input_tokens",
            "cache_write_input_tokens",
            "cache_write_1h_input_tokens",
        ];
        Self {
            input: number("input_tokens") + cached.into_iter().map(number).sum::<u64>(),
            output: number("output_tokens"),
        }
    }

    pub(super) fn all(self) -> u64 {
        self.input + self.output
    }
}

impl std::ops::AddAssign for Tokens {
    fn add_assign(&mut self, other: Self) {
        self.input += other.input;
        self.output += other.output;
    }
}

/// By marker. What came without one, or with that of nobody, is given apart.
pub(super) fn bills(came: &[SeenRequest], sent: &[Sent]) -> (HashMap<String, Bill>, Vec<String>) {
    let known: HashMap<_, _> = sent.iter().map(|one| (one.marker.as_str(), one)).collect();
    let (mut bills, mut unknown) = (HashMap::<String, Bill>::new(), Vec::new());
    for request in came {
        let body = String::from_utf8_lossy(&request.body);
        match marker(&body).and_then(|marker| known.get(marker.as_str())) {
            Some(one) => {
                let whole = Tokens::of(&one.ask.usage());
                let bill = bills.entry(one.marker.clone()).or_default();
                bill.times += 1;
                bill.tokens += cost(one, request, whole);
                bill.whole = whole;
            }
            None => unknown.push(format!("{} {}: {body}", request.method, request.path)),
        }
    }
    (bills, unknown)
}

/// The first in a text.
fn marker(text: &str) -> Option<String> {
    let (_, rest) = text.split_once("marker-")?;
    let number: String = rest.chars().take_while(char::is_ascii_digit).collect();
    Some(format!("marker-{number}"))
}

fn cost(one: &Sent, request: &SeenRequest, whole: Tokens) -> Tokens {
    let answer = bytes_of(one.ask.endpoint, one.ask.scenario, &request.body).unwrap_or_default();
    let sent = request.sent_bytes().min(answer.len());
    if sent == answer.len() {
        return whole;
    }
    let (said, all) = (said(&answer[..sent]), said(&answer));
    let output = (whole.output * said).div_ceil(all.max(1));
    Tokens { output, ..whole }
}

/// Characters that the model said in these events.
fn said(events: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(events);
    let data = text.lines().filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok())
        .map(|event| delta(&event))
        .sum()
}

fn delta(event: &Value) -> u64 {
    let (delta, choice) = (&event["delta"], &event["choices"][0]["delta"]);
    let texts = [
        delta,
        &delta["text"],
        &delta["thinking"],
        &choice["content"],
        &choice["reasoning_content"],
    ];
    texts
        .into_iter()
        .filter_map(Value::as_str)
        .map(|text| text.chars().count() as u64)
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::request::Ask;
    use lychgate_scripted::{Endpoint, Scenario};

    #[test]
    fn an_answer_costs_by_what_its_events_say() {
        for endpoint in [Endpoint::Messages, Endpoint::ChatCompletions, Endpoint::Responses] {
            for scenario in [Scenario::Text, Scenario::Thinking] {
                let ask = Ask::new(endpoint, scenario, true, "marker-7 and some words to say again");
                let (answer, whole) = (ask.bytes(), Tokens::of(&ask.usage()));
                let found = said(&answer);
                // The scripted provider counts four characters for a token, each text by itself.
                assert!(
                    found.div_ceil(4) <= whole.output && whole.output <= found / 4 + 2,
                    "{endpoint:?}: {found}"
                );
                let half = said(&answer[..answer.len() / 2]);
                assert!(0 < half && half < found, "{endpoint:?}: {half} of {found}");
            }
        }
        assert_eq!(marker("say marker-12, not marker-3").as_deref(), Some("marker-12"));
        assert_eq!(marker("nothing"), None);
    }
}
