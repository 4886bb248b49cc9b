//! `GET /api/v1/ai-gateway/interceptions/{id}`

use super::Interception;
use super::usage::TokenUsage;
use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::PathId;
use crate::api::routes::problems::{Always, BadId, NotFound};
use crate::state::App;
use axum::extract::State;
use lychgate_link::limits::DELIVER_MESSAGE_BYTES;
use lychgate_store::InterceptionDetail as Stored;
use lychgate_types::interception as recorded;
use lychgate_types::{Content, InterceptionId, Opened};
use serde::Serialize;

/// An interception with everything that was recorded.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct InterceptionDetail {
    #[serde(flatten)]
    seen: Interception,
    /// One for each pass that is billed; as a rule an answer is one pass.
    token_usages: Vec<TokenUsage>,
    /// What the user wrote; empty if content is not captured.
    prompts: Vec<Prompt>,
    /// Tool calls, in the order of the response.
    tool_usages: Vec<ToolUsage>,
    /// Thoughts, in the order of the response.
    model_thoughts: Vec<ModelThought>,
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
    let mut room = Room(OPENED_BYTES);
    Ok(axum::Json(InterceptionDetail {
        seen: summary.into(),
        token_usages: token_usages.into_iter().map(TokenUsage::from).collect(),
        prompts: prompts.into_iter().map(|it| Prompt::opened(it, &mut room)).collect(),
        tool_usages: tool_usages
            .into_iter()
            .map(|it| ToolUsage::opened(it, &mut room))
            .collect(),
        model_thoughts: model_thoughts
            .iter()
            .map(|it| ModelThought::opened(it, &mut room))
            .collect(),
    }))
}

/// What all contents of one interception may come to; what is beyond is left out, and the content marked as truncated. A replica
/// cuts them well before, and no delivery is larger, but what is compressed may open to anything.
pub(crate) const OPENED_BYTES: usize = DELIVER_MESSAGE_BYTES;

/// Bytes of contents that still may be opened.
struct Room(usize);

impl Room {
    /// The text, and whether it is truncated.
    fn open(&mut self, content: &Content) -> (String, bool) {
        let Opened { text, truncated } = content.open(self.0);
        self.0 -= text.len().min(self.0);
        (text.into_owned(), truncated)
    }
}

/// What the user wrote.
#[derive(Serialize, utoipa::ToSchema)]
struct Prompt {
    provider_response_id: String,
    prompt: String,
    /// Only its beginning is here: the contents of one interception are shown up to 4 MiB, or the rest can't be opened.
    truncated: bool,
}

impl Prompt {
    fn opened(recorded: recorded::Prompt, room: &mut Room) -> Self {
        let (prompt, truncated) = room.open(&recorded.prompt);
        Self {
            provider_response_id: recorded.provider_response_id,
            prompt,
            truncated,
        }
    }
}

/// A tool call of the model.
#[derive(Serialize, utoipa::ToSchema)]
struct ToolUsage {
    provider_response_id: String,
    tool_call_id: String,
    tool: String,
    /// The arguments as the provider sent them.
    input: String,
    /// Only its beginning is here: the contents of one interception are shown up to 4 MiB, or the rest can't be opened.
    truncated: bool,
}

impl ToolUsage {
    fn opened(recorded: recorded::ToolUsage, room: &mut Room) -> Self {
        let (input, truncated) = room.open(&recorded.input);
        Self {
            provider_response_id: recorded.provider_response_id,
            tool_call_id: recorded.tool_call_id,
            tool: recorded.tool,
            input,
            truncated,
        }
    }
}

/// A thought of the model.
#[derive(Serialize, utoipa::ToSchema)]
struct ModelThought {
    content: String,
    /// `thinking`, `reasoning`, `reasoning_summary` or `commentary`.
    source: &'static str,
    /// Only its beginning is here: the contents of one interception are shown up to 4 MiB, or the rest can't be opened.
    truncated: bool,
}

impl ModelThought {
    fn opened(recorded: &recorded::ModelThought, room: &mut Room) -> Self {
        let (content, truncated) = room.open(&recorded.content);
        Self {
            content,
            source: recorded.source.as_str(),
            truncated,
        }
    }
}
