//! Token usages as the API shows them.

use lychgate_types::interception as recorded;
use serde::Serialize;
use std::collections::BTreeMap;

/// Tokens of one pass of a model. The kinds do not overlap.
#[derive(Serialize, utoipa::ToSchema)]
pub(super) struct TokenUsage {
    provider_response_id: String,
    /// Neither read from nor written to a cache.
    input_tokens: i64,
    /// Including reasoning.
    output_tokens: i64,
    cache_read_input_tokens: i64,
    /// For 5 minutes, or of unknown lifetime.
    cache_write_input_tokens: i64,
    /// For one hour.
    cache_write_1h_input_tokens: i64,
    /// Included in the output tokens.
    reasoning_tokens: i64,
    /// The final counts are missing.
    estimated: bool,
    /// The model of this pass, where the provider tells it pass by pass.
    model: Option<String>,
    /// The service tier that served.
    service_tier: Option<String>,
    /// The speed that is billed.
    speed: Option<String>,
    /// Where the model ran.
    inference_geo: Option<String>,
    /// What the provider itself says that it charged, in its own unit, as a decimal number.
    cost: Option<String>,
    /// Further members of the provider's usage object, by its own names.
    extra: BTreeMap<String, Extra>,
}

/// A count, or a word of the provider's.
#[derive(Serialize, utoipa::ToSchema)]
#[serde(untagged)]
enum Extra {
    Count(i64),
    Word(String),
}

impl From<recorded::TokenUsage> for TokenUsage {
    fn from(usage: recorded::TokenUsage) -> Self {
        let attribute = |name: &str| usage.attributes.get(name).cloned();
        let (model, service_tier, speed) = (attribute("model"), attribute("service_tier"), attribute("speed"));
        let (inference_geo, cost) = (attribute("inference_geo"), attribute("cost"));
        let counts = usage.extra.into_iter().map(|(name, n)| (name, Extra::Count(n)));
        let words = usage
            .attributes
            .into_iter()
            .map(|(name, text)| (name, Extra::Word(text)));
        Self {
            provider_response_id: usage.provider_response_id,
            input_tokens: usage.input_tokens,
            output_tokens: usage.output_tokens,
            cache_read_input_tokens: usage.cache_read_input_tokens,
            cache_write_input_tokens: usage.cache_write_input_tokens,
            cache_write_1h_input_tokens: usage.cache_write_1h_input_tokens,
            reasoning_tokens: usage.reasoning_tokens,
            estimated: usage.estimated,
            model,
            service_tier,
            speed,
            inference_geo,
            cost,
            extra: counts.chain(words).collect(),
        }
    }
}
