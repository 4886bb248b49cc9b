//! One folder per provider type, and the entries by which the rest of the crate finds them.

mod anthropic;
mod azure_foundry;
mod azure_openai;
mod bedrock;
mod gemini;
mod openai;
mod openai_compatible;
mod openrouter;
mod vertex;

pub use openai::chat::UsageChunkFilter;

use crate::client::CODEX;
use crate::format::{ApiFormat, ErrorFormat, ListFormat};
use crate::provider::ProviderDescription;
use lychgate_types::provider::{Api, ProviderType, WireFamily};

/// What a client gets to read that shows no sign of any provider type: most clients that there are can read it.
pub(crate) const DEFAULT_FAMILY: WireFamily = WireFamily::OpenAi;

pub(crate) const fn description(provider_type: ProviderType) -> &'static ProviderDescription {
    match provider_type {
        ProviderType::Anthropic => &anthropic::DESCRIPTION,
        ProviderType::OpenAi => &openai::DESCRIPTION,
        ProviderType::OpenAiCompatible => &openai_compatible::DESCRIPTION,
        ProviderType::Gemini => &gemini::DESCRIPTION,
        ProviderType::AzureOpenAi => &azure_openai::DESCRIPTION,
        ProviderType::AzureFoundry => &azure_foundry::DESCRIPTION,
        ProviderType::Vertex => &vertex::DESCRIPTION,
        ProviderType::OpenRouter => &openrouter::DESCRIPTION,
        ProviderType::Bedrock => &bedrock::DESCRIPTION,
    }
}

pub(crate) fn api(api: Api) -> &'static dyn ApiFormat {
    match api {
        Api::AnthropicMessages => &anthropic::Messages,
        Api::OpenAiChatCompletions => &openai::chat::ChatCompletions,
        Api::OpenAiResponses => &openai::responses::Responses,
        Api::OpenAiEmbeddings => &openai::embeddings::Embeddings,
        Api::OpenAiCompletions => &openai::completions::Completions,
        Api::OpenAiImages | Api::OpenAiAudio => &openai::media::Media,
        Api::OpenAiObjects => &openai::objects::Objects,
        Api::AnthropicObjects => &anthropic::Objects,
        Api::GeminiGenerateContent => &gemini::GenerateContent,
        Api::GeminiEmbeddings => &gemini::Embeddings,
        Api::BedrockInvoke => &bedrock::Invoke,
        Api::BedrockConverse => &bedrock::Converse,
    }
}

pub(crate) fn errors(family: WireFamily) -> &'static dyn ErrorFormat {
    match family {
        WireFamily::Anthropic => &anthropic::Errors,
        WireFamily::OpenAi => &openai::Errors,
        WireFamily::Gemini => &gemini::Errors,
        WireFamily::Bedrock => &bedrock::Errors,
    }
}

/// The format of the list that this client wants of a provider; `names_version` is whether it asks as Codex does. `None` where
/// nothing is known of the family's lists.
pub(crate) fn lists(family: WireFamily, client: &str, names_version: bool) -> Option<&'static dyn ListFormat> {
    match family {
        WireFamily::Anthropic => Some(&anthropic::models::Models),
        WireFamily::OpenAi if client == CODEX || names_version => Some(&openai::models::CodexModels),
        WireFamily::OpenAi => Some(&openai::models::Models),
        WireFamily::Gemini | WireFamily::Bedrock => None,
    }
}
