//! A usage object as what it is: a bag of named counters.

use super::Raw;
use crate::limits::{COUNTERS, NAME_BYTES};
use lychgate_types::interception::TokenUsage;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Levels of objects inside a usage object that are looked into.
const DEPTH: usize = 3;

/// Names that usage objects mostly have; others are allocated. Any name is read.
const USUAL: &[&str] = &[
    "input_tokens",
    "output_tokens",
    "total_tokens",
    "prompt_tokens",
    "completion_tokens",
    "cache_read_input_tokens",
    "cache_creation_input_tokens",
    "cache_creation.ephemeral_5m_input_tokens",
    "cache_creation.ephemeral_1h_input_tokens",
    "input_tokens_details.cached_tokens",
    "output_tokens_details.reasoning_tokens",
    "prompt_tokens_details.cached_tokens",
    "prompt_tokens_details.audio_tokens",
    "completion_tokens_details.reasoning_tokens",
    "completion_tokens_details.audio_tokens",
    "completion_tokens_details.accepted_prediction_tokens",
    "completion_tokens_details.rejected_prediction_tokens",
];

/// The integer counters of a usage object, those of objects inside it by dotted names (`output_tokens_details.reasoning_tokens`).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Counters(BTreeMap<Cow<'static, str>, i64>);

impl Counters {
    /// Reads a usage object; `None` for anything else, `null` too, and for an object without any counter.
    pub(crate) fn read(usage: Raw<'_>) -> Option<Self> {
        let mut counters = Self::default();
        counters.collect(&mut String::new(), usage, DEPTH);
        (!counters.0.is_empty()).then_some(counters)
    }

    /// Takes over the counters of a later report, each in place of the one of that name. For reports that are cumulative.
    pub(crate) fn replace_with(&mut self, later: Self) {
        for (name, count) in later.0 {
            self.set(name, count);
        }
    }

    /// Whether there is a counter of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Takes a counter out; `None` where it is absent, never less than zero.
    pub(crate) fn take(&mut self, name: &str) -> Option<i64> {
        self.0.remove(name).map(|count| count.max(0))
    }

    /// What is left, without those that count nothing.
    pub(crate) fn into_extra(self) -> BTreeMap<String, i64> {
        let counting = self.0.into_iter().filter(|(_, count)| *count != 0);
        counting.map(|(name, count)| (name.into_owned(), count)).collect()
    }

    /// Adds the counters among an object's first [`COUNTERS`] members. `path` is what goes before their names.
    fn collect(&mut self, path: &mut String, object: Raw<'_>, depth: usize) {
        let (start, mut left) = (path.len(), COUNTERS);
        object.for_each_member(|key, value| {
            let Some(rest) = left.checked_sub(1) else { return };
            left = rest;
            path.push_str(&String::from_utf8_lossy(key));
            if path.len() <= NAME_BYTES {
                if let Some(count) = value.integer() {
                    self.set(kept(path), count);
                } else if depth > 1 {
                    path.push('.');
                    self.collect(path, value, depth - 1);
                }
            }
            path.truncate(start);
        });
    }

    fn set(&mut self, name: Cow<'static, str>, count: i64) {
        if self.0.len() < COUNTERS || self.0.contains_key(&name) {
            self.0.insert(name, count);
        }
    }
}

/// A name to keep.
fn kept(name: &str) -> Cow<'static, str> {
    let usual = USUAL.iter().find(|usual| **usual == name);
    usual.map_or_else(|| Cow::Owned(name.to_owned()), |usual| Cow::Borrowed(*usual))
}

/// The spelling that all of OpenAI's APIs share but for three names.
pub(crate) struct OpenAiNames {
    pub(crate) input: &'static str,
    pub(crate) cached: &'static str,
    pub(crate) output: &'static str,
    pub(crate) reasoning: &'static str,
}

impl OpenAiNames {
    /// OpenAI counts cached tokens among the input; here the two are kept apart.
    pub(crate) fn usage(&self, mut counters: Counters, estimated: bool) -> TokenUsage {
        let input = counters.take(self.input).unwrap_or(0);
        let cached = counters.take(self.cached).unwrap_or(0);
        let output = counters.take(self.output).unwrap_or(0);
        let reasoning = counters.take(self.reasoning).unwrap_or(0);
        // A total that is the plain sum tells nothing; some servers count more into it, and that does.
        if counters.0.get("total_tokens") == input.checked_add(output).as_ref() {
            counters.take("total_tokens");
        }
        TokenUsage {
            input_tokens: input.saturating_sub(cached).max(0),
            output_tokens: output,
            cache_read_input_tokens: cached,
            reasoning_tokens: reasoning,
            estimated,
            extra: counters.into_extra(),
            ..TokenUsage::default()
        }
    }
}
