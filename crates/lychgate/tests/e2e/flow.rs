//! A replica authenticates with a gateway key, and real requests go through it and are recorded; the same through the embedded gateway.

use crate::PROGRAM;
use crate::request::Ask;
use lychgate_scripted::{Endpoint, Scenario};
use lychgate_testkit::app::{App, PROVIDER_KEY};
use lychgate_testkit::both_engines;
use serde_json::{Value, json};

const APIS: [Endpoint; 3] = [Endpoint::Messages, Endpoint::ChatCompletions, Endpoint::Responses];

both_engines! {
    /// Three APIs, blocking and streaming, with and without tools, thoughts and cache, through a replica and embedded.
    async fn requests_are_relayed_and_recorded(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let replica = app.replica("edge-1").await;
        let key = app.cli_json(&["keys", "show", "edge-1"]).await;
        assert_eq!(key["live_replicas"], 1, "{key:#}");
        let mut count = 0;
        for (base, standalone) in [(&replica.url, true), (&app.url, false)] {
            for endpoint in APIS {
                for stream in [false, true] {
                    for scenario in [Scenario::Text, Scenario::Thinking, Scenario::Tools, Scenario::Cached] {
                        count += 1;
                        let said = format!("request {count}: Grüße 🏮");
                        let ask = Ask::new(endpoint, scenario, stream, &said);
                        let answer = ask.call(base, &app.token).send().await.expect(200);
                        let shown = answer.header("x-lychgate-interception-id").to_owned();
                        // Of chat streams a chunk is taken out: see `identity`.
                        if !(stream && endpoint == Endpoint::ChatCompletions) {
                            assert_eq!(answer.text(), String::from_utf8(ask.bytes()).unwrap());
                        }
                        let record = app.newest_interception(count).await;
                        assert_eq!(record["id"], shown);
                        let both = [("get_weather", r#"{"city":"Zürich"}"#), ("get_weather", r#"{"city":"Oslo"}"#)];
                        ask.check(&record, &said, if scenario == Scenario::Tools { &both } else { &[] });
                        let thinks = scenario == Scenario::Thinking;
                        assert_eq!(!record["model_thoughts"].as_array().unwrap().is_empty(), thinks, "{record:#}");
                        if standalone {
                            assert_eq!(record["gateway_key_id"], key["id"]);
                        } else {
                            assert_eq!(record["gateway_key_id"], Value::Null);
                        }
                        let seen = app.scripted.requests().pop().unwrap();
                        assert!(seen.headers.values().all(|value| !value.to_str().unwrap().contains(&app.token)));
                        let credential = if endpoint == Endpoint::Messages { "x-api-key" } else { "authorization" };
                        assert_eq!(seen.header(credential).unwrap().trim_start_matches("Bearer "), PROVIDER_KEY);
                    }
                }
            }
        }
        let shown = app.cli_ok(&["interceptions", "list", "--limit", "200"]).await;
        assert!(shown.contains("request 1: Grüße 🏮") && shown.contains("get_weather"), "{shown}");
        let newest = app.newest_interception(count).await;
        let shown = app.cli_ok(&["interceptions", "show", newest["id"].as_str().unwrap()]).await;
        for part in [format!("request {count}: Grüße"), newest["token_usages"][0]["input_tokens"].to_string()] {
            assert!(shown.contains(&part), "{part} is missing in {shown}");
        }
        let page = app.cli_json(&["interceptions", "list", "--provider", "openai", "--limit", "5"]).await;
        assert_eq!(page["interceptions"].as_array().unwrap().len(), 5);
        assert!(page["interceptions"].as_array().unwrap().iter().all(|i| i["provider"] == "openai"));
        assert!(page["next"].is_string());
        assert_eq!(replica.process.terminate().await, 0);
        assert_eq!(app.server.terminate().await, 0);
    }
}

both_engines! {
    /// What a tool gave comes back in the next request, which is put in the same thread.
    async fn a_tool_conversation_is_one_thread(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let replica = app.replica("edge-1").await;
        let said = "What is the weather in Zürich?";
        for (nth, endpoint) in APIS.into_iter().enumerate() {
            let first = Ask::new(endpoint, Scenario::Tool, true, said);
            first.call(&replica.url, &app.token).send().await.expect(200);
            let before = app.newest_interception(2 * nth + 1).await;
            first.check(&before, said, &[("get_weather", r#"{"city":"Zürich"}"#)]);
            assert_eq!(before["thread_parent_id"], Value::Null);

            let call = &before["tool_usages"][0]["tool_call_id"];
            let mut second = Ask::new(endpoint, Scenario::Text, false, said);
            let input = r#"{"city":"Zürich"}"#;
            let turns = match endpoint {
                Endpoint::Messages => json!([
                    {"role": "assistant", "content": [{"type": "tool_use", "id": call, "name": "get_weather", "input": {"city": "Zürich"}}]},
                    {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call, "content": "7 degrees"}]},
                ]),
                Endpoint::ChatCompletions => json!([
                    {"role": "assistant", "tool_calls": [{"id": call, "type": "function", "function": {"name": "get_weather", "arguments": input}}]},
                    {"role": "tool", "tool_call_id": call, "content": "7 degrees"},
                ]),
                _ => json!([
                    {"type": "function_call", "call_id": call, "name": "get_weather", "arguments": input},
                    {"type": "function_call_output", "call_id": call, "output": "7 degrees"},
                ]),
            };
            let list = if endpoint == Endpoint::Responses { "input" } else { "messages" };
            let mut all = vec![json!({"role": "user", "content": said})];
            all.extend(turns.as_array().unwrap().iter().cloned());
            second.body[list] = all.into();
            let answer = second.call(&replica.url, &app.token).send().await.expect(200);
            assert!(answer.text().contains("7 degrees"), "{}", answer.text());
            let after = app.newest_interception(2 * nth + 2).await;
            assert_eq!(after["thread_parent_id"], before["id"]);
            assert_eq!(after["thread_root_id"], before["id"]);
            assert_eq!(after["prompts"], json!([]), "a tool's result is not the user's word");
        }
    }
}

/// The routes beside the recorded ones, and those that are not there.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_routes_are_passed_through_or_refused() {
    use lychgate_testkit::http::{get, post};
    let app = App::start(PROGRAM, None).await;
    let replica = app.replica("edge-1").await;
    let (base, token) = (&replica.url, &app.token);
    let anthropic = |path: &str| {
        get(format!("{base}/ai/anthropic{path}"))
            .header("x-api-key", token)
            .header("anthropic-version", "2023-06-01")
    };
    let models = anthropic("/v1/models?limit=1").send().await.expect(200).value();
    assert_eq!(models["data"][0]["type"], "model");
    // As nothing was known of the list, what the client asked went on as it was.
    assert_eq!(app.scripted.requests()[0].path, "/v1/models?limit=1");
    let openai = get(format!("{base}/ai/openai/v1/models"))
        .bearer(token)
        .send()
        .await
        .expect(200)
        .value();
    assert_eq!(openai["object"], "list");
    let count = Ask::new(Endpoint::Messages, Scenario::Text, false, "Hello").body;
    let url = format!("{base}/ai/anthropic/v1/messages/count_tokens");
    let counted = post(url)
        .header("x-api-key", token)
        .header("anthropic-version", "2023-06-01")
        .json(&count);
    assert!(
        counted.send().await.expect(200).value()["input_tokens"]
            .as_i64()
            .unwrap()
            > 0
    );
    let embedded = Ask::new(Endpoint::Embeddings, Scenario::Text, false, "a text")
        .call(base, token)
        .send()
        .await
        .expect(200);
    assert_eq!(embedded.value()["object"], "list");

    let before = app.scripted.requests().len();
    let refused = anthropic("/v1/organizations/keys").send().await.expect(404).value();
    assert_eq!(refused["error"]["type"], "not_found_error", "{refused:#}");
    let refused = get(format!("{base}/ai/openai/v1/fine_tuning/jobs"))
        .bearer(token)
        .send()
        .await
        .expect(404)
        .value();
    assert_eq!(refused["error"]["type"], "invalid_request_error", "{refused:#}");
    anthropic("/v1/messages").send().await.expect(405);
    get(format!("{base}/ai/nobody/v1/models"))
        .bearer(token)
        .send()
        .await
        .expect(404);
    let unknown = Ask::new(Endpoint::Messages, Scenario::Text, false, "Hello");
    for (token, reason) in [("lgu_nonsense", "token"), ("", "token")] {
        let refused = unknown.call(base, token).send().await.expect(401).value();
        assert_eq!(refused["error"]["type"], "authentication_error", "{refused:#}");
        assert!(
            refused["error"]["message"].as_str().unwrap().contains(reason),
            "{refused:#}"
        );
    }
    // The owner's token works for AI requests, too; a gateway key does not.
    unknown.call(base, &app.owner).send().await.expect(200);
    let key = std::fs::read_to_string(app.directory().join("edge-1.key")).unwrap();
    unknown.call(base, key.trim()).send().await.expect(401);
    assert_eq!(
        app.scripted.requests().len(),
        before + 1,
        "nothing that was refused went upstream"
    );
}
