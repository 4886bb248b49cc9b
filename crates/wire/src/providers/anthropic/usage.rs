//! Anthropic's usage object.

use crate::json::counters::Counters;
use crate::json::{Raw, members};
use crate::limits::{COUNTERS, PASSES};
use lychgate_types::interception::TokenUsage;

members! {
    struct UsageMembers<'de> { iterations: Raw<'de> = b"iterations", }
}

/// What one message used: its counters, and those of each pass of the model where there was more than one.
#[derive(Debug, Default)]
pub(super) struct Usage {
    counters: Counters,
    /// Empty where the provider tells of no passes.
    iterations: Vec<Counters>,
    /// The output count came with the message's end.
    is_final: bool,
}

impl Usage {
    /// Reads the usage that a message begins with, or has as a whole; `None` where there is none.
    pub(super) fn read(usage: Raw<'_>) -> Option<Self> {
        Counters::read(usage).map(|counters| Self {
            counters,
            iterations: iterations(usage),
            is_final: false,
        })
    }

    /// Takes over a later report. Its counts are totals so far, so none is added.
    pub(super) fn update(&mut self, usage: Raw<'_>) {
        let Some(later) = Counters::read(usage) else { return };
        self.is_final |= later.has("output_tokens");
        self.counters.merge(later);
        let passes = iterations(usage);
        if !passes.is_empty() {
            self.iterations = passes;
        }
    }

    /// Takes over what a message tells that begins a second time under its id.
    pub(super) fn begin_again(&mut self, usage: Raw<'_>) {
        if let Some(again) = Counters::read(usage) {
            self.counters.merge(again);
        }
    }

    /// No later report will come.
    pub(super) fn finish(&mut self) {
        self.is_final = true;
    }

    pub(super) fn is_final(&self) -> bool {
        self.is_final
    }

    /// One row for each pass that is billed.
    pub(super) fn into_rows(self, estimated: bool) -> Vec<TokenUsage> {
        let Self {
            counters, iterations, ..
        } = self;
        let passes = iterations.len();
        // A pass that was declined before it wrote anything is not billed.
        let wrote = |pass: &Counters| pass.get("output_tokens").is_some_and(|count| count > 0);
        let billed: Vec<_> = iterations.into_iter().filter(wrote).collect();
        // Where no pass tells what it wrote, the message does.
        if passes < 2 || billed.is_empty() {
            return vec![row(counters, estimated)];
        }
        let (extra, attributes) = rest(counters);
        let mut rows: Vec<_> = billed.into_iter().map(|pass| row(pass, estimated)).collect();
        for row in &mut rows {
            for (name, value) in &attributes {
                row.attributes.entry(name.clone()).or_insert_with(|| value.clone());
            }
        }
        // What is counted for the message as a whole (web searches, say) stands on its last pass.
        if let Some(last) = rows.last_mut() {
            let room = COUNTERS.saturating_sub(last.extra.len());
            last.extra.extend(extra.into_iter().take(room));
        }
        rows
    }
}

fn iterations(usage: Raw<'_>) -> Vec<Counters> {
    let mut found = Vec::new();
    let members: UsageMembers<'_> = usage.object().unwrap_or_default();
    members.iterations.for_each(|pass| {
        if found.len() < PASSES {
            found.extend(Counters::read(pass));
        }
    });
    found
}

/// What a usage object tells beside the five counts of a row.
fn rest(
    counters: Counters,
) -> (
    std::collections::BTreeMap<String, i64>,
    std::collections::BTreeMap<String, String>,
) {
    let row = row(counters, false);
    (row.extra, row.attributes)
}

/// The tokens of one pass. Input counts leave cached tokens out already; cache writes are told as a sum, and by lifetime.
/// Some servers answer with OpenAI's names.
fn row(mut counters: Counters, estimated: bool) -> TokenUsage {
    if !counters.has("input_tokens") && counters.has("prompt_tokens") {
        return crate::json::counters::openai_usage(counters, estimated);
    }
    let five_minutes = counters.take("cache_creation.ephemeral_5m_input_tokens").unwrap_or(0);
    let one_hour = counters.take("cache_creation.ephemeral_1h_input_tokens").unwrap_or(0);
    let written = counters
        .take("cache_creation_input_tokens")
        .map(|all| all.saturating_sub(one_hour).max(0));
    let (input_tokens, output_tokens) = (
        counters.take("input_tokens").unwrap_or(0),
        counters.take("output_tokens").unwrap_or(0),
    );
    let cache_read_input_tokens = counters.take("cache_read_input_tokens").unwrap_or(0);
    let (extra, attributes) = counters.into_rest();
    TokenUsage {
        input_tokens,
        output_tokens,
        cache_read_input_tokens,
        cache_write_input_tokens: written.unwrap_or(five_minutes),
        cache_write_1h_input_tokens: one_hour,
        estimated,
        extra,
        attributes,
        ..TokenUsage::default()
    }
}
