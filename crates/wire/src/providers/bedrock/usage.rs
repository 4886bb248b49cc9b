//! Where Bedrock tells counts: in the usage of Converse (and of Nova's own bodies), in the metrics that it adds to the last chunk
//! of a stream, in the headers of a blocking answer, and under names of a model's own. None counts cached tokens as input.

use crate::json::{Raw, members};
use lychgate_types::interception::TokenUsage;

members! {
    /// `usage`
    struct Usage<'de> {
        input: Raw<'de> = b"inputTokens",
        output: Raw<'de> = b"outputTokens",
        cache_read: Raw<'de> = b"cacheReadInputTokens",
        cache_write: Raw<'de> = b"cacheWriteInputTokens",
        // Nova's own bodies spell these two so.
        cache_read_count: Raw<'de> = b"cacheReadInputTokenCount",
        cache_write_count: Raw<'de> = b"cacheWriteInputTokenCount",
        cache_details: Raw<'de> = b"cacheDetails",
    }
}

members! {
    struct CacheDetail<'de> { ttl: Raw<'de> = b"ttl", input: Raw<'de> = b"inputTokens", }
}

members! {
    /// `amazon-bedrock-invocationMetrics`
    struct Metrics<'de> {
        input: Raw<'de> = b"inputTokenCount",
        output: Raw<'de> = b"outputTokenCount",
        cache_read: Raw<'de> = b"cacheReadInputTokenCount",
        cache_write: Raw<'de> = b"cacheWriteInputTokenCount",
    }
}

/// What is known of an answer's tokens. Reports are totals so far.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(super) struct Counts {
    input: Option<i64>,
    output: Option<i64>,
    cache_read: Option<i64>,
    cache_write: Option<i64>,
    cache_write_1h: Option<i64>,
}

impl Counts {
    /// Of a `usage` object.
    pub(super) fn of_usage(usage: Raw<'_>) -> Self {
        let usage: Usage<'_> = usage.object().unwrap_or_default();
        let mut one_hour = None;
        usage.cache_details.for_each(|detail| {
            let Some(detail) = detail.object::<CacheDetail<'_>>().filter(|detail| detail.ttl.is("1h")) else {
                return;
            };
            one_hour = Some(
                one_hour
                    .unwrap_or(0_i64)
                    .saturating_add(count(detail.input).unwrap_or(0)),
            );
        });
        Self {
            input: count(usage.input),
            output: count(usage.output),
            cache_read: count(usage.cache_read).or(count(usage.cache_read_count)),
            cache_write: count(usage.cache_write).or(count(usage.cache_write_count)),
            cache_write_1h: one_hour,
        }
    }

    /// Of the metrics that a stream's last chunk has.
    pub(super) fn of_metrics(metrics: Raw<'_>) -> Self {
        let metrics: Metrics<'_> = metrics.object().unwrap_or_default();
        Self {
            input: count(metrics.input),
            output: count(metrics.output),
            cache_read: count(metrics.cache_read),
            cache_write: count(metrics.cache_write),
            cache_write_1h: None,
        }
    }

    /// Of a blocking answer's headers.
    pub(super) fn of_head(header: &dyn Fn(&str) -> Option<String>) -> Self {
        let count = |name: &str| header(name)?.trim().parse().ok().filter(|count| *count >= 0);
        Self {
            input: count("x-amzn-bedrock-input-token-count"),
            output: count("x-amzn-bedrock-output-token-count"),
            cache_read: count("x-amzn-bedrock-cache-read-input-token-count"),
            cache_write: count("x-amzn-bedrock-cache-write-input-token-count"),
            cache_write_1h: None,
        }
    }

    /// Of members that some models have for them.
    pub(super) fn of<'de>(
        input: impl IntoIterator<Item = Raw<'de>>,
        output: impl IntoIterator<Item = Raw<'de>>,
    ) -> Self {
        Self {
            input: input.into_iter().find_map(count),
            output: output.into_iter().find_map(count),
            ..Self::default()
        }
    }

    /// Takes what is not known yet from elsewhere.
    pub(super) fn or(self, other: Self) -> Self {
        Self {
            input: self.input.or(other.input),
            output: self.output.or(other.output),
            cache_read: self.cache_read.or(other.cache_read),
            cache_write: self.cache_write.or(other.cache_write),
            cache_write_1h: self.cache_write_1h.or(other.cache_write_1h),
        }
    }

    /// The row; `None` where nothing was told.
    pub(super) fn into_row(self) -> Option<TokenUsage> {
        if self == Self::default() {
            return None;
        }
        let one_hour = self.cache_write_1h.unwrap_or(0);
        Some(TokenUsage {
            input_tokens: self.input.unwrap_or(0),
            output_tokens: self.output.unwrap_or(0),
            cache_read_input_tokens: self.cache_read.unwrap_or(0),
            cache_write_input_tokens: self.cache_write.unwrap_or(0).saturating_sub(one_hour).max(0),
            cache_write_1h_input_tokens: one_hour,
            ..TokenUsage::default()
        })
    }

    /// The same as a usage object of Anthropic's, with what is known only.
    pub(super) fn as_anthropic(&self) -> String {
        let members = [
            ("input_tokens", self.input),
            ("output_tokens", self.output),
            ("cache_read_input_tokens", self.cache_read),
            ("cache_creation_input_tokens", self.cache_write),
        ];
        let members = members
            .into_iter()
            .filter_map(|(name, count)| count.map(|count| format!("\"{name}\":{count}")));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }
}

fn count(value: Raw<'_>) -> Option<i64> {
    value.count().map(|count| count.max(0))
}
