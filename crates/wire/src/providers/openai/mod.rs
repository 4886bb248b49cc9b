//! OpenAI's APIs, by OpenAI itself and by the many servers that speak them.

pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod embeddings;
mod error;
pub(crate) mod media;
pub(crate) mod models;
pub(crate) mod objects;
pub(crate) mod responses;

pub(crate) use error::Errors;

use crate::provider::{
    AllowedPath, BEARER, ClientSigns, CredentialHeader, Credentials, Family, GET, PLAIN_KEYS, POST,
    ProviderDescription, below, plain,
};
use lychgate_types::provider::Api;

/// Some clients send whatever key they are given in here, beside or instead of `authorization`.
const API_KEY: CredentialHeader = plain("x-api-key");

/// A line that every client passes over. A blank line behind it would end an event without data, on which openai-go before 3.43
/// fails, and openai-python once it has seen an event with an id.
const COMMENT: &[u8] = b": keep-alive\n";

/// What OpenAI offers, below whatever base it is offered at.
pub(crate) const OPERATIONS: &[AllowedPath] = &[
    AllowedPath::recorded("/chat/completions", Api::OpenAiChatCompletions),
    AllowedPath {
        websocket: true,
        ..AllowedPath::recorded("/responses", Api::OpenAiResponses)
    },
    AllowedPath::recorded("/responses/compact", Api::OpenAiResponses),
    AllowedPath::recorded("/embeddings", Api::OpenAiEmbeddings),
    AllowedPath::recorded("/completions", Api::OpenAiCompletions),
    AllowedPath::recorded("/images/generations", Api::OpenAiImages),
    AllowedPath::recorded("/images/edits", Api::OpenAiImages),
    AllowedPath::recorded("/images/variations", Api::OpenAiImages),
    AllowedPath::recorded("/audio/speech", Api::OpenAiAudio),
    AllowedPath::recorded("/audio/transcriptions", Api::OpenAiAudio),
    AllowedPath::recorded("/audio/translations", Api::OpenAiAudio),
    AllowedPath::models("/models"),
    // As servers of open models name them: `org/model`, `@host/org/model`.
    AllowedPath::models("/models/{model}").with_model_letters(":@/"),
    AllowedPath::question_about("/responses/input_tokens", Api::OpenAiResponses),
    AllowedPath::response("/responses/{id}", "GET, HEAD, DELETE"),
    AllowedPath::response("/responses/{id}/cancel", POST),
    AllowedPath::object("/responses/{id}/input_items", GET),
    AllowedPath::recorded("/conversations", Api::OpenAiObjects),
    AllowedPath::object("/conversations/{id}", "GET, HEAD, POST, DELETE"),
    AllowedPath::object("/conversations/{id}/items", "GET, HEAD, POST"),
    AllowedPath::object("/conversations/{id}/items/{id}", "GET, HEAD, DELETE"),
    AllowedPath::list("/files", Api::OpenAiObjects, Family::Files),
    AllowedPath::stored("/files/{id}", "GET, HEAD, DELETE", Api::OpenAiObjects, Family::Files),
    AllowedPath::stored("/files/{id}/content", GET, Api::OpenAiObjects, Family::Files),
    AllowedPath::made("/uploads", Api::OpenAiObjects, Family::Files),
    AllowedPath::stored("/uploads/{id}/parts", POST, Api::OpenAiObjects, Family::Files),
    AllowedPath::stored("/uploads/{id}/complete", POST, Api::OpenAiObjects, Family::Files),
    AllowedPath::stored("/uploads/{id}/cancel", POST, Api::OpenAiObjects, Family::Files),
    AllowedPath::list("/batches", Api::OpenAiObjects, Family::Batches),
    AllowedPath::shown("/batches/{id}", GET, Api::OpenAiObjects, Family::Batches),
    AllowedPath::shown("/batches/{id}/cancel", POST, Api::OpenAiObjects, Family::Batches),
    AllowedPath::list("/vector_stores", Api::OpenAiObjects, Family::VectorStores),
    AllowedPath::stored(
        "/vector_stores/{id}",
        "GET, HEAD, POST, DELETE",
        Api::OpenAiObjects,
        Family::VectorStores,
    ),
    AllowedPath::stored(
        "/vector_stores/{id}/search",
        POST,
        Api::OpenAiObjects,
        Family::VectorStores,
    ),
    AllowedPath::stored(
        "/vector_stores/{id}/files",
        "GET, HEAD, POST",
        Api::OpenAiObjects,
        Family::VectorStores,
    ),
    AllowedPath::stored(
        "/vector_stores/{id}/files/{id}",
        "GET, HEAD, POST, DELETE",
        Api::OpenAiObjects,
        Family::VectorStores,
    ),
    AllowedPath::stored(
        "/vector_stores/{id}/files/{id}/content",
        GET,
        Api::OpenAiObjects,
        Family::VectorStores,
    ),
    AllowedPath::stored(
        "/vector_stores/{id}/file_batches",
        POST,
        Api::OpenAiObjects,
        Family::VectorStores,
    ),
    AllowedPath::stored(
        "/vector_stores/{id}/file_batches/{id}",
        GET,
        Api::OpenAiObjects,
        Family::VectorStores,
    ),
    AllowedPath::stored(
        "/vector_stores/{id}/file_batches/{id}/cancel",
        POST,
        Api::OpenAiObjects,
        Family::VectorStores,
    ),
    AllowedPath::stored(
        "/vector_stores/{id}/file_batches/{id}/files",
        GET,
        Api::OpenAiObjects,
        Family::VectorStores,
    ),
    AllowedPath::list("/containers", Api::OpenAiObjects, Family::Containers),
    AllowedPath::stored(
        "/containers/{id}",
        "GET, HEAD, DELETE",
        Api::OpenAiObjects,
        Family::Containers,
    ),
    AllowedPath::stored(
        "/containers/{id}/files",
        "GET, HEAD, POST",
        Api::OpenAiObjects,
        Family::Containers,
    ),
    AllowedPath::stored(
        "/containers/{id}/files/{id}",
        "GET, HEAD, DELETE",
        Api::OpenAiObjects,
        Family::Containers,
    ),
    AllowedPath::stored(
        "/containers/{id}/files/{id}/content",
        GET,
        Api::OpenAiObjects,
        Family::Containers,
    ),
    AllowedPath::list("/skills", Api::OpenAiObjects, Family::Skills),
    AllowedPath::stored(
        "/skills/{id}",
        "GET, HEAD, POST, DELETE",
        Api::OpenAiObjects,
        Family::Skills,
    ),
    AllowedPath::stored("/skills/{id}/content", GET, Api::OpenAiObjects, Family::Skills),
    AllowedPath::stored(
        "/skills/{id}/versions",
        "GET, HEAD, POST",
        Api::OpenAiObjects,
        Family::Skills,
    ),
    AllowedPath::stored(
        "/skills/{id}/versions/{id}",
        "GET, HEAD, DELETE",
        Api::OpenAiObjects,
        Family::Skills,
    ),
    AllowedPath::stored(
        "/skills/{id}/versions/{id}/content",
        GET,
        Api::OpenAiObjects,
        Family::Skills,
    ),
    AllowedPath::question("/moderations"),
];

static PATHS: [AllowedPath; OPERATIONS.len()] = below([("/v1", OPERATIONS)]);

pub(crate) const DESCRIPTION: ProviderDescription = ProviderDescription {
    base_path: "/v1",
    paths: &PATHS,
    own_query: &[],
    query: None,
    settings: &[],
    key_forms: PLAIN_KEYS,
    other_models: None,
    models_ignore_case: false,
    credentials: Credentials {
        token: &[BEARER, API_KEY],
        own_key: &[BEARER.name],
        central_key: BEARER,
        query: &[],
        payer: &["openai-organization", "openai-project"],
    },
    signs: ClientSigns {
        paths: &["/v1/chat/", "/v1/responses", "/v1/embeddings", "/v1/conversations"],
        headers: &[],
    },
};
