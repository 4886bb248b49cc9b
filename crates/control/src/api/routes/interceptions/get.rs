//! `GET /api/v1/ai-gateway/interceptions/{id}`

use super::Interception;
use super::usage::TokenUsage;
use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::PathId;
use crate::api::routes::problems::{Always, BadId, NotFound};
use crate::state::App;
use axum::extract::State;
use lychgate_store::InterceptionDetail as Stored;
use lychgate_types::InterceptionId;
use lychgate_types::interception as recorded;
use serde::Serialize;

/// An interception with everything that was recorded.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct InterceptionDetail {
    #[serde(flatten)]
    seen: Interception,
    /// One for each pass that is billed; as a rule an answer is one pass.
    token_usages: Vec<TokenUsage>,
    /// What the user wrote; empty if content is not captured.
    #[schema(value_type = Vec<Prompt>)]
    prompts: Vec<recorded::Prompt>,
    /// Tool calls, in the order of the response.
    #[schema(value_type = Vec<ToolUsage>)]
    tool_usages: Vec<recorded::ToolUsage>,
    /// Thoughts, in the order of the response.
    #[schema(value_type = Vec<ModelThought>)]
    model_thoughts: Vec<recorded::ModelThought>,
}

/// Shows one interception with its token usages, prompt, tool calls and thoughts.
#[utoipa::path(get, path = "/ai-gateway/interceptions/{id}", operation_id = "interception_get", tag = "ai-gateway/interceptions",
    params(("id" = String, Path, format = Uuid, description = "Id of the interception.")),
    responses((status = 200, description = "The interception.", body = InterceptionDetail), Always, BadId, NotFound))]
pub(crate) async fn interception_get(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathId(id): PathId<InterceptionId>,
) -> Result<axum::Json<InterceptionDetail>, ApiError> {
    let found = app
        .store
        .interception_get(&caller, id)
        .await
        .map_err(about("interception"))?;
    let Stored {
        summary,
        token_usages,
        prompts,
        tool_usages,
        model_thoughts,
    } = found;
    Ok(axum::Json(InterceptionDetail {
        seen: summary.into(),
        token_usages: token_usages.into_iter().map(TokenUsage::from).collect(),
        prompts,
        tool_usages,
        model_thoughts,
    }))
}

/// What the user wrote.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes lychgate_types::interception::Prompt")]
struct Prompt {
    provider_response_id: String,
    prompt: String,
}

/// A tool call of the model.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes lychgate_types::interception::ToolUsage")]
struct ToolUsage {
    provider_response_id: String,
    tool_call_id: String,
    tool: String,
    /// The arguments as the provider sent them.
    input: String,
}

/// A thought of the model.
#[derive(utoipa::ToSchema)]
#[expect(dead_code, reason = "describes lychgate_types::interception::ModelThought")]
struct ModelThought {
    content: String,
    /// `thinking`, `reasoning`, `reasoning_summary` or `commentary`.
    source: String,
}
