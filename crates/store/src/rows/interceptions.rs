//! Recorded AI requests.

use crate::name_or_id::NameOrId;
use crate::rows::users::UserRef;
use lychgate_types::interception::{
    CredentialKind, InterceptionRecord, ModelThought, Outcome, Prompt, TokenUsage, ToolUsage,
};
use lychgate_types::provider::{Api, ProviderType};
use lychgate_types::secret::SecretHash;
use lychgate_types::{GatewayKeyId, InterceptionId, ReplicaId, Timestamp, TokenId, UserId};
use std::collections::HashMap;
use uuid::Uuid;

/// One recorded AI request, with sums instead of its lists.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterceptionSummary {
    /// Its id.
    pub id: InterceptionId,
    /// The user who sent the request.
    pub user: UserRef,
    /// With which token.
    pub token_id: TokenId,
    /// The provider's name at that time.
    pub provider: String,
    /// The provider's wire family.
    pub provider_type: ProviderType,
    /// The API spoken.
    pub api: Api,
    /// The requested model.
    pub model: String,
    /// The model that served, where it is another than the one asked for.
    pub served_model: Option<String>,
    /// Whether the client requested a stream.
    pub streaming: bool,
    /// The client program.
    pub client: String,
    /// The `user-agent` header.
    pub user_agent: String,
    /// The client's own session id.
    pub client_session_id: Option<String>,
    /// The client's session; without one, the thread, or this interception.
    pub session_id: Uuid,
    /// Id of the tool call whose result this request returns.
    pub thread_parent_tool_call_id: Option<String>,
    /// The interception whose tool call this request returns the result of.
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
    /// Number of attempts at providers.
    pub attempts: u32,
    /// In milliseconds.
    pub time_to_first_byte_ms: Option<i64>,
    /// Time that the gateway itself took, in microseconds.
    pub overhead_us: i64,
    /// Sums over its token usages.
    pub tokens: TokenSums,
    /// Whether its replica gave times that can't be, and those of its arrival stand in their place.
    pub times_replaced: bool,
    /// When it arrived here; `None` of records from before this was kept.
    pub received_at: Option<Timestamp>,
    /// The times that its replica gave, where they were replaced.
    pub told_times: Option<(Timestamp, Timestamp)>,
}

/// Sums over the token usages of one interception; the kinds do not overlap (see [`TokenUsage`]).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TokenSums {
    /// Neither read from nor written to a cache.
    pub input_tokens: i64,
    /// Including reasoning.
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
    /// One for each pass that is billed.
    pub token_usages: Vec<TokenUsage>,
    /// The user's words.
    pub prompts: Vec<Prompt>,
    /// Tool calls, in the order of the response.
    pub tool_usages: Vec<ToolUsage>,
    /// Thoughts, in the order of the response.
    pub model_thoughts: Vec<ModelThought>,
}

/// Which interceptions are wanted; all that is given must fit.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InterceptionFilter {
    /// Of this user.
    pub user: Option<NameOrId<UserId>>,
    /// Only those to the provider with this name.
    pub provider: Option<String>,
    /// Only those for this model.
    pub model: Option<String>,
    /// From this client program.
    pub client: Option<String>,
    /// Of this session, by [`InterceptionSummary::session_id`] or [`InterceptionSummary::client_session_id`].
    pub session: Option<String>,
    /// That ended so.
    pub outcome: Option<Outcome>,
    /// That started at or after.
    pub since: Option<Timestamp>,
    /// That started before.
    pub until: Option<Timestamp>,
}

/// Which replica delivers; stamped on its records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplicaStamp {
    /// As it introduced itself.
    pub replica_id: Option<ReplicaId>,
    /// Of the secret that its process showed.
    pub process: Option<SecretHash>,
}

/// Who delivers, as far as it is proved.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deliverer {
    /// `None`: the embedded gateway.
    pub(crate) gateway_key: Option<GatewayKeyId>,
    /// The replica whose process secret was shown.
    pub(crate) replica: Option<ReplicaId>,
}

/// A record with what the control plane knows of it.
#[derive(Clone, Copy)]
pub(crate) struct Placed<'r> {
    pub(crate) record: &'r InterceptionRecord,
    /// Under which it is recorded: its own, unless another gateway key has delivered one under that.
    pub(crate) id: InterceptionId,
    pub(crate) times: Times,
    /// When it arrived.
    pub(crate) received_at: Timestamp,
    pub(crate) token: TokenId,
    pub(crate) user: UserId,
    pub(crate) session: Uuid,
    pub(crate) parent: Option<ThreadLink>,
}

/// When a request began and ended, as far as its replica can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Times {
    pub(crate) started_at: Timestamp,
    pub(crate) ended_at: Timestamp,
    /// Whether they stand in the place of others that can't be.
    pub(crate) are_replaced: bool,
}

/// Which interception asked for a tool call, by the call's id; where an id was given several times, the newest that is told.
#[derive(Debug, Default)]
pub(crate) struct KnownCalls {
    of_session: HashMap<(UserId, String, Uuid), ThreadLink>,
    of_user: HashMap<(UserId, String), ThreadLink>,
}

impl KnownCalls {
    /// Adds a call that is newer than those before it.
    pub(crate) fn add(&mut self, user: UserId, call: String, session: Uuid, link: ThreadLink) {
        self.of_session.insert((user, call.clone(), session), link);
        self.of_user
            .entry((user, call))
            .and_modify(|known| *known = link.max(*known))
            .or_insert(link);
    }

    /// The call of that session, else the newest of that user.
    pub(crate) fn find(&self, user: UserId, call: String, session: Uuid) -> Option<ThreadLink> {
        let key = (user, call, session);
        let found = self.of_session.get(&key).copied();
        found.or_else(|| self.of_user.get(&(key.0, key.1)).copied())
    }
}

/// A thread's link: the interception and the root of its thread (itself, if it is the first).
pub(crate) type ThreadLink = (InterceptionId, InterceptionId);
