//! Requests that are signed with keys of AWS: the scripted provider checks each signature, and botocore makes it once more.

use crate::PROGRAM;
use crate::sdk::{add_provider_with, python_file};
use lychgate_scripted::SeenRequest;
use lychgate_testkit::app::{App, Replica};
use lychgate_testkit::http::{Answer, post};
use lychgate_testkit::process::finish;
use serde_json::{Value, json};
use std::path::Path;

/// The key that the scripted provider knows, which is that of AWS's documentation.
const ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const SESSION: &str = "IQoJb3JpZ2luX2VjEXAMPLE//session+token==";
const ARN: &str = "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-x-v1:0";

async fn add(app: &App, name: &str, key: &str, region: &str) {
    let region = format!("region={region}");
    let settings = ["credential=aws_static", &region];
    add_provider_with(key, app, name, "bedrock", "", &settings).await;
}

async fn converse(app: &App, replica: &Replica, provider: &str, model: &str, verb: &str) -> Answer {
    let body = json!({"messages": [{"role": "user", "content": [{"text": "Héllo"}]}]});
    let url = format!("{}/ai/{provider}/model/{model}/{verb}", replica.url);
    post(url).bearer(&app.token).json(&body).send().await
}

fn described(request: &SeenRequest) -> Value {
    let headers = request.headers.iter();
    let headers: Value = headers
        .map(|(name, value)| (name.to_string(), Value::from(value.to_str().unwrap())))
        .collect();
    let host = request.header("host").unwrap();
    let body = std::str::from_utf8(&request.body).unwrap();
    json!({"method": request.method, "url": format!("http://{host}{}", request.path), "headers": headers, "body": body})
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn botocore_signs_what_was_sent_in_the_same_way() {
    let app = App::start(PROGRAM, None).await;
    add(&app, "lasting", &format!("{ID}:{SECRET}"), "us-east-1").await;
    add(&app, "session", &format!("{ID}:{SECRET}:{SESSION}"), "us-east-1").await;
    let replica = app.replica("edge-1").await;
    let (slash, all) = (ARN.replace('/', "%2F"), ARN.replace('/', "%2f").replace(':', "%3A"));
    let mut wanted = 0;
    for provider in ["lasting", "session"] {
        for model in ["amazon.nova-pro-v1:0", "amazon.nova-pro-v1%3A0", ARN, &slash, &all] {
            for verb in ["converse", "converse-stream"] {
                converse(&app, &replica, provider, model, verb).await.expect(200);
                wanted += 1;
            }
        }
    }
    let requests = app.scripted.requests();
    let lines: Vec<_> = requests.iter().map(|request| described(request).to_string()).collect();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests-sdk/sigv4.py");
    let mut command = python_file(&script);
    command.args(["bedrock", "us-east-1", SECRET]);
    let finished = finish(command, &(lines.join("\n") + "\n")).await;
    assert_eq!(finished.code, 0, "{}", finished.all());
    assert_eq!(finished.stdout, format!("same {wanted}\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_aws_refuses_is_told_and_recorded() {
    const CLOCK: &str = "Signature expired: ";
    let app = App::start(PROGRAM, None).await;
    let cases = [
        (
            "region",
            format!("{ID}:{SECRET}"),
            "eu-west-1",
            "InvalidSignatureException",
            "a valid region",
        ),
        (
            "secret",
            format!("{ID}:not-{SECRET}"),
            "us-east-1",
            "InvalidSignatureException",
            "does not match the signature",
        ),
        (
            "unknown",
            format!("AKIA0123456789EXAMPLE:{SECRET}"),
            "us-east-1",
            "UnrecognizedClientException",
            "token included in the request is invalid",
        ),
        (
            "expired",
            format!("{ID}:{SECRET}:expired-{SESSION}"),
            "us-east-1",
            "ExpiredTokenException",
            "is expired",
        ),
        (
            "clock",
            format!("{ID}:{SECRET}"),
            "us-east-1",
            "InvalidSignatureException",
            CLOCK,
        ),
    ];
    for (name, key, region, ..) in &cases {
        add(&app, name, key, region).await;
    }
    let replica = app.replica("edge-1").await;
    for (at, (name, _, _, error_type, says)) in cases.iter().enumerate() {
        app.scripted.set_clock_ahead(if *says == CLOCK { 3600 } else { 0 });
        let answer = converse(&app, &replica, name, "amazon.nova-pro-v1:0", "converse")
            .await
            .expect(403);
        let text = answer.text();
        assert!(
            text.starts_with(r#"{"message":""#) && text.contains(says),
            "{name}: {text}"
        );
        let newest = app.newest_interception(at + 1).await;
        let record = app.interception(newest["id"].as_str().unwrap()).await;
        assert_eq!(
            (&record["outcome"], &record["error_type"]),
            (&json!("failed"), &json!(error_type)),
            "{name}"
        );
        for secret in [SECRET, SESSION] {
            let half = &secret[secret.len() / 2..];
            assert!(
                !record.to_string().contains(half) && !text.contains(half),
                "{name}: {record:#}"
            );
        }
    }
    let log = replica.process.stderr();
    assert!(!log.contains(&SECRET[20..]) && !log.contains(&SESSION[20..]), "{log}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_key_of_another_form_is_refused_by_what_it_should_be() {
    let app = App::start(PROGRAM, None).await;
    let key = app.write("bedrock-key", "ABSKQmVkcm9ja0FQSUtleQ");
    let key = key.to_str().unwrap();
    let create = [
        "providers",
        "create",
        "aws",
        "--type",
        "bedrock",
        "--base-url",
        "https://b.example",
        "--key-file",
        key,
    ];
    let signed = ["--setting", "credential=aws_static", "--setting", "region=us-east-1"];
    let refused = app.cli(&[&create[..], &signed].concat()).await;
    assert_ne!(refused.code, 0);
    let said = refused.all();
    assert!(
        said.contains("ACCESS_KEY_ID:SECRET_ACCESS_KEY") && !said.contains("ABSK"),
        "{said}"
    );
    app.cli_ok(&create).await;
}
