//! Interception records between the product's type, the wire's message, and the bytes that are spooled and sent.

use crate::bounded;
use crate::field::{BadMessage, id_bytes, read_hash, read_id};
use crate::generated as wire;
use bytes::Bytes;
use lychgate_types::interception::{InterceptionRecord, ModelThought, Prompt, TokenUsage, ToolUsage};
use lychgate_types::{Content, InterceptionId, Timestamp};
use prost::Message;

/// A record as it is spooled and sent: its id, and its bytes (an `Interception` of `proto/link.proto`). Encoded once, when it
/// is made.
#[derive(Clone, PartialEq, Eq)]
pub struct EncodedRecord {
    id: InterceptionId,
    bytes: Bytes,
}

impl EncodedRecord {
    /// Encodes a record.
    pub fn encode(record: InterceptionRecord) -> Self {
        Self {
            id: record.id,
            bytes: wire::Interception::from(record).encode_to_vec().into(),
        }
    }

    /// Appends a record to a buffer, for a caller that reuses buffers.
    pub fn encode_to(record: InterceptionRecord, buffer: &mut Vec<u8>) {
        // The only error is a buffer that is too small, and this one grows.
        let _ = wire::Interception::from(record).encode(buffer);
    }

    /// Takes back what [`Self::bytes`] returned. Reads only the id; [`Self::decode`] says whether the rest is readable.
    pub fn from_bytes(bytes: Bytes) -> Result<Self, BadMessage> {
        let head = wire::InterceptionHead::decode(bytes.clone()).map_err(|_| BadMessage("interception"))?;
        let id = InterceptionId::from_uuid(read_id(&head.id, "interception.id")?);
        Ok(Self { id, bytes })
    }

    /// The record's id.
    pub const fn id(&self) -> InterceptionId {
        self.id
    }

    /// The record's bytes; they may hold prompts.
    pub const fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// Decodes the record.
    pub fn decode(&self) -> Result<InterceptionRecord, BadMessage> {
        bounded::check(&self.bytes, bounded::INTERCEPTION)?;
        wire::Interception::decode(self.bytes.clone())
            .map_err(|_| BadMessage("interception"))?
            .try_into()
    }
}

impl std::fmt::Debug for EncodedRecord {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "EncodedRecord({}, {} bytes)", self.id, self.bytes.len())
    }
}

impl From<InterceptionRecord> for wire::Interception {
    fn from(record: InterceptionRecord) -> Self {
        Self {
            id: id_bytes(record.id.as_uuid()),
            token_hash: record.token_hash.as_bytes().to_vec(),
            provider: record.provider,
            provider_type: record.provider_type.as_str().to_owned(),
            api: record.api.as_str().to_owned(),
            model: record.model,
            served_model: record.served_model,
            streaming: record.streaming,
            client: record.client,
            user_agent: record.user_agent,
            client_session_id: record.client_session_id,
            thread_parent_tool_call_id: record.thread_parent_tool_call_id,
            credential_kind: record.credential_kind.as_str().to_owned(),
            credential_hint: record.credential_hint,
            started_at: record.started_at.as_micros(),
            ended_at: record.ended_at.as_micros(),
            outcome: record.outcome.as_str().to_owned(),
            upstream_status: record.upstream_status.map(u32::from),
            error_type: record.error_type,
            error_message: record.error_message,
            provider_request_id: record.provider_request_id,
            stop_reason: record.stop_reason,
            stored_object: record.stored_object,
            completes: record.completes,
            thread_parent_response_id: record.thread_parent_response_id,
            stored_items: record.stored_items,
            attempts: record.attempts,
            time_to_first_byte_ms: record.time_to_first_byte_ms,
            overhead_us: record.overhead_us,
            token_usages: record.token_usages.into_iter().map(token_usage).collect(),
            prompts: record.prompts.into_iter().map(prompt).collect(),
            tool_usages: record.tool_usages.into_iter().map(tool_usage).collect(),
            model_thoughts: record.model_thoughts.into_iter().map(model_thought).collect(),
        }
    }
}

fn token_usage(usage: TokenUsage) -> wire::TokenUsage {
    wire::TokenUsage {
        provider_response_id: usage.provider_response_id,
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cache_read_input_tokens: usage.cache_read_input_tokens,
        cache_write_input_tokens: usage.cache_write_input_tokens,
        cache_write_1h_input_tokens: usage.cache_write_1h_input_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        estimated: usage.estimated,
        extra: usage.extra.into_iter().collect(),
        attributes: usage.attributes.into_iter().collect(),
    }
}

fn prompt(prompt: Prompt) -> wire::Prompt {
    let (text, zstd) = content(prompt.prompt);
    wire::Prompt {
        provider_response_id: prompt.provider_response_id,
        prompt: text,
        prompt_zstd: zstd,
    }
}

fn tool_usage(usage: ToolUsage) -> wire::ToolUsage {
    let (text, zstd) = content(usage.input);
    wire::ToolUsage {
        provider_response_id: usage.provider_response_id,
        tool_call_id: usage.tool_call_id,
        tool: usage.tool,
        input: text,
        input_zstd: zstd,
    }
}

fn model_thought(thought: ModelThought) -> wire::ModelThought {
    let (text, zstd) = content(thought.content);
    wire::ModelThought {
        content: text,
        source: thought.source.as_str().to_owned(),
        content_zstd: zstd,
    }
}

/// The two fields of a content, of which one is empty.
fn content(content: Content) -> (String, Vec<u8>) {
    match content.compressed() {
        Content::Plain(text) => (text, Vec::new()),
        Content::Zstd(bytes) => (String::new(), bytes),
    }
}

fn read_content(text: String, zstd: Vec<u8>) -> Content {
    if zstd.is_empty() {
        Content::Plain(text)
    } else {
        Content::Zstd(zstd)
    }
}

impl TryFrom<wire::Interception> for InterceptionRecord {
    type Error = BadMessage;
    fn try_from(record: wire::Interception) -> Result<Self, BadMessage> {
        let thought = |thought: wire::ModelThought| {
            let source = thought
                .source
                .parse()
                .map_err(|_| BadMessage("interception.model_thoughts.source"))?;
            Ok(ModelThought {
                content: read_content(thought.content, thought.content_zstd),
                source,
            })
        };
        let upstream_status = record.upstream_status.map(u16::try_from).transpose();
        Ok(Self {
            id: InterceptionId::from_uuid(read_id(&record.id, "interception.id")?),
            token_hash: read_hash(&record.token_hash, "interception.token_hash")?,
            provider: record.provider,
            provider_type: record
                .provider_type
                .parse()
                .map_err(|_| BadMessage("interception.provider_type"))?,
            api: record.api.parse().map_err(|_| BadMessage("interception.api"))?,
            model: record.model,
            served_model: record.served_model,
            streaming: record.streaming,
            client: record.client,
            user_agent: record.user_agent,
            client_session_id: record.client_session_id,
            thread_parent_tool_call_id: record.thread_parent_tool_call_id,
            credential_kind: record
                .credential_kind
                .parse()
                .map_err(|_| BadMessage("interception.credential_kind"))?,
            credential_hint: record.credential_hint,
            started_at: Timestamp::from_micros(record.started_at),
            ended_at: Timestamp::from_micros(record.ended_at),
            outcome: record.outcome.parse().map_err(|_| BadMessage("interception.outcome"))?,
            upstream_status: upstream_status.map_err(|_| BadMessage("interception.upstream_status"))?,
            error_type: record.error_type,
            error_message: record.error_message,
            provider_request_id: record.provider_request_id,
            stop_reason: record.stop_reason,
            stored_object: record.stored_object,
            completes: record.completes,
            thread_parent_response_id: record.thread_parent_response_id,
            stored_items: record.stored_items,
            attempts: record.attempts,
            time_to_first_byte_ms: record.time_to_first_byte_ms,
            overhead_us: record.overhead_us,
            token_usages: record.token_usages.into_iter().map(read_token_usage).collect(),
            prompts: record
                .prompts
                .into_iter()
                .map(|p| Prompt {
                    provider_response_id: p.provider_response_id,
                    prompt: read_content(p.prompt, p.prompt_zstd),
                })
                .collect(),
            tool_usages: record
                .tool_usages
                .into_iter()
                .map(|t| ToolUsage {
                    provider_response_id: t.provider_response_id,
                    tool_call_id: t.tool_call_id,
                    tool: t.tool,
                    input: read_content(t.input, t.input_zstd),
                })
                .collect(),
            model_thoughts: record
                .model_thoughts
                .into_iter()
                .map(thought)
                .collect::<Result<_, _>>()?,
        })
    }
}

fn read_token_usage(usage: wire::TokenUsage) -> TokenUsage {
    TokenUsage {
        provider_response_id: usage.provider_response_id,
        input_tokens: usage.input_tokens,
        output_tokens: usage.output_tokens,
        cache_read_input_tokens: usage.cache_read_input_tokens,
        cache_write_input_tokens: usage.cache_write_input_tokens,
        cache_write_1h_input_tokens: usage.cache_write_1h_input_tokens,
        reasoning_tokens: usage.reasoning_tokens,
        estimated: usage.estimated,
        extra: usage.extra.into_iter().collect(),
        attributes: usage.attributes.into_iter().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(message: &impl Message) -> Bytes {
        message.encode_to_vec().into()
    }

    #[test]
    fn a_record_whose_id_is_readable_is_told_apart_from_one_without() {
        let head = wire::InterceptionHead { id: vec![7; 16] };
        let named = EncodedRecord::from_bytes(bytes(&head)).unwrap();
        assert_eq!(named.id().as_uuid().as_bytes(), &[7; 16]);
        assert_eq!(named.decode(), Err(BadMessage("interception.token_hash")));
        assert_eq!(
            EncodedRecord::from_bytes(Bytes::new()),
            Err(BadMessage("interception.id"))
        );
        assert_eq!(
            EncodedRecord::from_bytes(Bytes::from_static(b"\xff")),
            Err(BadMessage("interception"))
        );
    }

    #[test]
    fn debug_shows_no_content() {
        let record = wire::Interception {
            id: vec![7; 16],
            model: "canary".into(),
            ..wire::Interception::default()
        };
        let shown = format!("{:?}", EncodedRecord::from_bytes(bytes(&record)).unwrap());
        assert!(
            shown.starts_with("EncodedRecord(") && !shown.contains("canary"),
            "{shown}"
        );
    }
}
