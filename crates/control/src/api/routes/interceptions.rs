//! Interceptions.

pub(crate) mod get;
pub(crate) mod list;
mod usage;

use crate::api::openapi::known_texts;
use crate::api::routes::users::UserRef;
use lychgate_store::InterceptionSummary;
use lychgate_types::interception::Outcome;
use lychgate_types::provider::{Api, ProviderType};
use lychgate_types::{GatewayKeyId, InterceptionId, ReplicaId, Timestamp, TokenId};
use serde::Serialize;
use uuid::Uuid;

/// One AI request through the gateway.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Interception {
    #[schema(value_type = String, format = Uuid)]
    id: InterceptionId,
    /// The user who sent the request.
    user: UserRef,
    #[schema(value_type = String, format = Uuid)]
    token_id: TokenId,
    /// The provider's name at that time.
    provider: String,
    #[schema(schema_with = known_texts::<ProviderType>)]
    provider_type: &'static str,
    #[schema(schema_with = known_texts::<Api>)]
    api: &'static str,
    /// The requested model.
    model: String,
    /// The model that served, as the answer names it, else as a route did; null where it is the one asked for.
    served_model: Option<String>,
    /// Whether the client requested a stream.
    streaming: bool,
    /// The client program; `Unknown` if it was not recognised.
    client: String,
    user_agent: String,
    /// The client's own session id.
    client_session_id: Option<String>,
    /// The client's session; without one, the thread, or this interception.
    session_id: Uuid,
    /// Id of the tool call whose result this request returns.
    thread_parent_tool_call_id: Option<String>,
    /// The interception whose tool call this request returns the result of.
    #[schema(value_type = Option<String>, format = Uuid)]
    thread_parent_id: Option<InterceptionId>,
    /// The first interception of the thread; null on the first itself.
    #[schema(value_type = Option<String>, format = Uuid)]
    thread_root_id: Option<InterceptionId>,
    /// `centralized` or `byok`.
    credential_kind: &'static str,
    /// First and last four characters of a long credential.
    credential_hint: String,
    /// The gateway key of the replica that served it; null for the embedded gateway.
    #[schema(value_type = Option<String>, format = Uuid)]
    gateway_key_id: Option<GatewayKeyId>,
    #[schema(value_type = Option<String>, format = Uuid)]
    replica_id: Option<ReplicaId>,
    #[schema(value_type = String, format = DateTime)]
    started_at: Timestamp,
    /// Null while it is unfinished.
    #[schema(value_type = Option<String>, format = DateTime)]
    ended_at: Option<Timestamp>,
    /// `completed`, `failed`, `client_aborted`, `interrupted` (the gateway was killed; its tokens are estimated),
    /// `gateway_stopped` (its drain time was over) or `unfinished` (the provider went on with it in the background, and nobody has
    /// asked for its end since; its tokens are estimated).
    outcome: &'static str,
    /// The provider's HTTP status; null if it did not respond.
    upstream_status: Option<u16>,
    error_type: Option<String>,
    error_message: Option<String>,
    provider_request_id: Option<String>,
    /// Why the model stopped, as the provider reports it.
    stop_reason: Option<String>,
    /// Number of attempts at providers.
    attempts: u32,
    /// Until the first byte of what the model says, in a stream without comments and verdicts of filters before it; null if no byte came.
    time_to_first_byte_ms: Option<i64>,
    /// Time that the gateway itself took, in microseconds.
    overhead_us: i64,
    /// Whether its replica gave times that can't be, and those of its arrival stand in their place.
    times_replaced: bool,
    /// When it arrived at the control plane; null of old records.
    #[schema(value_type = Option<String>, format = DateTime)]
    received_at: Option<Timestamp>,
    /// The start that its replica gave, where it was replaced.
    #[schema(value_type = Option<String>, format = DateTime)]
    told_started_at: Option<Timestamp>,
    /// The end that its replica gave, where it was replaced.
    #[schema(value_type = Option<String>, format = DateTime)]
    told_ended_at: Option<Timestamp>,
}

impl From<InterceptionSummary> for Interception {
    fn from(seen: InterceptionSummary) -> Self {
        Self {
            id: seen.id,
            user: seen.user.into(),
            token_id: seen.token_id,
            provider: seen.provider,
            provider_type: seen.provider_type.as_str(),
            api: seen.api.as_str(),
            model: seen.model,
            served_model: seen.served_model,
            streaming: seen.streaming,
            client: seen.client,
            user_agent: seen.user_agent,
            client_session_id: seen.client_session_id,
            session_id: seen.session_id,
            thread_parent_tool_call_id: seen.thread_parent_tool_call_id,
            thread_parent_id: seen.thread_parent_id,
            thread_root_id: seen.thread_root_id,
            credential_kind: seen.credential_kind.as_str(),
            credential_hint: seen.credential_hint,
            gateway_key_id: seen.gateway_key_id,
            replica_id: seen.replica_id,
            started_at: seen.started_at,
            ended_at: Some(seen.ended_at).filter(|_| seen.outcome != Outcome::Unfinished),
            outcome: seen.outcome.as_str(),
            upstream_status: seen.upstream_status,
            error_type: seen.error_type,
            error_message: seen.error_message,
            provider_request_id: seen.provider_request_id,
            stop_reason: seen.stop_reason,
            attempts: seen.attempts,
            time_to_first_byte_ms: seen.time_to_first_byte_ms,
            overhead_us: seen.overhead_us,
            times_replaced: seen.times_replaced,
            received_at: seen.received_at,
            told_started_at: seen.told_times.map(|(started, _)| started),
            told_ended_at: seen.told_times.map(|(_, ended)| ended),
        }
    }
}
