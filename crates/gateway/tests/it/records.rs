//! What is recorded of an exchange.

use crate::support::{Client, World};
use lychgate_types::Ambient;
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::secret::UserTokenSecret;
use std::sync::Arc;

async fn blocking(path: &str, headers: &str, request: &str, answer: &str) -> Arc<InterceptionRecord> {
    let world = World::new().await;
    let mut client = world.send(&format!("POST {path}"), headers, request.as_bytes()).await;
    let mut exchange = world.provider.next().await;
    exchange.json("200 OK", "x-request-id: req_7\r\n", answer).await;
    assert_eq!(client.answer().await.1, answer.as_bytes());
    world.control.one_record().await
}

async fn streaming(path: &str, request: &str, events: &[&str]) -> Arc<InterceptionRecord> {
    let world = World::new().await;
    let mut client = world.post(path, request.as_bytes()).await;
    let mut exchange = world.provider.next().await;
    exchange.stream().await;
    for event in events {
        exchange.chunk(event.as_bytes()).await;
    }
    exchange.end().await;
    client.answer().await;
    world.control.one_record().await
}

#[tokio::test]
async fn anthropic_messages() {
    let request = r#"{"model":"claude-x","messages":[{"role":"user","content":"Hello there"}],"metadata":{"user_id":"{\"session_id\":\"s-9\"}"}}"#;
    let answer = r#"{"id":"msg_1","stop_reason":"tool_use","content":[{"type":"thinking","thinking":"hm"},{"type":"tool_use","id":"tu_1","name":"ls","input":{"a":1}}],"usage":{"input_tokens":10,"output_tokens":5,"cache_read_input_tokens":3}}"#;
    let record = blocking(
        "/ai/anthropic/v1/messages",
        "user-agent: claude-cli/2.1\r\n",
        request,
        answer,
    )
    .await;
    assert_eq!(
        (record.api.as_str(), record.provider.as_str()),
        ("anthropic_messages", "anthropic")
    );
    assert_eq!((record.model.as_str(), record.streaming), ("claude-x", false));
    assert_eq!(
        (record.client.as_str(), record.user_agent.as_str()),
        ("Claude Code", "claude-cli/2.1")
    );
    assert_eq!(record.client_session_id.as_deref(), Some("s-9"));
    assert_eq!(
        (record.outcome.as_str(), record.upstream_status),
        ("completed", Some(200))
    );
    assert_eq!(record.provider_request_id.as_deref(), Some("req_7"));
    assert_eq!(record.stop_reason.as_deref(), Some("tool_use"));
    let usage = &record.token_usages[0];
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, usage.cache_read_input_tokens),
        (10, 5, 3)
    );
    assert_eq!((usage.provider_response_id.as_str(), usage.estimated), ("msg_1", false));
    assert_eq!(
        (
            &*record.prompts[0].prompt.open(usize::MAX).text,
            record.prompts[0].provider_response_id.as_str()
        ),
        ("Hello there", "msg_1")
    );
    let tool = &record.tool_usages[0];
    assert_eq!(
        (
            tool.tool.as_str(),
            tool.tool_call_id.as_str(),
            &*tool.input.open(usize::MAX).text
        ),
        ("ls", "tu_1", r#"{"a":1}"#)
    );
    assert_eq!(record.model_thoughts[0].content, "hm".into());
    assert!(record.started_at <= record.ended_at);
    assert!(record.time_to_first_byte_ms.is_some() && record.overhead_us >= 0);
    assert_eq!(record.attempts, 1);
    assert_eq!((&record.error_type, &record.error_message), (&None, &None));
}

#[tokio::test]
async fn anthropic_messages_streamed() {
    let record = streaming(
        "/ai/anthropic/v1/messages",
        r#"{"model":"claude-x","stream":true,"messages":[{"role":"user","content":[{"type":"tool_result","tool_use_id":"tu_0","content":"ok"}]}]}"#,
        &[
            "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_2\",\"usage\":{\"input_tokens\":7,\"output_tokens\":1}}}\n\n",
            "event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":9}}\n\n",
            "event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n",
        ],
    )
    .await;
    assert_eq!((record.outcome.as_str(), record.streaming), ("completed", true));
    assert_eq!(record.thread_parent_tool_call_id.as_deref(), Some("tu_0"));
    assert!(record.prompts.is_empty());
    assert_eq!(
        (
            record.token_usages[0].input_tokens,
            record.token_usages[0].output_tokens
        ),
        (7, 9)
    );
}

#[tokio::test]
async fn chat_completions() {
    let record = blocking(
        "/ai/openai/v1/chat/completions",
        "",
        r#"{"model":"gpt-x","messages":[{"role":"user","content":"hi"}]}"#,
        r#"{"id":"chatcmpl-1","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"yo"}}],"usage":{"prompt_tokens":12,"completion_tokens":4,"prompt_tokens_details":{"cached_tokens":2}}}"#,
    )
    .await;
    assert_eq!(
        (record.api.as_str(), record.outcome.as_str()),
        ("openai_chat_completions", "completed")
    );
    let usage = &record.token_usages[0];
    assert_eq!(
        (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens),
        (10, 2, 4)
    );
    assert_eq!(record.prompts[0].prompt, "hi".into());
}

#[tokio::test]
async fn responses_streamed() {
    let record = streaming(
        "/ai/openai/v1/responses",
        r#"{"model":"gpt-x","stream":true,"input":"hello"}"#,
        &[
            "event: response.created\ndata: {\"type\":\"response.created\",\"response\":{\"id\":\"resp_1\"}}\n\n",
            "event: response.completed\ndata: {\"type\":\"response.completed\",\"response\":{\"id\":\"resp_1\",\"status\":\"completed\",\"output\":[],\"usage\":{\"input_tokens\":8,\"output_tokens\":3,\"output_tokens_details\":{\"reasoning_tokens\":1}}}}\n\n",
        ],
    )
    .await;
    assert_eq!(
        (record.api.as_str(), record.outcome.as_str()),
        ("openai_responses", "completed")
    );
    let usage = &record.token_usages[0];
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, usage.reasoning_tokens),
        (8, 3, 1)
    );
    assert_eq!(
        (
            &*record.prompts[0].prompt.open(usize::MAX).text,
            usage.provider_response_id.as_str()
        ),
        ("hello", "resp_1")
    );
}

#[tokio::test]
async fn a_compaction_is_recorded_as_the_model_call_that_it_is() {
    let record = blocking(
        "/ai/openai/v1/responses/compact",
        "",
        r#"{"model":"gpt-x","input":"Hi"}"#,
        r#"{"id":"resp_c","object":"response.compaction","output":[],"usage":{"input_tokens":900,"output_tokens":70}}"#,
    )
    .await;
    assert_eq!(
        (record.api.as_str(), record.outcome.as_str()),
        ("openai_responses", "completed")
    );
    let usage = &record.token_usages[0];
    assert_eq!(
        (usage.input_tokens, usage.output_tokens, usage.estimated),
        (900, 70, false)
    );
}

#[tokio::test]
async fn embeddings() {
    let record = blocking(
        "/ai/openai/v1/embeddings",
        "",
        r#"{"model":"emb","input":"x"}"#,
        r#"{"object":"list","data":[],"model":"emb","usage":{"prompt_tokens":6,"total_tokens":6}}"#,
    )
    .await;
    assert_eq!(
        (record.api.as_str(), record.token_usages[0].input_tokens),
        ("openai_embeddings", 6)
    );
}

#[tokio::test]
async fn completions_images_and_audio() {
    let answer =
        r#"{"id":"r","model":"m","usage":{"input_tokens":6,"output_tokens":7},"choices":[{"text":"x"}],"data":[]}"#;
    let form = "--x\r\ncontent-disposition: form-data; name=\"model\"\r\n\r\nm\r\n--x--\r\n";
    for (path, api, body) in [
        ("completions", "openai_completions", r#"{"model":"m","prompt":"p"}"#),
        ("images/generations", "openai_images", r#"{"model":"m","prompt":"p"}"#),
        ("images/edits", "openai_images", form),
        ("audio/transcriptions", "openai_audio", form),
    ] {
        let extra = if body == form {
            "content-type: multipart/form-data; boundary=x\r\n"
        } else {
            ""
        };
        let record = blocking(&format!("/ai/openai/v1/{path}"), extra, body, answer).await;
        assert_eq!(
            (record.api.as_str(), record.model.as_str(), record.outcome.as_str()),
            (api, "m", "completed")
        );
        let usage = &record.token_usages[0];
        assert_eq!(
            (usage.input_tokens, usage.output_tokens, usage.estimated),
            (6, 7, false),
            "{path}"
        );
    }
}

#[tokio::test]
async fn images_and_audio_can_be_switched_off() {
    let world = World::with_policy(|policy| (policy.relay.images, policy.relay.audio) = (false, false)).await;
    for path in [
        "images/generations",
        "images/edits",
        "audio/speech",
        "audio/transcriptions",
    ] {
        let mut client = world.post(&format!("/ai/openai/v1/{path}"), b"{}").await;
        let (head, body) = client.answer().await;
        assert_eq!(head.status, 404);
        let setting = if path.starts_with("images") {
            "relay.images=false"
        } else {
            "relay.audio=false"
        };
        assert!(String::from_utf8_lossy(&body).contains(setting), "{path}");
    }
}

#[tokio::test]
async fn a_providers_error_is_recorded() {
    let world = World::new().await;
    let mut client = world.post("/ai/openai/v1/responses", br#"{"model":"m"}"#).await;
    let mut exchange = world.provider.next().await;
    exchange
        .json(
            "429 Too Many Requests",
            "",
            r#"{"error":{"message":"slow down","type":"requests","code":null,"param":null}}"#,
        )
        .await;
    assert_eq!(client.answer().await.0.status, 429);
    let record = world.control.one_record().await;
    assert_eq!((record.outcome.as_str(), record.upstream_status), ("failed", Some(429)));
    assert_eq!(record.error_message.as_deref(), Some("slow down"));
    assert!(record.token_usages.is_empty());
}

#[tokio::test]
async fn without_capture_only_counts_are_recorded() {
    let world = World::new().await;
    let providers = world.control.providers();
    world.control.configure_without_capture(providers);
    world.control.until_in_force().await;
    let request = br#"{"model":"m","messages":[{"role":"user","content":"a secret plan"}]}"#;
    let mut client = world.post("/ai/anthropic/v1/messages", request).await;
    let answer = r#"{"id":"msg_1","content":[{"type":"thinking","thinking":"a secret thought"},{"type":"tool_use","id":"tu_1","name":"ls","input":{"secret":1}}],"usage":{"input_tokens":1,"output_tokens":2}}"#;
    world.provider.next().await.json("200 OK", "", answer).await;
    client.answer().await;
    let record = world.control.one_record().await;
    assert_eq!(record.token_usages[0].output_tokens, 2);
    assert_eq!(record.tool_usages[0].tool, "ls");
    assert!(!format!("{record:?}").contains("secret"), "{record:?}");
}

#[tokio::test]
async fn the_record_is_in_the_spool_before_the_client_sees_the_end() {
    let world = World::new().await;
    world.control.hold_deliveries();
    // Known length, no body at all, chunked, and refused by the provider: each ends in its own way.
    let answers = [
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 500 Oops\r\ncontent-length: 4\r\nconnection: close\r\n\r\noops",
    ];
    for (before, answer) in (0..).zip(answers) {
        let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
        let mut exchange = world.provider.next().await;
        assert_eq!(world.gateway.spool_depth(), before);
        exchange.raw(answer.as_bytes()).await;
        client.answer().await;
        assert_eq!(world.gateway.spool_depth(), before + 1, "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_at_once_are_each_recorded_once() {
    const CLIENTS: usize = 40;
    const EACH: usize = 5;
    let world = World::new().await;
    let asking = async {
        let mut clients = tokio::task::JoinSet::new();
        for number in 0..CLIENTS {
            let (address, token) = (world.address, world.token.clone());
            clients.spawn(async move {
                let mut client = Client::connect(address).await;
                let mut ids = Vec::new();
                for round in 0..EACH {
                    let body = format!(r#"{{"model":"m-{number}-{round}"}}"#);
                    client
                        .send(
                            "POST /ai/openai/v1/responses",
                            &format!("x-api-key: {}\r\n", token.expose()),
                            body.as_bytes(),
                        )
                        .await;
                    let (head, answer) = client.answer().await;
                    assert_eq!(answer, body.as_bytes());
                    ids.push(head.header("x-lychgate-interception-id").unwrap().to_owned());
                }
                ids
            });
        }
        clients.join_all().await.concat()
    };
    // The provider echoes the request.
    let answering = async {
        loop {
            let mut exchange = world.provider.next().await;
            let body = String::from_utf8(exchange.body.clone()).unwrap();
            exchange.json("200 OK", "", &body).await;
            exchange.done();
        }
    };
    let mut ids = tokio::select! {
        ids = asking => ids,
        () = answering => unreachable!(),
    };
    let records = world.control.delivered(CLIENTS * EACH).await;
    let mut recorded: Vec<String> = records.iter().map(|record| record.id.to_string()).collect();
    ids.sort();
    recorded.sort();
    assert_eq!(ids, recorded);
    let models: std::collections::HashSet<_> = records.iter().map(|record| &record.model).collect();
    assert_eq!(models.len(), CLIENTS * EACH);
    assert_eq!(world.control.lookups(), 1);
    crate::support::until(|| world.gateway.in_flight() == 0).await;
}

/// The gateway's own secrets are looked for in every header, not only in those that credentials belong in.
#[tokio::test]
async fn a_token_in_the_wrong_header_is_not_recorded() {
    let secret = UserTokenSecret::generate(&Ambient::system());
    let headers = format!("user-agent: {}\r\n", secret.expose());
    let answer = r#"{"id":"msg_1","content":[],"usage":{"input_tokens":1,"output_tokens":1}}"#;
    let record = blocking(
        "/ai/anthropic/v1/messages",
        &headers,
        r#"{"model":"claude-x","messages":[]}"#,
        answer,
    )
    .await;
    assert_eq!(record.user_agent, "");
}
