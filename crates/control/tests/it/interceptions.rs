//! `/api/v1/ai-gateway/interceptions`

use crate::bench::{Bench, hash, masked, problem, text};
use lychgate_link::{ControlLink, EncodedRecord};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::{START, TestDb};
use lychgate_types::Content;
use lychgate_types::interception::{
    CredentialKind, InterceptionRecord, ModelThought, Outcome, Prompt, ThoughtSource, TokenUsage, ToolUsage,
};
use lychgate_types::provider::{Api, ProviderType};
use serde_json::json;
use std::collections::BTreeMap;
use std::time::Duration;

const PATH: &str = "/ai-gateway/interceptions";

/// The record as a replica hands it over.
pub(crate) fn sent(record: &InterceptionRecord) -> EncodedRecord {
    EncodedRecord::encode(record.clone())
}

/// A record of one request made with this token.
pub(crate) fn record(db: &TestDb, token: &str) -> InterceptionRecord {
    let response = || "msg_1".to_owned();
    InterceptionRecord {
        id: db.ambient().new_id(),
        token_hash: hash(token),
        provider: "anthropic".to_owned(),
        provider_type: ProviderType::Anthropic,
        api: Api::AnthropicMessages,
        model: "claude-x".to_owned(),
        streaming: true,
        client: "Claude Code".to_owned(),
        user_agent: "claude-cli/1".to_owned(),
        client_session_id: Some("s-1".to_owned()),
        thread_parent_tool_call_id: None,
        credential_kind: CredentialKind::Centralized,
        credential_hint: "sk-a…cdef".to_owned(),
        started_at: START,
        ended_at: START.plus(Duration::from_millis(1500)),
        outcome: Outcome::Completed,
        upstream_status: Some(200),
        error_type: None,
        error_message: None,
        provider_request_id: Some("req_1".to_owned()),
        served_model: Some("claude-y".to_owned()),
        stop_reason: Some("tool_use".to_owned()),
        stored_object: None,
        completes: false,
        thread_parent_response_id: None,
        stored_items: Vec::new(),
        attempts: 1,
        time_to_first_byte_ms: Some(120),
        overhead_us: 85,
        token_usages: vec![TokenUsage {
            provider_response_id: response(),
            input_tokens: 10,
            output_tokens: 20,
            cache_read_input_tokens: 30,
            cache_write_input_tokens: 4,
            cache_write_1h_input_tokens: 5,
            reasoning_tokens: 6,
            estimated: false,
            extra: BTreeMap::from([("web_search_requests".to_owned(), 1)]),
            attributes: BTreeMap::from([
                ("cost".to_owned(), "0.0042".to_owned()),
                ("service_tier".to_owned(), "priority".to_owned()),
            ]),
        }],
        prompts: vec![Prompt {
            provider_response_id: response(),
            prompt: "what is the weather?".into(),
        }],
        tool_usages: vec![ToolUsage {
            provider_response_id: response(),
            tool_call_id: "toolu_1".to_owned(),
            tool: "weather".to_owned(),
            input: "{\"city\":\"Köln\"}".into(),
        }],
        model_thoughts: vec![ModelThought {
            content: "hm".into(),
            source: ThoughtSource::Thinking,
        }],
    }
}

const BLOTS: [&str; 6] = [
    "/id",
    "/user/id",
    "/token_id",
    "/session_id",
    "/gateway_key_id",
    "/replica_id",
];

both_engines! {
    async fn the_shape_of_an_interception(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, token) = bench.user("ada", "member").await;
        let (key_id, key) = bench.key("edge").await;
        let record = record(db, &token);
        let replica = bench.ambient.new_id();
        bench.link(&key).authorize(record.token_hash).await.unwrap();
        bench.link(&key).deliver(replica, vec![sent(&record)]).await.unwrap();
        let shown = bench.get(&token, &format!("{PATH}/{}", record.id)).await.expect(200).value();
        assert_eq!((text(&shown["gateway_key_id"]), text(&shown["replica_id"])), (key_id, replica.to_string()));
        insta::assert_json_snapshot!(masked(&shown, &BLOTS));
        let page = bench.get(&token, PATH).await.expect(200).value();
        assert_eq!((page["interceptions"].as_array().unwrap().len(), &page["next"]), (1, &json!(null)));
        insta::assert_json_snapshot!(masked(&page["interceptions"][0], &BLOTS));
    }

    async fn long_contents_are_compressed_on_the_way_and_shown_whole(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, token) = bench.user("ada", "member").await;
        let (_, key) = bench.key("edge").await;
        let text = |about: &str| format!("Why does the test of {about} fail on the second run? ").repeat(600);
        let mut record = record(db, &token);
        record.prompts[0].prompt = text("prompts").into();
        record.tool_usages[0].input = text("tools").into();
        record.model_thoughts[0].content = text("thoughts").into();
        let sent = sent(&record);
        assert!(sent.bytes().len() < 3000, "{sent:?}");
        bench.link(&key).authorize(record.token_hash).await.unwrap();
        bench.link(&key).deliver(bench.ambient.new_id(), vec![sent]).await.unwrap();
        let shown = bench.get(&token, &format!("{PATH}/{}", record.id)).await.expect(200).value();
        assert_eq!(shown["prompts"][0]["prompt"], text("prompts"));
        assert_eq!(shown["tool_usages"][0]["input"], text("tools"));
        assert_eq!(shown["model_thoughts"][0]["content"], text("thoughts"));
    }

    /// What a hostile replica has compressed may open to anything, or to nothing.
    async fn no_more_is_shown_than_a_delivery_holds(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, token) = bench.user("ada", "member").await;
        let (_, key) = bench.key("edge").await;
        let mut record = record(db, &token);
        let bomb = ToolUsage {
            input: Content::from("x".repeat(3 << 20)).compressed(),
            ..record.tool_usages[0].clone()
        };
        record.prompts[0].prompt = Content::Zstd(b"no zstd".to_vec());
        record.tool_usages = vec![bomb; 100];
        let sent = sent(&record);
        assert!(sent.bytes().len() < 100 << 10, "{sent:?}");
        bench.link(&key).authorize(record.token_hash).await.unwrap();
        let receipt = bench.link(&key).deliver(bench.ambient.new_id(), vec![sent]).await.unwrap();
        assert_eq!(receipt.rejected, []);
        let shown = bench.get(&token, &format!("{PATH}/{}", record.id)).await.expect(200).value();
        assert_eq!((&shown["prompts"][0]["prompt"], &shown["prompts"][0]["truncated"]), (&json!(""), &json!(true)));
        let tools = shown["tool_usages"].as_array().unwrap();
        let truncated: Vec<_> = tools.iter().map(|tool| tool["truncated"] == true).collect();
        assert_eq!(truncated, [vec![false], vec![true; 99]].concat());
        let bytes: Vec<_> = tools.iter().map(|tool| tool["input"].as_str().unwrap().len()).collect();
        assert_eq!((bytes[0], bytes.iter().sum::<usize>(), bytes.len()), (3 << 20, 4 << 20, 100));
    }

    async fn filters(db: TestDb) {
        let bench = Bench::start(db).await;
        let (ada, token) = bench.user("ada", "member").await;
        let (_, eve) = bench.user("eve", "member").await;
        let (_, key) = bench.key("edge").await;
        let first = record(db, &token);
        let mut second = record(db, &eve);
        second.provider = "openai".to_owned();
        second.model = "gpt-x".to_owned();
        second.client = "Codex".to_owned();
        second.outcome = Outcome::ClientAborted;
        second.started_at = START.plus(Duration::from_secs(60));
        for record in [&first, &second] {
            bench.link(&key).authorize(record.token_hash).await.unwrap();
        }
        bench.link(&key).deliver(bench.ambient.new_id(), vec![sent(&first), sent(&second)]).await.unwrap();
        let session = text(&bench.get(&token, &format!("{PATH}/{}", first.id)).await.expect(200).value()["session_id"]);
        let models = async |token: &str, query: &str| -> Vec<String> {
            let page = bench.get(token, &format!("{PATH}?{query}")).await.expect(200).value();
            page["interceptions"].as_array().unwrap().iter().map(|seen| text(&seen["model"])).collect()
        };
        assert_eq!(models(&bench.owner, "").await, ["gpt-x", "claude-x"], "newest first");
        for query in [
            "user=ada", &format!("user={ada}"), "provider=anthropic", "model=claude-x", "client=Claude%20Code",
            &format!("session={session}"), "outcome=completed", "until=2026-11-24T09:31:00Z",
        ] {
            assert_eq!(models(&bench.owner, query).await, ["claude-x"], "{query}");
        }
        for query in ["provider=openai", "outcome=client_aborted", "since=2026-11-24T09:31:00Z", "user=eve&client=Codex"] {
            assert_eq!(models(&bench.owner, query).await, ["gpt-x"], "{query}");
        }
        assert_eq!(models(&bench.owner, "session=s-1&user=ada").await, ["claude-x"], "as the client calls it");
        for query in ["session=s-2", "model=gpt-y", "client=codex"] {
            assert!(models(&bench.owner, query).await.is_empty(), "nobody has sent such a request yet: {query}");
        }
        assert_eq!(models(&eve, "").await, ["gpt-x"], "members see their own");
        for (token, query, wrong) in [
            (&bench.owner, "user=nobody", vec!["user"]),
            (&eve, "user=ada", vec!["user"]),
            (&bench.owner, "provider=openia&model=gpt-x", vec!["provider"]),
        ] {
            let refused = bench.get(token, &format!("{PATH}?{query}")).await;
            assert_eq!(problem(&refused, 404, "filter_unmatched"), wrong, "{query}");
        }
        problem(&bench.get(&eve, &format!("{PATH}/{}", first.id)).await, 404, "not_found");
        let bad = bench.get(&bench.owner, &format!("{PATH}?outcome=done&since=now&until=later&limit=0")).await;
        assert_eq!(problem(&bad, 400, "invalid_request"), ["limit", "outcome", "since", "until"]);
    }
}
