//! Reading what the gateway has recorded.

pub(crate) mod ingest;

use crate::sql::interceptions as sql;
use crate::users::UserRef;
use crate::{Cursor, Listing, Page, Store, StoreError};
use lychgate_authz::{Caller, Resource, authorise_list};
use lychgate_types::interception::{CredentialKind, ModelThought, Outcome, Prompt, TokenUsage, ToolUsage};
use lychgate_types::provider::{Api, ProviderType};
use lychgate_types::{GatewayKeyId, InterceptionId, ReplicaId, Timestamp, TokenId, UserId};
use uuid::Uuid;

/// One recorded AI request, with sums instead of its lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterceptionSummary {
    /// Its id.
    pub id: InterceptionId,
    /// Who sent it.
    pub user: UserRef,
    /// With which token.
    pub token_id: TokenId,
    /// The provider's name at that time.
    pub provider: String,
    /// The provider's wire family.
    pub provider_type: ProviderType,
    /// The API spoken.
    pub api: Api,
    /// The model asked for.
    pub model: String,
    /// The model asked of the provider, where a route named another.
    pub served_model: Option<String>,
    /// Whether a stream was asked for.
    pub streaming: bool,
    /// The client program.
    pub client: String,
    /// The `user-agent` header.
    pub user_agent: String,
    /// The client's own session id.
    pub client_session_id: Option<String>,
    /// Of the client's session, else of the thread, else its own.
    pub session_id: Uuid,
    /// The interception whose tool call this one brings the result of.
    pub thread_parent_id: Option<InterceptionId>,
    /// The first interception of the thread; `None` on the first itself.
    pub thread_root_id: Option<InterceptionId>,
    /// Whose credential went upstream.
    pub credential_kind: CredentialKind,
    /// Some characters of it.
    pub credential_hint: String,
    /// The gateway key of the replica that saw it; `None` for the embedded gateway.
    pub gateway_key_id: Option<GatewayKeyId>,
    /// The replica that saw it.
    pub replica_id: Option<ReplicaId>,
    /// When the request's head had arrived.
    pub started_at: Timestamp,
    /// When it was over.
    pub ended_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// The provider's HTTP status.
    pub upstream_status: Option<u16>,
    /// The error's type.
    pub error_type: Option<String>,
    /// The error's message.
    pub error_message: Option<String>,
    /// The provider's request id.
    pub provider_request_id: Option<String>,
    /// Why the model stopped.
    pub stop_reason: Option<String>,
    /// Upstream attempts made.
    pub attempts: u32,
    /// In milliseconds.
    pub time_to_first_byte_ms: Option<i64>,
    /// The gateway's own time, in microseconds.
    pub overhead_us: i64,
    /// Sums over its token usages.
    pub tokens: TokenSums,
}

/// Sums over the token usages of one interception; the kinds do not overlap (see [`TokenUsage`]).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenSums {
    /// Neither read from nor written to a cache.
    pub input_tokens: i64,
    /// Reasoning included.
    pub output_tokens: i64,
    /// Read from a cache.
    pub cache_read_input_tokens: i64,
    /// Written to a cache for a short time.
    pub cache_write_input_tokens: i64,
    /// Written to a cache for an hour.
    pub cache_write_1h_input_tokens: i64,
    /// Those of the output spent on reasoning.
    pub reasoning_tokens: i64,
    /// Whether any of the usages is only an estimate.
    pub estimated: bool,
}

/// One recorded AI request, whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterceptionDetail {
    /// All but the lists.
    pub summary: InterceptionSummary,
    /// One per upstream response.
    pub token_usages: Vec<TokenUsage>,
    /// The user's words.
    pub prompts: Vec<Prompt>,
    /// Tool calls, in the answer's order.
    pub tool_usages: Vec<ToolUsage>,
    /// Thoughts, in the answer's order.
    pub model_thoughts: Vec<ModelThought>,
}

/// Which interceptions are wanted; all that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterceptionFilter {
    /// Of this user.
    pub user: Option<UserId>,
    /// To the provider of this name.
    pub provider: Option<String>,
    /// For this model.
    pub model: Option<String>,
    /// From this client program.
    pub client: Option<String>,
    /// Of this session ([`InterceptionSummary::session_id`]).
    pub session: Option<Uuid>,
    /// That ended so.
    pub outcome: Option<Outcome>,
    /// That started at or after.
    pub since: Option<Timestamp>,
    /// That started before.
    pub until: Option<Timestamp>,
}

impl Store {
    /// Interceptions, newest first. A caller who may only see its own gets only its own.
    pub async fn interception_list(
        &self,
        caller: &Caller,
        filter: &InterceptionFilter,
        page: Page,
    ) -> Result<Listing<InterceptionSummary>, StoreError> {
        let only = authorise_list(&caller.principal, Resource::Interception)?;
        let user = match (only, filter.user) {
            (Some(own), Some(wanted)) if own != wanted => {
                return Ok(Listing {
                    items: Vec::new(),
                    next: None,
                });
            }
            (Some(own), _) => Some(own),
            (None, wanted) => wanted,
        };
        let mut held = self.engine.read().await?;
        let items = sql::list(held.conn(), filter, user, page).await?;
        Ok(Listing::cut(items, page, |row| Cursor {
            at: row.started_at,
            id: row.id.as_uuid(),
        }))
    }

    /// One interception with its lists.
    pub async fn interception_get(
        &self,
        caller: &Caller,
        id: InterceptionId,
    ) -> Result<InterceptionDetail, StoreError> {
        let only = authorise_list(&caller.principal, Resource::Interception)?;
        let mut tx = self.engine.snapshot().await?;
        Ok(InterceptionDetail {
            summary: sql::get(tx.conn(), id, only).await?.ok_or(StoreError::NotFound)?,
            token_usages: sql::token_usages(tx.conn(), id).await?,
            prompts: sql::prompts(tx.conn(), id).await?,
            tool_usages: sql::tool_usages(tx.conn(), id).await?,
            model_thoughts: sql::model_thoughts(tx.conn(), id).await?,
        })
    }
}
