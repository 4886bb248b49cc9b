//! What kinds of provider there are and which APIs they speak.

use crate::text_enum;

text_enum! {
    /// The wire family of a provider.
    ProviderType {
        /// Anthropic's own API.
        Anthropic = "anthropic",
        /// OpenAI's own API.
        OpenAi = "openai",
        /// Any server that speaks OpenAI's wire format.
        OpenAiCompatible = "openai-compatible",
    }
}

impl ProviderType {
    /// The provider's public base URL; `None` where only the operator knows it.
    pub const fn default_base_url(self) -> Option<&'static str> {
        match self {
            Self::Anthropic => Some("https://api.anthropic.com"),
            Self::OpenAi => Some("https://api.openai.com/v1"),
            Self::OpenAiCompatible => None,
        }
    }

    /// Whether what was written for one may be sent to the other as it is.
    pub const fn speaks_like(self, other: Self) -> bool {
        matches!(self, Self::Anthropic) == matches!(other, Self::Anthropic)
    }
}

text_enum! {
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
    }
}
