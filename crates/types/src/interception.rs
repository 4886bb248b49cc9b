//! What the gateway records of one AI request. Made by the data plane, carried by the link, kept by the store.
//!
//! Not here: how a provider spells these facts (crate `wire`) and who may read them (crate `authz`).

use crate::provider::{Api, ProviderType};
use crate::secret::SecretHash;
use crate::{Content, InterceptionId, Timestamp, text_enum};

text_enum! {
    /// How an interception ended.
    Outcome {
        /// The provider's answer went to the client whole.
        Completed = "completed",
        /// The provider failed, or its answer was cut.
        Failed = "failed",
        /// The client left before the end.
        ClientAborted = "client_aborted",
        /// The gateway's process ended without warning; the tokens are estimated.
        Interrupted = "interrupted",
        /// The gateway was told to stop, and its drain time was over.
        GatewayStopped = "gateway_stopped",
        /// The provider goes on with it in the background, and nobody has been shown its end yet; the tokens are estimated.
        Unfinished = "unfinished",
    }
}

text_enum! {
    /// Whose provider credential a request went out with.
    CredentialKind {
        /// The platform's own key, put in by the gateway.
        Centralized = "centralized",
        /// The user's own key (bring your own key).
        Byok = "byok",
    }
}

text_enum! {
    /// Where a model's thought was found.
    ThoughtSource {
        /// Anthropic `thinking` block.
        Thinking = "thinking",
        /// Chat Completions `reasoning_content`.
        Reasoning = "reasoning",
        /// Responses reasoning summary.
        ReasoningSummary = "reasoning_summary",
        /// Responses message with `phase: commentary`.
        Commentary = "commentary",
    }
}

/// Tokens of one pass of a model. The kinds do not overlap: `input_tokens` leaves cached ones out.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TokenUsage {
    /// The provider's id of the response; empty where it gave none.
    pub provider_response_id: String,
    /// Input tokens that were neither read from nor written to a cache.
    pub input_tokens: i64,
    /// All output tokens, reasoning included.
    pub output_tokens: i64,
    /// Input tokens read from the provider's cache.
    pub cache_read_input_tokens: i64,
    /// Input tokens written to the provider's cache with its short lifetime (5 minutes), or of unknown lifetime.
    pub cache_write_input_tokens: i64,
    /// Input tokens written to the provider's cache for one hour.
    pub cache_write_1h_input_tokens: i64,
    /// Those of the output tokens that were spent on reasoning, where the provider says.
    pub reasoning_tokens: i64,
    /// The final counts never came; these are what was known.
    pub estimated: bool,
    /// Further integer counters of the provider's usage object, by their own names.
    pub extra: std::collections::BTreeMap<String, i64>,
    /// What else decides the price, in the provider's words: `model` where another than the record's served this pass,
    /// `service_tier`, `speed`, `inference_geo`, and `cost` where the provider tells what it charged.
    pub attributes: std::collections::BTreeMap<String, String>,
}

/// The user's own words in the request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The id of the response that answered it; empty where none came.
    pub provider_response_id: String,
    /// The text.
    pub prompt: Content,
}

/// A tool call of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ToolUsage {
    /// The id of the response that asked for it.
    pub provider_response_id: String,
    /// The provider's id of the call; empty where it gave none.
    pub tool_call_id: String,
    /// The tool's name, or its type for built-in tools.
    pub tool: String,
    /// The arguments as the provider sent them (JSON text as a rule); empty with content capture off.
    pub input: Content,
}

/// A thought of the model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelThought {
    /// The text.
    pub content: Content,
    /// Where it was found.
    pub source: ThoughtSource,
}

/// One AI request seen by the gateway, as the replica knows it.
///
/// It names the token by its hash and no user: the control plane finds out whose it is, and stamps gateway key and replica
/// from the link that the record came over.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterceptionRecord {
    /// Made by the replica; delivering the same id again changes nothing.
    pub id: InterceptionId,
    /// Hash of the user token that the request came with.
    pub token_hash: SecretHash,
    /// The provider's name.
    pub provider: String,
    /// The provider's type.
    pub provider_type: ProviderType,
    /// The API spoken.
    pub api: Api,
    /// The model asked for; empty where the request named none.
    pub model: String,
    /// The model that served, where it is another than the one asked for: as the answer names it, else as a route did.
    pub served_model: Option<String>,
    /// Whether the client requested a stream.
    pub streaming: bool,
    /// The client program, from the client table; `Unknown` where it is none of them.
    pub client: String,
    /// The `user-agent` header; empty where there was none.
    pub user_agent: String,
    /// The client's own session id, where it sends one.
    pub client_session_id: Option<String>,
    /// Id of the tool call whose result this request brings back: names the interception before it in the thread.
    pub thread_parent_tool_call_id: Option<String>,
    /// The provider's id of the response that this one goes on from: its interception is before this one in the thread.
    pub thread_parent_response_id: Option<String>,
    /// Whose credential went upstream.
    pub credential_kind: CredentialKind,
    /// First and last four characters of a long credential; empty for short ones.
    pub credential_hint: String,
    /// When the request's head had arrived.
    pub started_at: Timestamp,
    /// When the last byte had been relayed, or the exchange was given up.
    pub ended_at: Timestamp,
    /// How it ended.
    pub outcome: Outcome,
    /// The provider's HTTP status, where it answered at all.
    pub upstream_status: Option<u16>,
    /// The provider's (or the gateway's) error type.
    pub error_type: Option<String>,
    /// The provider's (or the gateway's) error message.
    pub error_message: Option<String>,
    /// The provider's request id header.
    pub provider_request_id: Option<String>,
    /// Why the model stopped, as the provider reports it.
    pub stop_reason: Option<String>,
    /// The provider's id of the object that this request made and that the provider stores: it belongs to the user.
    pub stored_object: Option<String>,
    /// The provider's ids of the items of [`Self::stored_object`], which belong to the user as it does.
    pub stored_items: Vec<String>,
    /// It is not an exchange of its own but the end of the one with this id, which is on record as [`Outcome::Unfinished`], made
    /// [`Self::stored_object`], and belongs to a user who may be another than the token's.
    pub completes: bool,
    /// Upstream attempts made, at least 1 when any was.
    pub attempts: u32,
    /// From the request's arrival to the first byte of the provider's body, in milliseconds.
    pub time_to_first_byte_ms: Option<i64>,
    /// The gateway's own time before the request went upstream, in microseconds.
    pub overhead_us: i64,
    /// One row for each pass that is billed; as a rule an answer is one pass.
    pub token_usages: Vec<TokenUsage>,
    /// The user's words; at most one.
    pub prompts: Vec<Prompt>,
    /// Every tool call of the answer.
    pub tool_usages: Vec<ToolUsage>,
    /// Every thought of the answer.
    pub model_thoughts: Vec<ModelThought>,
}
