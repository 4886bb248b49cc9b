//! What unit tests of several modules need.

use lychgate_types::Ambient;
use lychgate_types::interception::{CredentialKind, InterceptionRecord, Outcome};
use lychgate_types::provider::{Api, ProviderType};
use lychgate_types::secret::SecretHash;

/// A record of no exchange in particular.
pub(crate) fn record() -> InterceptionRecord {
    let ambient = Ambient::system();
    InterceptionRecord {
        id: ambient.new_id(),
        token_hash: SecretHash::from_bytes([0; 32]),
        provider: "anthropic".into(),
        provider_type: ProviderType::Anthropic,
        api: Api::AnthropicMessages,
        model: "m".into(),
        served_model: None,
        streaming: false,
        client: "Unknown".into(),
        user_agent: String::new(),
        client_session_id: None,
        thread_parent_tool_call_id: None,
        credential_kind: CredentialKind::Centralized,
        credential_hint: String::new(),
        started_at: ambient.now(),
        ended_at: ambient.now(),
        outcome: Outcome::Completed,
        upstream_status: Some(200),
        error_type: None,
        error_message: None,
        provider_request_id: None,
        stop_reason: None,
        stored_object: None,
        completes: false,
        thread_parent_response_id: None,
        stored_items: Vec::new(),
        attempts: 1,
        time_to_first_byte_ms: None,
        overhead_us: 0,
        token_usages: Vec::new(),
        prompts: Vec::new(),
        tool_usages: Vec::new(),
        model_thoughts: Vec::new(),
    }
}
