//! A usage object as what it is: a bag of named counters.

use super::{Members, Raw};
use crate::limits::{COUNTERS, NAME_BYTES};
use lychgate_types::interception::TokenUsage;
use serde::de::MapAccess;
use std::collections::BTreeMap;

/// Levels of objects inside a usage object that are looked into.
const DEPTH: usize = 3;

/// The integer counters of a usage object, those of objects inside it by dotted names (`output_tokens_details.reasoning_tokens`).
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub(crate) struct Counters(BTreeMap<String, i64>);

impl Counters {
    /// Reads a usage object; `None` for anything else, `null` too, and for an object without any counter.
    pub(crate) fn read(usage: Raw<'_>) -> Option<Self> {
        let mut counters = Self::default();
        counters.collect("", usage.object()?, DEPTH);
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
        self.0.into_iter().filter(|(_, count)| *count != 0).collect()
    }

    fn collect(&mut self, prefix: &str, entries: Entries<'_>, depth: usize) {
        for (key, value) in entries.0 {
            let name = format!("{prefix}{key}");
            if name.len() > NAME_BYTES {
                continue;
            }
            if let Some(count) = value.integer() {
                self.set(name, count);
            } else if let Some(inner) = (depth > 1).then(|| value.object()).flatten() {
                self.collect(&format!("{name}."), inner, depth - 1);
            }
        }
    }

    fn set(&mut self, name: String, count: i64) {
        if self.0.len() < COUNTERS || self.0.contains_key(&name) {
            self.0.insert(name, count);
        }
    }
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

/// The members of any object, the first [`COUNTERS`] of them.
#[derive(Debug, Default)]
struct Entries<'de>(Vec<(String, Raw<'de>)>);

impl<'de> Members<'de> for Entries<'de> {
    fn read<A: MapAccess<'de>>(&mut self, key: &[u8], map: &mut A) -> Result<bool, A::Error> {
        if self.0.len() >= COUNTERS {
            return Ok(false);
        }
        self.0
            .push((String::from_utf8_lossy(key).into_owned(), map.next_value()?));
        Ok(true)
    }
}
