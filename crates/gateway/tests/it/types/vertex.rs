//! Anthropic's models on Vertex AI: paths that name project, location and model.

use super::seen;
use crate::support::{CENTRAL_KEY, World, config};
use lychgate_types::provider::{Api, ProviderType};

const ROOT: &str = "/ai/vertex/v1/projects/project-1/locations/europe-west1/publishers/anthropic/models";
const WRITTEN: &[u8] = br#"{ "anthropic_version":"vertex-2023-10-16","max_tokens":1.0,"stream":true }"#;
const MESSAGE: &str =
    r#"{"id":"msg_vrtx_1","type":"message","model":"claude-x-20260101","usage":{"input_tokens":3,"output_tokens":5}}"#;

async fn world() -> World {
    let world = World::new().await;
    let mut vertex = config("vertex", ProviderType::Vertex, &world.provider.url(""));
    let settings = [("project", "project-1"), ("location", "europe-west1")];
    vertex.settings = settings
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into_iter()
        .collect();
    world.control.configure(vec![vertex]);
    world.control.until_in_force().await;
    world
}

#[tokio::test]
async fn a_message_goes_on_as_it_came_and_its_model_is_the_paths() {
    let world = world().await;
    for (model, on_record) in [
        ("claude-x@20260101", "claude-x@20260101"),
        ("claude-x%4020260101", "claude-x@20260101"),
        ("claude-x", "claude-x"),
    ] {
        let path = format!("{ROOT}/{model}:rawPredict");
        let extra =
            "x-goog-user-project: somebody\r\nx-vertex-ai-llm-shared-request-type: priority\r\nanthropic-beta: a,b\r\n";
        let client = world.send(&format!("POST {path}"), extra, WRITTEN).await;
        let exchange = seen(&world.provider, client, MESSAGE).await;
        let wanted = path.strip_prefix("/ai/vertex").unwrap();
        assert_eq!(exchange.line, format!("POST {wanted} HTTP/1.1"));
        assert_eq!(exchange.body, WRITTEN);
        assert_eq!(
            exchange.header("authorization"),
            Some(&*format!("Bearer {CENTRAL_KEY}"))
        );
        // Who pays is not for the client to say; how urgent it is, and what is tried, is.
        assert_eq!(exchange.header("x-goog-user-project"), None);
        assert_eq!(exchange.header("x-vertex-ai-llm-shared-request-type"), Some("priority"));
        assert_eq!(exchange.header("anthropic-beta"), Some("a,b"));
        let records = world.control.records();
        crate::support::until(|| world.control.records().iter().any(|record| record.model == on_record)).await;
        drop(records);
    }
    let records = world.control.delivered(3).await;
    for record in &records {
        let usage = (
            record.token_usages[0].input_tokens,
            record.token_usages[0].output_tokens,
        );
        assert_eq!(
            (record.api, record.streaming, usage),
            (Api::AnthropicMessages, false, (3, 5))
        );
    }
}

#[tokio::test]
async fn a_stream_is_one_by_its_path() {
    let world = world().await;
    let mut client = world.post(&format!("{ROOT}/claude-x:streamRawPredict"), WRITTEN).await;
    let mut exchange = world.provider.next().await;
    exchange.stream().await;
    exchange.chunk(b"event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_vrtx_1\",\"model\":\"claude-x\",\"usage\":{\"input_tokens\":3,\"output_tokens\":1}}}\n\n").await;
    exchange.chunk(b"event: message_delta\ndata: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":5}}\n\n").await;
    exchange
        .chunk(b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n")
        .await;
    exchange.end().await;
    let (head, _) = client.answer().await;
    assert_eq!(head.status, 200);
    let record = world.control.one_record().await;
    assert!(record.streaming);
    assert_eq!(record.token_usages[0].output_tokens, 5);
}

#[tokio::test]
async fn counting_is_a_question_and_not_recorded() {
    let world = world().await;
    let client = world
        .post(&format!("{ROOT}/count-tokens:rawPredict"), br#"{"model":"claude-x"}"#)
        .await;
    let exchange = seen(&world.provider, client, r#"{"input_tokens":3}"#).await;
    assert!(
        exchange.line.contains("/models/count-tokens:rawPredict "),
        "{}",
        exchange.line
    );
    assert!(world.control.records().is_empty());
}

/// Another project's bill, and another place's law.
#[tokio::test]
async fn another_project_or_location_is_refused() {
    let world = world().await;
    for (path, word) in [
        (ROOT.replace("project-1", "project-2"), "project"),
        (ROOT.replace("europe-west1", "us-east5"), "location"),
        (ROOT.replace("europe-west1", "Europe-West1"), "location"),
    ] {
        for rest in [
            "claude-x:rawPredict",
            "claude-x:streamRawPredict",
            "count-tokens:rawPredict",
        ] {
            let mut client = world.post(&format!("{path}/{rest}"), WRITTEN).await;
            let (head, body) = client.answer().await;
            let body = String::from_utf8(body).unwrap();
            assert_eq!(head.status, 403, "{body}");
            assert!(body.contains("permission_error") && body.contains(word), "{body}");
        }
    }
    for rest in [
        "claude-x:predict",
        "../x:rawPredict",
        "claude-x:rawPredict/x",
        ":rawPredict",
    ] {
        let mut client = world.post(&format!("{ROOT}/{rest}"), WRITTEN).await;
        assert_eq!(client.answer().await.0.status, 404, "{rest}");
    }
}
