//! Google's `usageMetadata`.

use crate::json::Raw;
use crate::json::counters::Counters;
use lychgate_types::interception::TokenUsage;

/// Reads a report of usage, with the counts of each modality by the name of their list: `promptTokensDetails.IMAGE`. `None` where
/// there is no count in it.
pub(super) fn read(usage: Raw<'_>) -> Option<Counters> {
    let mut counters = Counters::read(usage)?;
    usage.for_each_member(|list, details| {
        let list = String::from_utf8_lossy(list);
        details.for_each(|detail| {
            let (mut modality, mut count) = (String::new(), None);
            detail.for_each_member(|name, value| match name {
                b"modality" => modality = value.name(),
                b"tokenCount" => count = value.count(),
                _ => {}
            });
            // The whole is text, unless it is said otherwise.
            if let Some(count) = count.filter(|_| !matches!(modality.as_str(), "" | "TEXT")) {
                counters.add(format!("{list}.{modality}"), count);
            }
        });
    });
    Some(counters)
}

/// The tokens of one answer. The total is the sum of prompt, candidates, prompts of tools and thoughts; what came from the cache
/// lies inside the prompt.
pub(super) fn row(mut counters: Counters, estimated: bool) -> TokenUsage {
    let mut take = |name| counters.take(name).unwrap_or(0);
    let prompt = take("promptTokenCount");
    let candidates = take("candidatesTokenCount");
    let tools = take("toolUsePromptTokenCount");
    let thoughts = take("thoughtsTokenCount");
    let cached = take("cachedContentTokenCount");
    let total = counters.get("totalTokenCount");
    let sum = [candidates, tools]
        .iter()
        .fold(prompt, |sum: i64, count| sum.saturating_add(*count));
    // Servers that only nearly speak this count thoughts among the candidates; only the total tells.
    let has_thoughts_inside = thoughts > 0 && thoughts <= candidates && total == Some(sum);
    let output_tokens = match has_thoughts_inside {
        true => candidates,
        false => candidates.saturating_add(thoughts),
    };
    // A total that is the sum tells nothing; one that is not says that something is counted which has no name here.
    if has_thoughts_inside || total == Some(sum.saturating_add(thoughts)) {
        counters.take("totalTokenCount");
    }
    let (extra, attributes) = counters.into_rest();
    TokenUsage {
        input_tokens: prompt.saturating_sub(cached).max(0).saturating_add(tools),
        output_tokens,
        cache_read_input_tokens: cached,
        reasoning_tokens: thoughts,
        estimated,
        extra,
        attributes,
        ..TokenUsage::default()
    }
}
