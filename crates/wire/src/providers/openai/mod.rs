//! OpenAI's APIs, by OpenAI itself and by the many servers that speak them.

pub(crate) mod chat;
pub(crate) mod completions;
pub(crate) mod embeddings;
mod error;
pub(crate) mod media;
pub(crate) mod objects;
pub(crate) mod responses;

pub(crate) use error::Errors;

use crate::provider::{
    AllowedPath, BEARER, ClientSigns, CredentialHeader, Credentials, Family, GET, POST, ProviderDescription, plain,
};
use lychgate_types::provider::Api;

/// Some clients send whatever key they are given in here, beside or instead of `authorization`.
const API_KEY: CredentialHeader = plain("x-api-key");

/// A line that every client passes over. A blank line behind it would end an event without data, which some fail on.
const COMMENT: &str = ": keep-alive\n";

pub(crate) const DESCRIPTION: ProviderDescription = ProviderDescription {
    base_path: "/v1",
    paths: &[
        AllowedPath::recorded("/v1/chat/completions", Api::OpenAiChatCompletions),
        AllowedPath::recorded("/v1/responses", Api::OpenAiResponses),
        AllowedPath::recorded("/v1/responses/compact", Api::OpenAiResponses),
        AllowedPath::recorded("/v1/embeddings", Api::OpenAiEmbeddings),
        AllowedPath::recorded("/v1/completions", Api::OpenAiCompletions),
        AllowedPath::recorded("/v1/images/generations", Api::OpenAiImages),
        AllowedPath::recorded("/v1/images/edits", Api::OpenAiImages),
        AllowedPath::recorded("/v1/images/variations", Api::OpenAiImages),
        AllowedPath::recorded("/v1/audio/speech", Api::OpenAiAudio),
        AllowedPath::recorded("/v1/audio/transcriptions", Api::OpenAiAudio),
        AllowedPath::recorded("/v1/audio/translations", Api::OpenAiAudio),
        AllowedPath::unrecorded("/v1/models", GET),
        AllowedPath::unrecorded("/v1/models/{model}", GET),
        AllowedPath::question_about("/v1/responses/input_tokens", Api::OpenAiResponses),
        AllowedPath::response("/v1/responses/{id}", "GET, HEAD, DELETE"),
        AllowedPath::response("/v1/responses/{id}/cancel", POST),
        AllowedPath::object("/v1/responses/{id}/input_items", GET),
        AllowedPath::recorded("/v1/conversations", Api::OpenAiObjects),
        AllowedPath::object("/v1/conversations/{id}", "GET, HEAD, POST, DELETE"),
        AllowedPath::object("/v1/conversations/{id}/items", "GET, HEAD, POST"),
        AllowedPath::object("/v1/conversations/{id}/items/{id}", "GET, HEAD, DELETE"),
        AllowedPath::list("/v1/files", Api::OpenAiObjects, Family::Files),
        AllowedPath::stored("/v1/files/{id}", "GET, HEAD, DELETE", Api::OpenAiObjects, Family::Files),
        AllowedPath::stored("/v1/files/{id}/content", GET, Api::OpenAiObjects, Family::Files),
        AllowedPath::made("/v1/uploads", Api::OpenAiObjects, Family::Files),
        AllowedPath::stored("/v1/uploads/{id}/parts", POST, Api::OpenAiObjects, Family::Files),
        AllowedPath::stored("/v1/uploads/{id}/complete", POST, Api::OpenAiObjects, Family::Files),
        AllowedPath::stored("/v1/uploads/{id}/cancel", POST, Api::OpenAiObjects, Family::Files),
        AllowedPath::list("/v1/batches", Api::OpenAiObjects, Family::Batches),
        AllowedPath::shown("/v1/batches/{id}", GET, Api::OpenAiObjects, Family::Batches),
        AllowedPath::shown("/v1/batches/{id}/cancel", POST, Api::OpenAiObjects, Family::Batches),
        AllowedPath::list("/v1/vector_stores", Api::OpenAiObjects, Family::VectorStores),
        AllowedPath::stored(
            "/v1/vector_stores/{id}",
            "GET, HEAD, POST, DELETE",
            Api::OpenAiObjects,
            Family::VectorStores,
        ),
        AllowedPath::stored(
            "/v1/vector_stores/{id}/search",
            POST,
            Api::OpenAiObjects,
            Family::VectorStores,
        ),
        AllowedPath::stored(
            "/v1/vector_stores/{id}/files",
            "GET, HEAD, POST",
            Api::OpenAiObjects,
            Family::VectorStores,
        ),
        AllowedPath::stored(
            "/v1/vector_stores/{id}/files/{id}",
            "GET, HEAD, POST, DELETE",
            Api::OpenAiObjects,
            Family::VectorStores,
        ),
        AllowedPath::stored(
            "/v1/vector_stores/{id}/files/{id}/content",
            GET,
            Api::OpenAiObjects,
            Family::VectorStores,
        ),
        AllowedPath::stored(
            "/v1/vector_stores/{id}/file_batches",
            POST,
            Api::OpenAiObjects,
            Family::VectorStores,
        ),
        AllowedPath::stored(
            "/v1/vector_stores/{id}/file_batches/{id}",
            GET,
            Api::OpenAiObjects,
            Family::VectorStores,
        ),
        AllowedPath::stored(
            "/v1/vector_stores/{id}/file_batches/{id}/cancel",
            POST,
            Api::OpenAiObjects,
            Family::VectorStores,
        ),
        AllowedPath::stored(
            "/v1/vector_stores/{id}/file_batches/{id}/files",
            GET,
            Api::OpenAiObjects,
            Family::VectorStores,
        ),
        AllowedPath::list("/v1/containers", Api::OpenAiObjects, Family::Containers),
        AllowedPath::stored(
            "/v1/containers/{id}",
            "GET, HEAD, DELETE",
            Api::OpenAiObjects,
            Family::Containers,
        ),
        AllowedPath::stored(
            "/v1/containers/{id}/files",
            "GET, HEAD, POST",
            Api::OpenAiObjects,
            Family::Containers,
        ),
        AllowedPath::stored(
            "/v1/containers/{id}/files/{id}",
            "GET, HEAD, DELETE",
            Api::OpenAiObjects,
            Family::Containers,
        ),
        AllowedPath::stored(
            "/v1/containers/{id}/files/{id}/content",
            GET,
            Api::OpenAiObjects,
            Family::Containers,
        ),
        AllowedPath::list("/v1/skills", Api::OpenAiObjects, Family::Skills),
        AllowedPath::stored(
            "/v1/skills/{id}",
            "GET, HEAD, POST, DELETE",
            Api::OpenAiObjects,
            Family::Skills,
        ),
        AllowedPath::stored("/v1/skills/{id}/content", GET, Api::OpenAiObjects, Family::Skills),
        AllowedPath::stored(
            "/v1/skills/{id}/versions",
            "GET, HEAD, POST",
            Api::OpenAiObjects,
            Family::Skills,
        ),
        AllowedPath::stored(
            "/v1/skills/{id}/versions/{id}",
            "GET, HEAD, DELETE",
            Api::OpenAiObjects,
            Family::Skills,
        ),
        AllowedPath::stored(
            "/v1/skills/{id}/versions/{id}/content",
            GET,
            Api::OpenAiObjects,
            Family::Skills,
        ),
        AllowedPath::question("/v1/moderations"),
    ],
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
