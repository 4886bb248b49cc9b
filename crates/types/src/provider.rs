//! Which types of provider there are, which wire family each is of, and which APIs they speak.
//!
//! Not here: what requests to each type look like (crate `wire`, folder `providers`).

use crate::text_enum;

text_enum! {
    /// A type of provider.
    ProviderType {
        /// Anthropic's own API.
        Anthropic = "anthropic",
        /// OpenAI's own API.
        OpenAi = "openai",
        /// Any server that speaks OpenAI's wire format.
        OpenAiCompatible = "openai-compatible",
        /// Google's Gemini API (Google AI Studio).
        Gemini = "gemini",
        /// OpenAI's models on Azure.
        AzureOpenAi = "azure-openai",
        /// Anthropic's models on Azure AI Foundry.
        AzureFoundry = "azure-foundry",
        /// Anthropic's models on Google's Vertex AI.
        Vertex = "vertex",
        /// OpenRouter, which sells the models of many.
        OpenRouter = "openrouter",
        /// Amazon Bedrock, in its own form.
        Bedrock = "bedrock",
    }

    /// An API whose requests are recorded as interceptions.
    Api {
        /// `POST /v1/messages`
        AnthropicMessages = "anthropic_messages",
        /// `POST /v1/chat/completions`
        OpenAiChatCompletions = "openai_chat_completions",
        /// `POST /v1/responses`
        OpenAiResponses = "openai_responses",
        /// `POST /v1/embeddings`
        OpenAiEmbeddings = "openai_embeddings",
        /// `POST /v1/completions`
        OpenAiCompletions = "openai_completions",
        /// `POST /v1/images/generations` and its kin
        OpenAiImages = "openai_images",
        /// `POST /v1/audio/speech` and its kin
        OpenAiAudio = "openai_audio",
        /// What makes, changes, cancels or deletes what an OpenAI provider stores (responses, conversations, files, batches, vector stores,
        /// containers, skills); it uses no tokens
        OpenAiObjects = "openai_objects",
        /// The same of what Anthropic stores (files, batches, skills)
        AnthropicObjects = "anthropic_objects",
        /// `POST /v1beta/models/{model}:generateContent` and `…:streamGenerateContent`
        GeminiGenerateContent = "gemini_generate_content",
        /// `POST /v1beta/models/{model}:embedContent` and `…:batchEmbedContents`
        GeminiEmbeddings = "gemini_embeddings",
        /// `POST /model/{model}/invoke` and `/invoke-with-response-stream`
        BedrockInvoke = "bedrock_invoke",
        /// `POST /model/{model}/converse` and `/converse-stream`
        BedrockConverse = "bedrock_converse",
    }
}

/// The scheme, host and port of a base URL: what stands before its path. A URL is kept in its one form, so two of one origin have the
/// same text.
pub fn origin(base_url: &str) -> &str {
    let host = base_url.find("://").map_or(0, |at| at + 3);
    let path = base_url[host..].find('/');
    path.map_or(base_url, |at| &base_url[..host + at])
}

/// A wire format that several provider types may share: their answers and errors have the same shape, and most take what was written
/// for another of them ([`ProviderType::may_route_to`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum WireFamily {
    /// Anthropic's Messages API and what belongs to it.
    Anthropic,
    /// OpenAI's Chat Completions, Responses and what belongs to them.
    OpenAi,
    /// Google's Gemini API: content generated and embedded.
    Gemini,
    /// Amazon Bedrock's InvokeModel and Converse.
    Bedrock,
}

impl ProviderType {
    /// The wire format that it speaks.
    pub const fn wire_family(self) -> WireFamily {
        match self {
            Self::Anthropic | Self::AzureFoundry | Self::Vertex => WireFamily::Anthropic,
            Self::OpenAi | Self::OpenAiCompatible | Self::AzureOpenAi | Self::OpenRouter => WireFamily::OpenAi,
            Self::Gemini => WireFamily::Gemini,
            Self::Bedrock => WireFamily::Bedrock,
        }
    }

    /// Whether what clients send to a provider of this type can be sent to one of `other` as it is, so that a route may lead there.
    pub fn may_route_to(self, other: Self) -> bool {
        // Of Vertex AI's requests the path names the model and the body the version, where Anthropic's have it the other way.
        let is_apart = |one| matches!(one, Self::Vertex);
        self == other || (self.wire_family() == other.wire_family() && !is_apart(self) && !is_apart(other))
    }

    /// The settings whose values clients write into their paths, so that a route may lead only to providers that have the same.
    pub const fn settings_in_paths(self) -> &'static [&'static str] {
        match self {
            Self::Vertex => &["project", "location"],
            Self::Anthropic
            | Self::AzureFoundry
            | Self::OpenAi
            | Self::OpenAiCompatible
            | Self::AzureOpenAi
            | Self::OpenRouter
            | Self::Gemini
            | Self::Bedrock => &[],
        }
    }

    /// The provider's public base URL; `None` where only the operator knows it.
    pub const fn default_base_url(self) -> Option<&'static str> {
        match self {
            Self::Anthropic => Some("https://api.anthropic.com"),
            Self::OpenAi => Some("https://api.openai.com/v1"),
            Self::Gemini => Some("https://generativelanguage.googleapis.com"),
            Self::OpenRouter => Some("https://openrouter.ai/api/v1"),
            // Bedrock's has the region in it.
            Self::OpenAiCompatible | Self::AzureOpenAi | Self::AzureFoundry | Self::Vertex | Self::Bedrock => None,
        }
    }
}

impl Api {
    /// Whether it is about what a provider stores, and no model is involved.
    pub const fn is_about_objects(self) -> bool {
        matches!(self, Self::OpenAiObjects | Self::AnthropicObjects)
    }

    /// The wire format that it is part of.
    pub const fn wire_family(self) -> WireFamily {
        match self {
            Self::AnthropicMessages | Self::AnthropicObjects => WireFamily::Anthropic,
            Self::OpenAiChatCompletions
            | Self::OpenAiResponses
            | Self::OpenAiEmbeddings
            | Self::OpenAiCompletions
            | Self::OpenAiImages
            | Self::OpenAiAudio
            | Self::OpenAiObjects => WireFamily::OpenAi,
            Self::GeminiGenerateContent | Self::GeminiEmbeddings => WireFamily::Gemini,
            Self::BedrockInvoke | Self::BedrockConverse => WireFamily::Bedrock,
        }
    }
}
