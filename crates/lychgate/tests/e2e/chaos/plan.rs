//! What one request of the run meets: drawn from a seed, so that a run can be made again.

use super::faults::Fault;
use crate::dice::Dice;
use lychgate_scripted::{Endpoint, Scenario, bytes_of};

/// One request.
#[derive(Debug, Clone)]
pub(super) struct Plan {
    pub(super) endpoint: Endpoint,
    /// The provider's name.
    pub(super) provider: &'static str,
    pub(super) stream: bool,
    pub(super) body: String,
    /// What the provider answers where nothing is amiss.
    pub(super) answer: Vec<u8>,
    /// What happens to each attempt; the last stays.
    pub(super) faults: Vec<Fault>,
    /// The client leaves when so many bytes have come.
    pub(super) leaves_after: Option<usize>,
}

impl Plan {
    pub(super) fn draw(dice: &mut Dice, number: usize) -> Self {
        let endpoint = dice.of(&[Endpoint::Messages, Endpoint::ChatCompletions, Endpoint::Responses]);
        let stream = dice.percent(60);
        let provider = match endpoint {
            // Nobody listens where this one should be.
            _ if dice.percent(3) => "gone",
            Endpoint::Messages => "steady",
            _ => "touchy",
        };
        let endpoint = if provider == "gone" {
            Endpoint::Messages
        } else {
            endpoint
        };
        let scenario = dice.of(&[Scenario::Text, Scenario::Thinking, Scenario::Tools, Scenario::MaxTokens]);
        // Usage asked for, so that the client gets the provider's bytes on every API.
        let body = endpoint
            .example(stream)
            .replacen('{', r#"{"stream_options":{"include_usage":true},"#, 1);
        let body = body.replace("Hello", &format!("request {number}"));
        let answer = bytes_of(endpoint, scenario, body.as_bytes()).unwrap();
        let faults = (0..dice.of(&[1, 1, 2, 3])).map(|_| Fault::draw(dice)).collect();
        let mut plan = Self {
            endpoint,
            provider,
            stream,
            body,
            answer,
            faults,
            leaves_after: None,
        };
        // What never ends is read on for half a minute when its client leaves: too long for this run.
        if dice.percent(6) && !plan.faults.iter().any(|fault| fault.is_endless()) {
            plan.leaves_after = Some(dice.below(plan.answer.len()));
        }
        plan
    }

    /// What happens to the nth attempt, from 0.
    pub(super) fn fault(&self, attempt: usize) -> Fault {
        self.faults[attempt.min(self.faults.len() - 1)]
    }

    /// Whether nothing is amiss, however often it is tried.
    pub(super) fn is_sound(&self) -> bool {
        self.provider != "gone" && self.faults.iter().all(|fault| *fault == Fault::None)
    }
}
