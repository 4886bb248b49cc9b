//! OpenRouter: OpenAI's Chat Completions, Completions, Responses and Embeddings by many providers, with what each answer cost.

mod other_models;
#[cfg(test)]
mod tests;

use crate::provider::{AllowedPath, Credentials, GET, ProviderDescription, below};
use crate::providers::openai;
use lychgate_types::provider::Api;

const OPERATIONS: &[AllowedPath] = &[
    AllowedPath::recorded("/chat/completions", Api::OpenAiChatCompletions),
    AllowedPath::recorded("/completions", Api::OpenAiCompletions),
    AllowedPath::recorded("/responses", Api::OpenAiResponses),
    AllowedPath::recorded("/embeddings", Api::OpenAiEmbeddings),
    AllowedPath::unrecorded("/models", GET),
    AllowedPath::unrecorded("/models/{id}/{id}/endpoints", GET),
];

static PATHS: [AllowedPath; OPERATIONS.len()] = below([("/v1", OPERATIONS)]);

pub(crate) const DESCRIPTION: ProviderDescription = ProviderDescription {
    paths: &PATHS,
    other_models: Some(other_models::other_models),
    credentials: Credentials {
        payer: &[],
        ..openai::DESCRIPTION.credentials
    },
    ..openai::DESCRIPTION
};
