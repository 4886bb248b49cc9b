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
    "promptTokenCount",
    "cachedContentTokenCount",
    "candidatesTokenCount",
    "toolUsePromptTokenCount",
    "thoughtsTokenCount",
    "totalTokenCount",
];

/// Members of a usage object that decide or tell its price and are no counters: kept as the provider wrote them.
const ATTRIBUTES: &[&str] = &[
    "service_tier",
    "serviceTier",
    "trafficType",
    "speed",
    "inference_geo",
    "model",
    "cost",
    "is_byok",
    "cost_details.upstream_inference_cost",
    "cost_details.upstream_inference_prompt_cost",
    "cost_details.upstream_inference_completions_cost",
];

/// The integer counters of a usage object, those of objects inside it by dotted names (`output_tokens_details.reasoning_tokens`),
/// and its [`ATTRIBUTES`].
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Each name once. They are few, so a list is looked through sooner than a tree.
    counts: Vec<(Cow<'static, str>, i64)>,
    attributes: BTreeMap<&'static str, String>,
}

impl Counters {
    /// Reads a usage object; `None` for anything else, `null` too, and for an object without any counter.
    pub(crate) fn read(usage: Raw<'_>) -> Option<Self> {
        let mut counters = Self::default();
        counters.collect(&mut String::new(), usage, DEPTH);
        (!counters.counts.is_empty()).then_some(counters)
    }

    /// Takes over a later report of the same response. Reports are cumulative: of two counts of one name the larger is true, so
    /// that a last report of zeros wipes nothing.
    pub(crate) fn merge(&mut self, later: Self) {
        for (name, count) in later.counts {
            let before = self.get(&name).unwrap_or(i64::MIN);
            self.set(name, count.max(before));
        }
        self.attributes.extend(later.attributes);
    }

    /// Takes over a later report of the same response, whose counts are true where they count anything: they may be lower.
    pub(crate) fn replace(&mut self, later: Self) {
        for (name, count) in later.counts.into_iter().filter(|(_, count)| *count != 0) {
            self.set(name, count);
        }
        self.attributes.extend(later.attributes);
    }

    /// Adds a counter that is found elsewhere.
    pub(crate) fn add(&mut self, name: String, count: i64) {
        self.set(Cow::Owned(name), count);
    }

    /// Whether there is a counter of that name.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The value of a counter.
    pub(crate) fn get(&self, name: &str) -> Option<i64> {
        self.counts
            .iter()
            .find_map(|(known, count)| (known == name).then_some(*count))
    }

    /// Takes a counter out; `None` where it is absent, never less than zero.
    pub(crate) fn take(&mut self, name: &str) -> Option<i64> {
        let at = self.counts.iter().position(|(known, _)| known == name)?;
        Some(self.counts.swap_remove(at).1.max(0))
    }

    /// Takes the first of these counters that is there, and drops the others: they are names of the same count.
    pub(crate) fn take_first(&mut self, names: &[&str]) -> Option<i64> {
        names.iter().fold(None, |found, name| {
            let count = self.take(name);
            found.or(count)
        })
    }

    /// Notes an attribute that stands outside the usage object.
    pub(crate) fn set_attribute(&mut self, name: &'static str, value: String) {
        if !value.is_empty() {
            self.attributes.insert(name, value);
        }
    }

    /// What is left: counters, without those that count nothing, and attributes.
    pub(crate) fn into_rest(self) -> (BTreeMap<String, i64>, BTreeMap<String, String>) {
        let counting = self.counts.into_iter().filter(|(_, count)| *count != 0);
        (
            counting.map(|(name, count)| (name.into_owned(), count)).collect(),
            self.attributes
                .into_iter()
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    }

    /// Adds the counters among an object's first [`COUNTERS`] members. `path` is what goes before their names.
    fn collect(&mut self, path: &mut String, object: Raw<'_>, depth: usize) {
        let (start, mut left) = (path.len(), COUNTERS);
        object.for_each_member(|key, value| {
            let Some(rest) = left.checked_sub(1) else { return };
            left = rest;
            path.push_str(&String::from_utf8_lossy(key));
            if path.len() <= NAME_BYTES {
                if let Some(attribute) = ATTRIBUTES.iter().find(|name| **name == *path) {
                    if value.is_some() && !value.json().starts_with(['{', '[']) {
                        self.set_attribute(attribute, crate::capture::name(value.text_or_json()));
                    }
                } else if let Some(count) = value.count() {
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
        match self.counts.iter().position(|(known, _)| *known == name) {
            Some(at) => self.counts[at].1 = count,
            None if self.counts.len() < COUNTERS => self.counts.push((name, count)),
            None => {}
        }
    }
}

/// A name to keep.
fn kept(name: &str) -> Cow<'static, str> {
    let usual = USUAL.iter().find(|usual| **usual == name);
    usual.map_or_else(|| Cow::Owned(name.to_owned()), |usual| Cow::Borrowed(*usual))
}

/// Names that servers of OpenAI's APIs give to the same count, the usual one first.
const INPUT: &[&str] = &["prompt_tokens", "input_tokens"];
const OUTPUT: &[&str] = &["completion_tokens", "output_tokens"];
const CACHED: &[&str] = &[
    "prompt_tokens_details.cached_tokens",
    "input_tokens_details.cached_tokens",
    "prompt_cache_hit_tokens",
    "cached_tokens",
];
const CACHE_WRITTEN: &[&str] = &[
    "prompt_tokens_details.cache_write_tokens",
    "input_tokens_details.cache_write_tokens",
];
const REASONING: &[&str] = &[
    "completion_tokens_details.reasoning_tokens",
    "output_tokens_details.reasoning_tokens",
    "reasoning_tokens",
];

/// The tokens of one answer as OpenAI's APIs and their imitators count them: cached and written tokens are among the input,
/// and are kept apart here. Anthropic's names, where such a server uses them, mean what they mean to Anthropic.
pub(crate) fn openai_usage(mut counters: Counters, estimated: bool) -> TokenUsage {
    let total = counters.get("total_tokens");
    let input = counters.take_first(INPUT).or(total).unwrap_or(0).max(0);
    let mut output = counters.take_first(OUTPUT).unwrap_or(0);
    let reasoning = counters.take_first(REASONING).unwrap_or(0);
    let sum = input.checked_add(output);
    // Some servers count reasoning beside the output; only the total tells.
    if reasoning > 0 && total.is_some() && total == sum.and_then(|sum| sum.checked_add(reasoning)) {
        output = output.saturating_add(reasoning);
        counters.take("total_tokens");
    }
    // A total that is the plain sum tells nothing; some servers count more into it, and that does.
    if total == sum {
        counters.take("total_tokens");
    }
    let cached = counters.take_first(CACHED).unwrap_or(0);
    let written = counters.take_first(CACHE_WRITTEN).unwrap_or(0);
    counters.take("prompt_cache_miss_tokens");
    let apart_read = counters.take("cache_read_input_tokens").unwrap_or(0);
    let apart_written = counters.take("cache_creation_input_tokens").unwrap_or(0);
    let (extra, attributes) = counters.into_rest();
    TokenUsage {
        input_tokens: input.saturating_sub(cached).saturating_sub(written).max(0),
        output_tokens: output,
        // Some servers tell the same count under both names.
        cache_read_input_tokens: cached.max(apart_read),
        cache_write_input_tokens: written.max(apart_written),
        reasoning_tokens: reasoning,
        estimated,
        extra,
        attributes,
        ..TokenUsage::default()
    }
}
