//! Requests that are signed with a key of AWS, which is not sent itself. The signature is worked out here by hand, after AWS's
//! documentation: the crate that makes it has no part in it.

use crate::support::provider::Exchange;
use crate::support::{World, config};
use aws_lc_rs::{digest, hmac};
use lychgate_types::interception::Outcome;
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::ProviderSecret;
use std::fmt::Write as _;

/// Those of AWS's documentation.
const ID: &str = "AKIAIOSFODNN7EXAMPLE";
const SECRET: &str = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
const SESSION: &str = "AQoDYXdzEJr:session==";
const ARN: &str = "arn:aws:bedrock:eu-west-1:1:inference-profile/eu.anthropic.claude-x-v1:0";
const BODY: &[u8] = br#"{"messages":[{"role":"user","content":[{"text":"Hi"}]}]}"#;

async fn world(key: &str) -> World {
    let world = World::new().await;
    let mut bedrock = config("bedrock", ProviderType::Bedrock, &world.provider.url(""));
    let settings = [("credential", "aws_static"), ("region", "eu-west-1")];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    bedrock.settings = settings.into_iter().collect();
    bedrock.policy.retry.max_attempts = 2;
    bedrock.policy.retry.base_delay_ms = 1;
    bedrock.keys[0].secret = ProviderSecret::new(key.to_owned());
    world.control.configure(vec![bedrock]);
    world.control.until_in_force().await;
    world
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

fn sha256(bytes: &[u8]) -> String {
    hex(digest::digest(&digest::SHA256, bytes).as_ref())
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    hmac::sign(&key, text.as_bytes()).as_ref().to_vec()
}

/// A path that is on the wire already, escaped for the signature.
fn escaped(path: &str) -> String {
    path.bytes().fold(String::new(), |mut text, byte| {
        match byte {
            b'/' | b'-' | b'.' | b'_' | b'~' => text.push(char::from(byte)),
            _ if byte.is_ascii_alphanumeric() => text.push(char::from(byte)),
            _ => write!(text, "%{byte:02X}").unwrap(),
        }
        text
    })
}

/// Checks the signature of what the provider got, which covers the headers of these names.
fn check(exchange: &Exchange, signed: &[&str]) {
    let path = exchange.line.split(' ').nth(1).unwrap();
    let headers = signed.iter().fold(String::new(), |mut text, name| {
        let value = exchange.header(name).unwrap_or_else(|| panic!("{name} is missing"));
        writeln!(text, "{name}:{value}").unwrap();
        text
    });
    let signed = signed.join(";");
    let canonical = format!(
        "POST\n{}\n\n{headers}\n{signed}\n{}",
        escaped(path),
        sha256(&exchange.body)
    );
    let date = exchange.header("x-amz-date").unwrap();
    let scope = format!("{}/eu-west-1/bedrock/aws4_request", &date[..8]);
    let text = format!("AWS4-HMAC-SHA256\n{date}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let parts = [&date[..8], "eu-west-1", "bedrock", "aws4_request"];
    let key = parts
        .into_iter()
        .fold(format!("AWS4{SECRET}").into_bytes(), |key, part| mac(&key, part));
    let signature = hex(&mac(&key, &text));
    assert_eq!(
        exchange.header("authorization").unwrap(),
        format!("AWS4-HMAC-SHA256 Credential={ID}/{scope}, SignedHeaders={signed}, Signature={signature}")
    );
    assert!(!exchange.headers.iter().any(|header| header.contains(SECRET)));
}

#[tokio::test]
async fn every_try_is_signed_as_it_is_sent() {
    let world = world(&format!("{ID}:{SECRET}")).await;
    // What the client signed with is not sent, and neither is what it calls its connection.
    let stray = "content-type: application/json\r\nx-amz-date: 20200101T000000Z\r\nx-amz-security-token: s\r\n\
                 x-amzn-bedrock-trace: ENABLED\r\nconnection: x-amzn-other\r\nx-amzn-other: 1\r\nx-amzn-note: \u{e9}\r\n";
    let mut client = world
        .send(&format!("POST /ai/bedrock/model/{ARN}/converse"), stray, BODY)
        .await;
    for status in ["503 Service Unavailable", "200 OK"] {
        let mut exchange = world.provider.next().await;
        assert!(exchange.line.contains("inference-profile%2Feu."), "{}", exchange.line);
        check(
            &exchange,
            &["content-type", "host", "x-amz-date", "x-amzn-bedrock-trace"],
        );
        assert_eq!(exchange.header("x-amzn-note"), None, "what can't be signed is not sent");
        exchange.json(status, "connection: close\r\n", "{}").await;
    }
    assert_eq!(client.answer().await.0.status, 200);
    let record = world.control.one_record().await;
    assert_eq!(record.attempts, 2);
    assert!(!record.credential_hint.contains(SECRET), "{}", record.credential_hint);
}

#[tokio::test]
async fn what_passes_through_is_signed_too_and_a_session_goes_along() {
    let world = world(&format!("{ID}:{SECRET}:{SESSION}")).await;
    let mut client = world.post("/ai/bedrock/model/m/count-tokens", b"{}").await;
    let mut exchange = world.provider.next().await;
    assert_eq!(exchange.header("x-amz-security-token"), Some(SESSION));
    check(
        &exchange,
        &["content-type", "host", "x-amz-date", "x-amz-security-token"],
    );
    exchange.json("200 OK", "", r#"{"inputTokens":3}"#).await;
    assert_eq!(client.answer().await.0.status, 200);
}

/// However a client writes the id, what is signed is the path that goes up.
#[tokio::test]
async fn ids_are_signed_as_they_are_sent() {
    let world = world(&format!("{ID}:{SECRET}")).await;
    let all = ARN.replace('/', "%2F").replace(':', "%3A");
    let escaped = "us.anthropic.claude-x-v1%3A0";
    for id in [
        ARN,
        &ARN.replace('/', "%2f"),
        &all,
        escaped,
        "us.anthropic.claude-x-v1:0",
    ] {
        let mut client = world.post(&format!("/ai/bedrock/model/{id}/invoke"), BODY).await;
        let mut exchange = world.provider.next().await;
        check(&exchange, &["content-type", "host", "x-amz-date"]);
        exchange.json("200 OK", "", "{}").await;
        assert_eq!(client.answer().await.0.status, 200, "{id}");
        exchange.done();
    }
}

/// A refused signature is the provider's own error to the client, and on record; the key is in none of it.
#[tokio::test]
async fn what_aws_says_of_a_signature_reaches_the_client() {
    for (error_type, message) in [
        (
            "InvalidSignatureException",
            "Signature expired: 20261201T020000Z is now earlier than 20261201T025500Z",
        ),
        (
            "InvalidSignatureException",
            "Credential should be scoped to a valid region.",
        ),
        (
            "ExpiredTokenException",
            "The security token included in the request is expired",
        ),
        (
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
        ),
    ] {
        let world = world(&format!("{ID}:{SECRET}:{SESSION}")).await;
        let mut client = world.post("/ai/bedrock/model/m/converse", BODY).await;
        let mut exchange = world.provider.next().await;
        let head = format!("x-amzn-errortype: {error_type}:http://internal.amazon.com/coral/\r\n");
        let body = format!(r#"{{"message":"{message}"}}"#);
        exchange.json("403 Forbidden", &head, &body).await;
        let (head, got) = client.answer().await;
        assert_eq!((head.status, String::from_utf8(got).unwrap()), (403, body));
        let record = world.control.one_record().await;
        assert_eq!(record.outcome, Outcome::Failed);
        assert_eq!(record.error_type.as_deref(), Some(error_type));
        let written = format!("{record:?}{:?}", head.headers);
        for secret in [SECRET, SESSION] {
            assert!(!written.contains(secret), "{written}");
        }
    }
}

/// The control plane takes none; one may come from an older version of it.
#[tokio::test]
async fn a_key_of_another_form_is_left_out() {
    let world = world("ABSKQmVkcm9ja0FQSUtleQ").await;
    let mut client = world.post("/ai/bedrock/model/m/converse", BODY).await;
    assert_eq!(client.answer().await.0.status, 503);
}
