//! What requests to each provider type look like, written down a second time.

use lychgate_types::provider::ProviderType;

/// A provider type, as the specification has it.
pub struct Expected {
    /// Below the base URL, and below each of these roots there: what may be asked for, and that nothing else may. `*` stands for one
    /// segment; at the end of `/models/*`, and in a root, for what a name with slashes resolves to, and so does `**`.
    pub paths: &'static [(&'static str, &'static [&'static str])],
    /// The headers that a user token may be in, the first has precedence.
    pub token: &'static [&'static str],
    /// The headers that a provider key of the user's own may be in.
    pub own_key: &'static [&'static str],
    /// The header that the central key goes in, and what precedes it there.
    pub central_key: (&'static str, &'static str),
}

/// Where a user token may be besides, whatever the type.
pub const OTHER_TOKEN: &[&str] = &["api-key", "x-goog-api-key"];

/// Headers with some provider's credential: exactly one goes upstream, whatever the type.
pub const CREDENTIALS: &[&str] = &["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// What a client's own signature is made of; none of it goes upstream.
pub const SIGNATURE: &[&str] = &["x-amz-date", "x-amz-security-token", "x-amz-content-sha256"];

/// The expectations of a provider type.
pub const fn expected(provider_type: ProviderType) -> Expected {
    match provider_type {
        ProviderType::Anthropic => Expected {
            paths: &[(
                "",
                &[
                    "/v1/messages",
                    "/v1/messages/count_tokens",
                    "/v1/messages/batches",
                    "/v1/messages/batches/*",
                    "/v1/messages/batches/*/cancel",
                    "/v1/messages/batches/*/results",
                    "/v1/files",
                    "/v1/files/*",
                    "/v1/files/*/content",
                    "/v1/skills",
                    "/v1/skills/*",
                    "/v1/skills/*/versions",
                    "/v1/skills/*/versions/*",
                    "/v1/models",
                    "/v1/models/*",
                    "/api/event_logging/*",
                    "/api/event_logging/*/*",
                ],
            )],
            token: &["x-api-key", "authorization"],
            own_key: &["x-api-key", "authorization"],
            central_key: ("x-api-key", ""),
        },
        ProviderType::Gemini => Expected {
            paths: &[(
                "",
                &[
                    "/VERSION/models/*:streamGenerateContent",
                    "/VERSION/models/*:generateContent",
                    "/VERSION/models/*:embedContent",
                    "/VERSION/models/*:batchEmbedContents",
                    "/VERSION/models/*:countTokens",
                    "/VERSION/tunedModels/*:streamGenerateContent",
                    "/VERSION/tunedModels/*:generateContent",
                    "/VERSION/models",
                    "/VERSION/models/*",
                ],
            )],
            token: &["x-goog-api-key", "authorization"],
            own_key: &["x-goog-api-key", "authorization"],
            central_key: ("x-goog-api-key", ""),
        },
        ProviderType::OpenAi | ProviderType::OpenAiCompatible => Expected {
            paths: &[("", OPENAI)],
            token: &["authorization", "x-api-key"],
            own_key: &["authorization"],
            central_key: ("authorization", "Bearer "),
        },
        ProviderType::AzureFoundry => Expected {
            paths: &[("", &["/v1/messages", "/v1/messages/count_tokens"])],
            token: &["x-api-key", "api-key", "authorization"],
            own_key: &["x-api-key", "api-key", "authorization"],
            central_key: ("x-api-key", ""),
        },
        ProviderType::Vertex => Expected {
            paths: &[(
                "/v1/projects/*/locations/*/publishers/anthropic/models",
                &["/count-tokens:rawPredict", "/*:streamRawPredict", "/*:rawPredict"],
            )],
            token: &["authorization", "x-api-key"],
            own_key: &["authorization"],
            central_key: ("authorization", "Bearer "),
        },
        ProviderType::OpenRouter => Expected {
            paths: &[("", OPENROUTER)],
            token: &["authorization", "x-api-key"],
            own_key: &["authorization"],
            central_key: ("authorization", "Bearer "),
        },
        ProviderType::AzureOpenAi => Expected {
            paths: &[
                ("/openai/v1", OPENAI),
                ("/openai", OPENAI),
                ("/openai/deployments/*", DEPLOYED),
            ],
            token: &["api-key", "authorization"],
            own_key: &["api-key", "authorization"],
            central_key: ("api-key", ""),
        },
        ProviderType::Bedrock => Expected {
            paths: &[(
"", &[
                "/model/**/invoke",
                "/model/**/invoke-with-response-stream",
                "/model/**/converse",
                "/model/**/converse-stream",
                "/model/**/count-tokens",
            ])],
            token: &["authorization"],
            own_key: &["authorization"],
            central_key: ("authorization", "Bearer "),
        },
    }
}

const OPENAI: &[&str] = &[
    "/chat/completions",
    "/responses",
    "/responses/compact",
    "/responses/input_tokens",
    "/responses/*",
    "/responses/*/cancel",
    "/responses/*/input_items",
    "/embeddings",
    "/completions",
    "/images/generations",
    "/images/edits",
    "/images/variations",
    "/audio/speech",
    "/audio/transcriptions",
    "/audio/translations",
    "/models",
    "/models/*",
    "/conversations",
    "/conversations/*",
    "/conversations/*/items",
    "/conversations/*/items/*",
    "/files",
    "/files/*",
    "/files/*/content",
    "/uploads",
    "/uploads/*/parts",
    "/uploads/*/complete",
    "/uploads/*/cancel",
    "/batches",
    "/batches/*",
    "/batches/*/cancel",
    "/vector_stores",
    "/vector_stores/*",
    "/vector_stores/*/search",
    "/vector_stores/*/files",
    "/vector_stores/*/files/*",
    "/vector_stores/*/files/*/content",
    "/vector_stores/*/file_batches",
    "/vector_stores/*/file_batches/*",
    "/vector_stores/*/file_batches/*/cancel",
    "/vector_stores/*/file_batches/*/files",
    "/containers",
    "/containers/*",
    "/containers/*/files",
    "/containers/*/files/*",
    "/containers/*/files/*/content",
    "/skills",
    "/skills/*",
    "/skills/*/content",
    "/skills/*/versions",
    "/skills/*/versions/*",
    "/skills/*/versions/*/content",
    "/moderations",
];

/// A model's name is its maker's and its own.
const OPENROUTER: &[&str] = &[
    "/chat/completions",
    "/completions",
    "/responses",
    "/embeddings",
    "/models",
    "/models/*/*/endpoints",
];

/// Below a deployment of Azure's.
const DEPLOYED: &[&str] = &[
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/audio/speech",
    "/audio/transcriptions",
    "/audio/translations",
    "/images/generations",
    "/images/edits",
];
