//! Lists of models of which the replica knows nothing yet: the client's own request is relayed, and its answer teaches the replica.

use crate::support::{Answer, World};
use lychgate_types::policy::Models;

const OPENAI: &str = "/ai/openai/v1/models";
const ANTHROPIC: &str = "/ai/anthropic/v1/models";
/// A list as no one else would write it.
const LIST: &str = r#"{ "data":[ {"id":"m", "new":1.0}],"object":"list", "has_more":false }"#;
const KNOWN: &str = r#"{"id":"m", "new":1.0}"#;

async fn world() -> World {
    World::with_policy(|policy| policy.relay.models = Models::Cached).await
}

/// Asks; nothing has to come to the provider.
async fn ask(world: &World, line: &str) -> (Answer, String) {
    let (head, body) = world.send(line, "", b"").await.answer().await;
    (head, String::from_utf8(body).unwrap())
}

/// Asks, while the next request at the provider has to be this one and is answered with this.
async fn relayed(
    world: &World,
    asked: (&str, &str),
    at_provider: &str,
    answer: (&str, &str, &str),
) -> (Answer, String) {
    let mut client = world.send(asked.0, asked.1, b"").await;
    provide(world, at_provider, answer).await;
    if asked.0.starts_with("HEAD") {
        return (client.head().await, String::new());
    }
    let (head, body) = client.answer().await;
    (head, String::from_utf8_lossy(&body).into_owned())
}

async fn provide(world: &World, line: &str, (status, headers, body): (&str, &str, &str)) {
    let mut exchange = world.provider.next().await;
    assert_eq!(exchange.line, format!("{line} HTTP/1.1"));
    exchange.json(status, headers, body).await;
    exchange.done();
}

#[tokio::test]
async fn the_first_answer_is_the_providers_own_and_teaches_the_replica() {
    for (path, at_provider) in [
        (OPENAI, "/base/v1/models"),
        (ANTHROPIC, "/v1/models"),
        (&format!("{ANTHROPIC}?limit=1000"), "/v1/models?limit=1000"),
    ] {
        let world = world().await;
        let asked = format!("GET {path}");
        let headers = "etag: \"theirs\"\r\nrequest-id: r\r\n";
        let (head, body) = relayed(
            &world,
            (&asked, "anthropic-beta: b\r\n"),
            &format!("GET {at_provider}"),
            ("200 OK", headers, LIST),
        )
        .await;
        assert_eq!((head.status, body.as_str()), (200, LIST));
        assert_eq!(
            (head.header("etag"), head.header("request-id")),
            (Some("\"theirs\""), Some("r"))
        );
        // From here on without the provider.
        let (head, body) = ask(&world, &asked).await;
        assert!(body.contains(KNOWN) && body != LIST, "{body}");
        assert!(head.header("etag").is_some_and(|tag| tag != "\"theirs\""));
        let mut client = world.send(&format!("HEAD {path}"), "", b"").await;
        assert_eq!(client.head().await.status, 200);
    }
}

#[tokio::test]
async fn what_the_answer_does_not_teach_is_asked_for() {
    let one = format!("{OPENAI}/m");
    let gzip = "content-encoding: gzip\r\n";
    let page = LIST.replace("false", "true").replace('}', r#","last_id":"m"}"#);
    for (asked, at_provider, answer) in [
        (format!("HEAD {OPENAI}"), "HEAD /base/v1/models", ("200 OK", "", "")),
        (
            format!("GET {one}"),
            "GET /base/v1/models/m",
            ("404 Not Found", "", "{}"),
        ),
        (
            format!("GET {OPENAI}?limit=3"),
            "GET /base/v1/models?limit=3",
            ("200 OK", "", LIST),
        ),
        (format!("GET {OPENAI}"), "GET /base/v1/models", ("200 OK", gzip, LIST)),
        (
            format!("GET {OPENAI}"),
            "GET /base/v1/models",
            ("200 OK", "", "no list"),
        ),
        (
            format!("GET {ANTHROPIC}?limit=1"),
            "GET /v1/models?limit=1",
            ("200 OK", "", LIST),
        ),
        (format!("GET {ANTHROPIC}"), "GET /v1/models", ("200 OK", "", &page)),
    ] {
        let world = world().await;
        let (head, body) = relayed(&world, (&asked, ""), at_provider, answer).await;
        assert!(
            answer.0.starts_with(&head.status.to_string()) && body == answer.2,
            "{asked}: {body}"
        );
        let (path, own) = match asked.contains(OPENAI) {
            true => (OPENAI, "GET /base/v1/models"),
            false => (ANTHROPIC, "GET /v1/models?limit=1000"),
        };
        let mut client = world.send(&format!("GET {path}"), "", b"").await;
        provide(&world, own, ("200 OK", "", LIST)).await;
        let (_, body) = client.answer().await;
        assert!(String::from_utf8(body).unwrap().contains(KNOWN), "{asked}");
    }
}

#[tokio::test]
async fn a_query_that_the_list_does_not_answer_is_always_relayed() {
    let world = world().await;
    let list = format!("GET {OPENAI}");
    relayed(&world, (&list, ""), "GET /base/v1/models", ("200 OK", "", LIST)).await;
    let some = r#"{"data":[]}"#;
    let asked = format!("{list}?supports=tools");
    let (_, body) = relayed(
        &world,
        (&asked, ""),
        "GET /base/v1/models?supports=tools",
        ("200 OK", "", some),
    )
    .await;
    assert_eq!(body, some);
    assert!(ask(&world, &list).await.1.contains(KNOWN));
}

#[tokio::test]
async fn an_error_is_the_providers_own_and_is_no_list() {
    let world = world().await;
    let asked = format!("GET {OPENAI}");
    for (status, body) in [(401, r#"{"error":{"message":"no"}}"#), (500, "<html>")] {
        let answer = (&*format!("{status} No"), "connection: close\r\n", body);
        let answered = relayed(&world, (&asked, ""), "GET /base/v1/models", answer).await;
        assert_eq!((answered.0.status, answered.1.as_str()), (status, body));
    }
}

#[tokio::test]
async fn codex_gets_a_list_whatever_the_provider_says() {
    let world = world().await;
    let asked = format!("GET {OPENAI}?client_version=1.0");
    let answered = relayed(
        &world,
        (&asked, ""),
        "GET /base/v1/models?client_version=1.0",
        ("404 Not Found", "", "{}"),
    )
    .await;
    assert_eq!((answered.0.status, answered.1.as_str()), (200, r#"{"models":[]}"#));
}

#[tokio::test]
async fn who_comes_while_another_waits_is_not_held_up_and_what_is_abandoned_is_asked_for() {
    let world = world().await;
    let asked = format!("GET {OPENAI}");
    let first = world.send(&asked, "", b"").await;
    let slow = world.provider.next().await;
    let (_, body) = relayed(&world, (&asked, ""), "GET /base/v1/models", ("200 OK", "", LIST)).await;
    assert_eq!(body, LIST);
    drop(first);
    provide(&world, "GET /base/v1/models", ("200 OK", "", LIST)).await;
    let (_, body) = ask(&world, &asked).await;
    assert!(body.contains(KNOWN) && body != LIST, "{body}");
    drop(slow);
}
