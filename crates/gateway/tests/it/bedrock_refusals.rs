//! Amazon Bedrock: streams of models that have words of their own, errors that begin a stream, refusals that are about a model, and what
//! is read from S3.

use crate::bedrock::{CLAUDE, REQUEST, beginning, chunk, end, frame, path, stream, streamed, world};
use crate::support::World;
use lychgate_link::ProviderKeyConfig;
use lychgate_types::Ambient;
use lychgate_types::interception::Outcome;
use lychgate_types::policy::StoredObjects;
use lychgate_types::secret::ProviderSecret;
use std::collections::BTreeSet;

#[tokio::test]
async fn of_a_cut_stream_the_text_is_estimated_whatever_the_model_calls_it() {
    let word = "a word or two ".repeat(10);
    for piece in [
        format!(r#"{{"generation":"{word}"}}"#),
        format!(r#"{{"outputText":"{word}","index":0}}"#),
        format!(r#"{{"outputs":[{{"text":"{word}","stop_reason":null}}]}}"#),
        format!(r#"{{"event_type":"text-generation","text":"{word}","is_finished":false}}"#),
        format!(r#"{{"generations":[{{"text":"{word}"}}]}}"#),
        format!(r#"{{"completion":"{word}","stop_reason":null}}"#),
        format!(
            r#"{{"id":"chatcmpl-1","choices":[{{"index":0,"delta":{{"content":"{word}"}},"finish_reason":null}}]}}"#
        ),
        format!(r#"{{"choices":[{{"index":0,"delta":{{"reasoning_content":"{word}"}}}}]}}"#),
        format!(r#"{{"choices":[{{"index":0,"text":"{word}"}}]}}"#),
    ] {
        let world = world(|_| {}).await;
        let (_, record) = streamed(&world, &chunk(&piece).repeat(3)).await;
        assert_eq!(record.outcome, Outcome::Failed, "{piece}");
        let usage = &record.token_usages[0];
        let bytes = i64::try_from(3 * word.len()).unwrap();
        assert!(usage.estimated && usage.input_tokens > 0, "{piece}: {usage:?}");
        assert!(
            (bytes / 5..bytes / 3).contains(&usage.output_tokens),
            "{piece}: {usage:?}"
        );
    }
}

#[tokio::test]
async fn chat_completions_in_frames_tell_what_they_tell_elsewhere() {
    let world = world(|_| {}).await;
    let metrics = r#""amazon-bedrock-invocationMetrics":{"inputTokenCount":100,"outputTokenCount":9}"#;
    let parts = [
        r#"{"id":"chatcmpl-1","model":"gpt-oss-120b","choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"}}]}"#.to_owned(),
        r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_1","function":{"name":"find","arguments":"{}"}}]}}]}"#.to_owned(),
        r#"{"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]}"#.to_owned(),
        format!(
            r#"{{"choices":[],"usage":{{"prompt_tokens":100,"completion_tokens":9,"prompt_tokens_details":{{"cached_tokens":64}}}},{metrics}}}"#
        ),
    ];
    let all: Vec<u8> = parts.iter().flat_map(|part| chunk(part)).collect();
    let (got, record) = streamed(&world, &all).await;
    assert_eq!(got, all);
    assert_eq!(record.outcome, Outcome::Completed);
    assert_eq!(record.stop_reason.as_deref(), Some("tool_calls"));
    assert_eq!(record.tool_usages[0].tool, "find");
    let usage = &record.token_usages[0];
    let counts = (usage.input_tokens, usage.cache_read_input_tokens, usage.output_tokens);
    assert_eq!((counts, usage.estimated), ((36, 64, 9), false));
}

#[tokio::test]
async fn an_error_in_the_first_frame_is_tried_again_whatever_its_form_and_length() {
    let long = format!(r#"{{"message":"{}"}}"#, "x".repeat(9000));
    let exception = [
        (":exception-type", "modelStreamErrorException"),
        (":content-type", "application/json"),
        (":message-type", "exception"),
    ];
    for first in [
        frame(
            &[
                (":message-type", "error"),
                (":error-code", "InternalFailure"),
                (":error-message", "An internal server error occurred"),
            ],
            "",
        ),
        frame(
            &[(":error-code", "ThrottlingException"), (":message-type", "error")],
            "",
        ),
        frame(&exception, &long),
    ] {
        let world = world(|_| {}).await;
        let mut client = world.post(&path(CLAUDE, "invoke-with-response-stream"), REQUEST).await;
        let mut exchange = world.provider.next().await;
        stream(&mut exchange, &first).await;
        exchange.end().await;
        exchange.done();
        let mut exchange = world.provider.next().await;
        let sent = [beginning(), end()].concat();
        stream(&mut exchange, &sent).await;
        exchange.end().await;
        assert_eq!(client.answer().await.1, sent);
        let record = world.control.one_record().await;
        assert_eq!((record.outcome, record.attempts), (Outcome::Completed, 2));
    }
    // A long frame that only speaks of errors is the answer.
    let world = world(|_| {}).await;
    let text = format!(
        r#"{{"type":"content_block_delta","index":0,"delta":{{"type":"text_delta","text":"{}"}}}}"#,
        ":exception-type :error-code ".repeat(300)
    );
    let sent = [chunk(&text), beginning(), end()].concat();
    let (got, record) = streamed(&world, &sent).await;
    assert_eq!((got == sent, record.attempts), (true, 1));
}

async fn with_two_keys() -> World {
    let world = world(|_| {}).await;
    let mut providers = world.control.providers();
    providers[0].keys.push(ProviderKeyConfig {
        id: Ambient::system().new_id(),
        secret: ProviderSecret::new("ABSKother-0123456789abcdef".to_owned()),
    });
    world.control.configure(providers);
    world.control.until_in_force().await;
    world
}

/// What is refused is one model: the key goes on serving the others.
#[tokio::test]
async fn a_refusal_that_is_about_a_model_puts_no_key_out_of_use() {
    for (message, cools) in [
        ("You don't have access to the model with the specified model ID.", false),
        (
            "User: arn:aws:iam::1:user/u is not authorized to perform: bedrock:InvokeModel on resource: arn:aws:bedrock:r::foundation-model/m",
            false,
        ),
        (
            "Access to this model is not available for channel program accounts.",
            false,
        ),
        (
            "User: arn:aws:iam::1:user/u is not authorized to perform: s3:GetObject on resource: arn:aws:s3:::b/k",
            false,
        ),
        ("Authentication failed: Please make sure your API Key is valid.", true),
    ] {
        let world = with_two_keys().await;
        let mut client = world.post(&path("not-ours", "converse"), REQUEST).await;
        let mut first = world.provider.next().await;
        let body = format!(r#"{{"message":"{message}"}}"#);
        let head = "connection: close\r\nx-amzn-errortype: AccessDeniedException\r\n";
        first.json("403 Forbidden", head, &body).await;
        let mut second = world.provider.next().await;
        let good = second.header("authorization").unwrap().to_owned();
        assert_ne!(
            first.header("authorization"),
            Some(good.as_str()),
            "another key at once"
        );
        second.json("200 OK", "connection: close\r\n", "{}").await;
        assert_eq!(client.answer().await.0.status, 200);
        let mut used = Vec::new();
        for _ in 0..4 {
            let mut client = world.post(&path("ours", "converse"), REQUEST).await;
            let mut exchange = world.provider.next().await;
            used.push(exchange.header("authorization").unwrap().to_owned());
            exchange.json("200 OK", "connection: close\r\n", "{}").await;
            assert_eq!(client.answer().await.0.status, 200);
        }
        assert_eq!(used.iter().all(|key| *key == good), cools, "{message}: {used:?}");
    }
}

/// What is only passed through is not read, so that nobody can tell what a refusal is about.
#[tokio::test]
async fn a_refusal_of_what_is_passed_through_puts_no_key_out_of_use() {
    let world = with_two_keys().await;
    let mut used = BTreeSet::new();
    for status in ["403 Forbidden", "200 OK", "200 OK", "200 OK", "200 OK"] {
        let mut client = world.post(&path("not-ours", "count-tokens"), REQUEST).await;
        let mut exchange = world.provider.next().await;
        used.insert(exchange.header("authorization").unwrap().to_owned());
        exchange
            .json(status, "connection: close\r\n", r#"{"message":"no"}"#)
            .await;
        assert_eq!(client.answer().await.1, br#"{"message":"no"}"#);
        if status == "403 Forbidden" {
            used.clear();
        }
    }
    assert_eq!(used.len(), 2, "both go on");
}

/// What Bedrock reads from S3 it reads as the platform: a place there is an object that nobody has made through the gateway.
#[tokio::test]
async fn a_place_in_s3_is_an_object_of_an_unknown_maker() {
    const BODY: &[u8] = br#"{"messages":[{"role":"user","content":[{"document":{"format":"pdf","name":"d","source":{"s3Location":{"uri":"s3://bucket/secret.pdf"}}}}]}]}"#;
    for (policy, is_relayed) in [
        (StoredObjects::Unclaimed, true),
        (StoredObjects::All, true),
        (StoredObjects::Own, false),
    ] {
        let world = world(|settings| settings.relay.stored_objects = policy).await;
        for verb in ["converse", "invoke"] {
            let mut client = world.post(&path("amazon.nova-pro-v1:0", verb), BODY).await;
            if is_relayed {
                let mut exchange = world.provider.next().await;
                assert_eq!(exchange.body, BODY);
                exchange.json("200 OK", "", "{}").await;
                assert_eq!(client.answer().await.0.status, 200, "{policy:?} {verb}");
                exchange.done();
            } else {
                let (head, body) = client.answer().await;
                let text = String::from_utf8(body).unwrap();
                assert_eq!(head.status, 404, "{policy:?} {verb}");
                assert_eq!(head.header("x-amzn-errortype"), Some("ResourceNotFoundException"));
                assert!(text.contains("made no object"), "{text}");
            }
        }
    }
}
