//! Events and bodies as providers send them.

use lychgate_types::provider::Api;

/// The APIs that stream.
pub(crate) const STREAMED: [Api; 3] = [Api::AnthropicMessages, Api::OpenAiChatCompletions, Api::OpenAiResponses];

/// An event of which a stream mostly consists: a piece of text.
pub(crate) const fn event(api: Api) -> &'static [u8] {
    match api {
        Api::AnthropicMessages => {
            b"event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\" and so on\"}         }\n\n"
        }
        Api::OpenAiResponses => {
            b"event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"sequence_number\":4,\"item_id\":\"msg_bench\",\"output_index\":0,\"content_index\":0,\"delta\":\" and so on\",\"logprobs\":[]}\n\n"
        }
        _ => {
            b"data: {\"id\":\"chatcmpl-BenchBenchBenchBenchBenchBench0\",\"object\":\"chat.completion.chunk\",\"created\":1764000000,\"model\":\"gpt-5.4-mini\",\"service_tier\":\"default\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\" and so on\"},\"logprobs\":null,\"finish_reason\":null}],\"obfuscation\":\"dn7\"}\n\n"
        }
    }
}

/// The APIs that stream in frames.
pub(crate) const FRAMED: [Api; 2] = [Api::BedrockInvoke, Api::BedrockConverse];

/// The same at Bedrock, in a frame: of Claude, and of Converse.
pub(crate) const fn frame(api: Api) -> &'static [u8] {
    match api {
        Api::BedrockConverse => {
            b"\x00\x00\x00\xc3\x00\x00\x00W>\x98\x895\x0b:event-type\x07\x00\x11contentBlockDelta\x0d:content-type\x07\x00\x10application/json\x0d:message-type\x07\x00\x05event{\"contentBlockIndex\":0,\"delta\":{\"text\":\" and so on\"},\"p\":\"abcdefghijklmnopqrstuvwxyzABCDEF\"}r\xfe\x15\xa1"
        }
        _ => {
            b"\x00\x00\x01\x00\x00\x00\x00KOp\x94\xd4\x0b:event-type\x07\x00\x05chunk\x0d:content-type\x07\x00\x10application/json\x0d:message-type\x07\x00\x05event{\"bytes\":\"eyJ0eXBlIjoiY29udGVudF9ibG9ja19kZWx0YSIsImluZGV4IjowLCJkZWx0YSI6eyJ0eXBlIjoidGV4dF9kZWx0YSIsInRleHQiOiIgYW5kIHNvIG9uIn19\",\"p\":\"abcdefghijklmnopqrstuvwxyz\"}\xba\xed\xc7\xf0"
        }
    }
}

/// A small blocking answer.
pub(crate) const fn body(api: Api) -> &'static [u8] {
    match api {
        Api::AnthropicMessages => {
            br#"{"model":"claude-sonnet-5","id":"msg_01BenchBenchBenchBench00","type":"message","role":"assistant","content":[{"type":"text","text":"Hello!"}],"stop_reason":"end_turn","stop_sequence":null,"usage":{"input_tokens":10,"cache_creation_input_tokens":0,"cache_read_input_tokens":0,"output_tokens":3}}"#
        }
        Api::OpenAiResponses => {
            br#"{"id":"resp_BenchBenchBenchBench","object":"response","created_at":1764000000,"status":"completed","model":"gpt-5.4-mini","output":[{"id":"msg_bench","type":"message","status":"completed","role":"assistant","content":[{"type":"output_text","annotations":[],"text":"Hello!"}]}],"usage":{"input_tokens":10,"input_tokens_details":{"cached_tokens":0},"output_tokens":3,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":13}}"#
        }
        _ => {
            br#"{"id":"chatcmpl-BenchBenchBenchBenchBenchBench0","object":"chat.completion","created":1764000000,"model":"gpt-5.4-mini","choices":[{"index":0,"message":{"role":"assistant","content":"Hello!","refusal":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":3,"total_tokens":13}}"#
        }
    }
}

/// A request with a prompt of so many bytes.
pub(crate) fn request(prompt: usize) -> Vec<u8> {
    let text = "Say something of middling length. ".repeat(prompt / 34 + 1);
    let messages = serde_json::json!([{"role": "user", "content": text}]);
    serde_json::json!({"model": "bench", "max_tokens": 100, "messages": messages, "input": messages})
        .to_string()
        .into_bytes()
}
