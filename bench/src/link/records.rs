//! Records as replicas make them: of two, one has asked for a tool, and the next one brings its result.

use lychgate_types::interception::{CredentialKind, InterceptionRecord, Outcome, Prompt, TokenUsage, ToolUsage};
use lychgate_types::provider::{Api, ProviderType};
use lychgate_types::secret::SecretHash;
use lychgate_types::{Ambient, InterceptionId};

/// Makes records of one token.
pub(super) struct Records {
    ambient: Ambient,
    token: SecretHash,
    /// The tool call of the record before, if it asked for one.
    call: Option<String>,
}

impl Records {
    pub(super) fn new(token: SecretHash) -> Self {
        Self {
            ambient: Ambient::system(),
            token,
            call: None,
        }
    }
}

impl Iterator for Records {
    type Item = InterceptionRecord;

    fn next(&mut self) -> Option<InterceptionRecord> {
        let id: InterceptionId = self.ambient.new_id();
        let now = self.ambient.now();
        let response = format!("msg_{}", id.as_uuid().simple());
        let parent = self.call.take();
        if parent.is_none() {
            self.call = Some(format!("toolu_{}", id.as_uuid().simple()));
        }
        let asked = self.call.iter().map(|call| ToolUsage {
            provider_response_id: response.clone(),
            tool_call_id: call.clone(),
            tool: "Read".into(),
            input: r#"{"file_path":"/home/ada/project/src/main.rs"}"#.into(),
        });
        Some(InterceptionRecord {
            id,
            token_hash: self.token,
            provider: "anthropic".into(),
            provider_type: ProviderType::Anthropic,
            api: Api::AnthropicMessages,
            model: "claude-sonnet-5".into(),
            served_model: None,
            streaming: true,
            client: "Claude Code".into(),
            user_agent: "claude-cli/2.0.0 (external, cli)".into(),
            client_session_id: Some("2f1d3c1e-6c1e-4a43-9f2b-0d7c0f6f4d11".into()),
            thread_parent_tool_call_id: parent,
            credential_kind: CredentialKind::Centralized,
            credential_hint: "sk-a…cdef".into(),
            started_at: now,
            ended_at: now,
            outcome: Outcome::Completed,
            upstream_status: Some(200),
            error_type: None,
            error_message: None,
            provider_request_id: Some("req_011CSHoEeqs5C35K2UUqR7Fy".into()),
            stop_reason: Some("end_turn".into()),
            stored_object: None,
            completes: false,
            thread_parent_response_id: None,
            stored_items: Vec::new(),
            attempts: 1,
            time_to_first_byte_ms: Some(420),
            overhead_us: 80,
            tool_usages: asked.collect(),
            token_usages: vec![TokenUsage {
                provider_response_id: response.clone(),
                input_tokens: 1200,
                output_tokens: 300,
                cache_read_input_tokens: 20_000,
                ..TokenUsage::default()
            }],
            prompts: vec![Prompt {
                provider_response_id: response,
                prompt: "Explain what this function does and why the test fails on the second run. "
                    .repeat(3)
                    .into(),
            }],
            model_thoughts: Vec::new(),
        })
    }
}
