//! Anthropic's usage object.

use crate::json::counters::Counters;
use lychgate_types::interception::TokenUsage;

/// The tokens of one answer. Input counts leave cached tokens out already; cache writes are told as a sum, and by lifetime.
pub(super) fn usage(mut counters: Counters, estimated: bool) -> TokenUsage {
    let five_minutes = counters.take("cache_creation.ephemeral_5m_input_tokens").unwrap_or(0);
    let one_hour = counters.take("cache_creation.ephemeral_1h_input_tokens").unwrap_or(0);
    let written = counters
        .take("cache_creation_input_tokens")
        .map(|all| all.saturating_sub(one_hour).max(0));
    TokenUsage {
        input_tokens: counters.take("input_tokens").unwrap_or(0),
        output_tokens: counters.take("output_tokens").unwrap_or(0),
        cache_read_input_tokens: counters.take("cache_read_input_tokens").unwrap_or(0),
        cache_write_input_tokens: written.unwrap_or(five_minutes),
        cache_write_1h_input_tokens: one_hour,
        estimated,
        extra: counters.into_extra(),
        ..TokenUsage::default()
    }
}
