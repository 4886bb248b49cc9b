//! What the model says, before any API spells it.

use crate::ask::Ask;
use crate::scenario::Scenario;
use crate::seed::Seed;
use crate::tool::Tool;

/// How an answer ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Stop,
    ToolCalls,
    Length,
    Refusal,
}

/// One tool call.
#[derive(Debug, Clone)]
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) arguments: String,
    pub(crate) custom: bool,
}

/// Tokens; the kinds of input do not overlap.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Usage {
    pub(crate) input: usize,
    pub(crate) cache_read: usize,
    pub(crate) cache_write_5m: usize,
    pub(crate) cache_write_1h: usize,
    pub(crate) output: usize,
    pub(crate) reasoning: usize,
}

impl Usage {
    /// All input, in the way the OpenAI APIs count: cached tokens included.
    pub(crate) fn all_input(&self) -> usize {
        self.input + self.cache_read + self.cache_write_5m + self.cache_write_1h
    }
}

/// An answer.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    pub(crate) thought: Option<String>,
    /// What the model says on its way to the answer (Responses: a message with the phase `commentary`).
    pub(crate) commentary: Option<String>,
    pub(crate) text: Option<String>,
    pub(crate) calls: Vec<Call>,
    pub(crate) end: End,
    pub(crate) usage: Usage,
    /// Where the ids come from.
    pub(crate) seed: Seed,
}

impl Answer {
    /// Makes the answer that the scenario gives to this request.
    pub(crate) fn new(ask: &Ask, scenario: Scenario) -> Self {
        let calls = calls(ask, scenario);
        let thinks = ask.thinking || scenario == Scenario::Thinking;
        let thought = thinks.then(|| format!("The user said “{}”. Let me think about that… yes.", excerpt(&ask.said)));
        let text = match scenario {
            _ if !calls.is_empty() => None,
            Scenario::Refusal => Some("I can’t help with that.".to_owned()),
            Scenario::Long => Some("so und weiter, ".repeat(334)),
            Scenario::Huge => Some("0123456789abcdef".repeat(9 << 16)),
            _ => Some(reply(ask)),
        };
        let end = match scenario {
            _ if !calls.is_empty() => End::ToolCalls,
            Scenario::Refusal => End::Refusal,
            Scenario::MaxTokens => End::Length,
            _ => End::Stop,
        };
        let commentary = (scenario == Scenario::EveryTool).then(|| "I will use my tools for that.".to_owned());
        let usage = usage(ask, scenario, thought.as_deref(), text.as_deref(), &calls);
        let seed = Seed::new(&[ask.endpoint.name(), scenario.name(), &ask.model, &ask.said]);
        Self {
            thought,
            commentary,
            text,
            calls,
            end,
            usage,
            seed,
        }
    }
}

fn reply(ask: &Ask) -> String {
    let said = excerpt(&ask.said);
    let subject = if ask.tool_result {
        format!("the tool gave “{said}”")
    } else {
        format!("you said “{said}”")
    };
    format!(
        "Hello from Lychgate’s scripted provider 🏮: {subject}. No model was asked, but question and answer went the whole way."
    )
}

/// The beginning of a text, on one line.
fn excerpt(text: &str) -> String {
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(160) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

fn calls(ask: &Ask, scenario: Scenario) -> Vec<Call> {
    let wanted = match scenario {
        Scenario::Tool => 1,
        Scenario::Tools => 2,
        Scenario::EveryTool => 1,
        _ => return Vec::new(),
    };
    let chosen = ask.body["tool_choice"]["name"]
        .as_str()
        .or_else(|| ask.body["tool_choice"]["function"]["name"].as_str());
    let mut offered: Vec<Tool> = ask
        .tools
        .iter()
        .filter(|tool| chosen.is_none_or(|name| name == tool.name))
        .cloned()
        .collect();
    if offered.is_empty() {
        offered.push(Tool::weather());
    }
    let call = |nth: usize| {
        let tool = &offered[nth % offered.len()];
        Call {
            name: tool.name.clone(),
            arguments: tool.arguments(nth),
            custom: tool.custom,
        }
    };
    (0..wanted).map(call).collect()
}

fn usage(ask: &Ask, scenario: Scenario, thought: Option<&str>, text: Option<&str>, calls: &[Call]) -> Usage {
    // The usual rule of thumb: four characters a token.
    let tokens = |text: &str| text.chars().count().div_ceil(4);
    let reasoning = thought.map_or(0, tokens);
    let called: usize = calls.iter().map(|call| 12 + tokens(&call.arguments)).sum();
    let output = reasoning + text.map_or(0, tokens) + called;
    let plain = 9 + 5 * ask.turns + 40 * ask.tools.len() + tokens(&ask.said);
    let (cache_read, cache_write_5m, cache_write_1h) = match scenario {
        Scenario::Cached => ask.endpoint.api().cached_tokens(),
        // A conversation's first turn fills the cache, later ones read it.
        _ if ask.cache_marked && ask.turns > 1 => (1024, 64, 0),
        _ if ask.cache_marked => (0, 1024, 0),
        _ => (0, 0, 0),
    };
    Usage {
        input: plain,
        cache_read,
        cache_write_5m,
        cache_write_1h,
        output,
        reasoning,
    }
}

/// Cuts a text into the pieces that it is streamed in: a word with its space each.
pub(crate) fn pieces(text: &str) -> Vec<&str> {
    // One piece for text without words, such as the huge one.
    text.split_inclusive(' ').collect()
}

/// Cuts arguments into pieces of a few characters that heed no token of JSON.
pub(crate) fn fragments(arguments: &str) -> Vec<String> {
    let characters: Vec<char> = arguments.chars().collect();
    characters.chunks(5).map(|chunk| chunk.iter().collect()).collect()
}
