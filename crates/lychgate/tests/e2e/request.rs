//! Requests of AI clients, and what must be on record for each.

use lychgate_scripted::{Endpoint, Scenario, bytes_of};
use lychgate_testkit::http::{Call, post};
use serde_json::{Value, json};

/// One request to a gateway.
#[derive(Debug, Clone)]
pub(crate) struct Ask {
    pub(crate) endpoint: Endpoint,
    pub(crate) scenario: Scenario,
    pub(crate) body: Value,
}

impl Ask {
    /// A user's words.
    pub(crate) fn new(endpoint: Endpoint, scenario: Scenario, stream: bool, said: &str) -> Self {
        let mut body: Value = serde_json::from_str(&endpoint.example(stream)).unwrap();
        match endpoint {
            Endpoint::Messages | Endpoint::ChatCompletions | Endpoint::BedrockInvoke => {
                body["messages"][0]["content"] = said.into();
            }
            Endpoint::BedrockConverse => body["messages"][0]["content"][0]["text"] = said.into(),
            Endpoint::Responses | Endpoint::Embeddings => body["input"] = said.into(),
            Endpoint::GenerateContent => body["contents"][0]["parts"][0]["text"] = said.into(),
            Endpoint::GeminiEmbeddings => body["requests"][0]["content"]["parts"][0]["text"] = said.into(),
        }
        Self {
            endpoint,
            scenario,
            body,
        }
    }

    /// The provider's name in these tests.
    pub(crate) fn provider(&self) -> &'static str {
        match self.endpoint {
            Endpoint::Messages => "anthropic",
            Endpoint::GenerateContent | Endpoint::GeminiEmbeddings => "gemini",
            _ => "openai",
        }
    }

    /// The call to the gateway at `base` (`http://…`).
    pub(crate) fn call(&self, base: &str, token: &str) -> Call {
        self.call_by("claude-cli/2.1.0 (external, cli)", base, token)
    }

    /// The same by another client program.
    pub(crate) fn call_by(&self, client: &str, base: &str, token: &str) -> Call {
        let url = format!("{base}/ai/{}{}", self.provider(), self.endpoint.path());
        let call = match self.endpoint {
            Endpoint::Messages => post(url)
                .header("x-api-key", token)
                .header("anthropic-version", "2023-06-01"),
            _ => post(url).bearer(token),
        };
        call.header("x-scripted", self.scenario.name())
            .header("user-agent", client)
            .json(&self.body)
    }

    /// What the provider sends in answer to this very body.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        bytes_of(self.endpoint, self.scenario, self.body.to_string().as_bytes()).unwrap()
    }

    /// The token usage that must be on record: read from the blocking form of the same answer, by the rules of each API.
    pub(crate) fn usage(&self) -> Value {
        let mut blocking = self.clone();
        blocking.body["stream"] = false.into();
        let answer: Value = serde_json::from_slice(&blocking.bytes()).unwrap();
        let usage = answer
            .get("usage")
            .or(answer.get("usageMetadata"))
            .unwrap_or(&Value::Null);
        let number = |path: &str| usage.pointer(path).and_then(Value::as_i64).unwrap_or(0);
        let (input, output, read, write, write_1h, reasoning) = match self.endpoint {
            Endpoint::Messages | Endpoint::BedrockInvoke => (
                number("/input_tokens"),
                number("/output_tokens"),
                number("/cache_read_input_tokens"),
                number("/cache_creation/ephemeral_5m_input_tokens"),
                number("/cache_creation/ephemeral_1h_input_tokens"),
                0,
            ),
            Endpoint::BedrockConverse => (
                number("/inputTokens"),
                number("/outputTokens"),
                number("/cacheReadInputTokens"),
                number("/cacheDetails/0/inputTokens"),
                number("/cacheDetails/1/inputTokens"),
                0,
            ),
            Endpoint::ChatCompletions | Endpoint::Embeddings => {
                let cached = number("/prompt_tokens_details/cached_tokens");
                let reasoning = number("/completion_tokens_details/reasoning_tokens");
                (
                    number("/prompt_tokens") - cached,
                    number("/completion_tokens"),
                    cached,
                    0,
                    0,
                    reasoning,
                )
            }
            Endpoint::GenerateContent | Endpoint::GeminiEmbeddings => {
                let (cached, thoughts) = (number("/cachedContentTokenCount"), number("/thoughtsTokenCount"));
                (
                    number("/promptTokenCount") - cached,
                    number("/candidatesTokenCount") + thoughts,
                    cached,
                    0,
                    0,
                    thoughts,
                )
            }
            Endpoint::Responses => {
                let cached = number("/input_tokens_details/cached_tokens");
                let reasoning = number("/output_tokens_details/reasoning_tokens");
                (
                    number("/input_tokens") - cached,
                    number("/output_tokens"),
                    cached,
                    0,
                    0,
                    reasoning,
                )
            }
        };
        json!({
            "provider_response_id": answer["id"].as_str().unwrap_or_default(),
            "input_tokens": input,
            "output_tokens": output,
            "cache_read_input_tokens": read,
            "cache_write_input_tokens": write,
            "cache_write_1h_input_tokens": write_1h,
            "reasoning_tokens": reasoning,
            "estimated": false,
        })
    }

    /// Checks the record of this request.
    #[track_caller]
    pub(crate) fn check(&self, record: &Value, said: &str, tools: &[(&str, &str)]) {
        for (field, wanted) in self.usage().as_object().unwrap() {
            assert_eq!(record["token_usages"][0][field], *wanted, "{field} of {record:#}");
        }
        assert_eq!(record["token_usages"].as_array().unwrap().len(), 1);
        for (field, wanted) in [
            ("provider", json!(self.provider())),
            ("api", json!(self.endpoint.name())),
            ("model", self.body["model"].clone()),
            ("streaming", json!(self.body["stream"] == true)),
            ("outcome", json!("completed")),
            ("upstream_status", json!(200)),
            ("credential_kind", json!("centralized")),
            ("client", json!("Claude Code")),
        ] {
            assert_eq!(record[field], wanted, "{field} of {record:#}");
        }
        assert_eq!(record["user"]["username"], "alice");
        assert_eq!(record["prompts"][0]["prompt"], said, "{record:#}");
        let recorded = record["tool_usages"].as_array().unwrap();
        let recorded: Vec<_> = recorded
            .iter()
            .map(|t| (t["tool"].as_str().unwrap(), t["input"].as_str().unwrap()))
            .collect();
        assert_eq!(recorded, tools, "{record:#}");
        assert!(
            record["tool_usages"]
                .as_array()
                .unwrap()
                .iter()
                .all(|tool| tool["tool_call_id"] != "")
        );
    }
}
