//! The scripted provider over a real socket, byte by byte.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use lychgate_scripted::{Endpoint, Scenario, Script, ScriptedProvider, Step, bytes_of};
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn provider() -> ScriptedProvider {
    ScriptedProvider::start(([127, 0, 0, 1], 0).into()).await.unwrap()
}

/// Sends one request and reads until the connection ends: all that came, and how it ended.
async fn exchange(provider: &ScriptedProvider, request: &str) -> (String, std::io::Result<()>) {
    let mut stream = TcpStream::connect(provider.addr()).await.unwrap();
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut all = Vec::new();
    let mut chunk = vec![0; 65536];
    let end = loop {
        match tokio::time::timeout(Duration::from_secs(20), stream.read(&mut chunk))
            .await
            .unwrap()
        {
            Ok(0) => break Ok(()),
            Ok(count) => all.extend_from_slice(&chunk[..count]),
            Err(error) => break Err(error),
        }
    };
    (String::from_utf8_lossy(&all).into_owned(), end)
}

fn post(endpoint: Endpoint, headers: &str, body: &str) -> String {
    let credential = match endpoint {
        Endpoint::Messages => "x-api-key: k\r\nanthropic-version: 2023-06-01",
        _ => "authorization: Bearer k",
    };
    let path = endpoint.path();
    let length = body.len();
    format!(
        "POST {path} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{credential}\r\n{headers}content-length: {length}\r\n\r\n{body}"
    )
}

/// The body of a chunked answer, and whether its last chunk came.
fn unchunked(answer: &str) -> (String, bool) {
    let (head, mut rest) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.to_ascii_lowercase().contains("transfer-encoding: chunked"),
        "{head}"
    );
    let mut body = String::new();
    while let Some((size, after)) = rest.split_once("\r\n") {
        let size = usize::from_str_radix(size, 16).unwrap();
        if size == 0 {
            return (body, true);
        }
        body += &after[..size];
        rest = &after[size + 2..];
    }
    (body, false)
}

#[tokio::test]
async fn what_is_sent_is_what_was_announced() {
    let provider = provider().await;
    for endpoint in [Endpoint::Messages, Endpoint::ChatCompletions, Endpoint::Responses] {
        let body = endpoint.example(true);
        for scenario in [
            Scenario::Text,
            Scenario::Thinking,
            Scenario::EveryTool,
            Scenario::Crlf,
            Scenario::Early,
        ] {
            let name = scenario.name();
            let (answer, end) = exchange(&provider, &post(endpoint, &format!("x-scripted: {name}\r\n"), &body)).await;
            assert!(end.is_ok() && answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
            let (sent, whole) = unchunked(&answer);
            assert!(whole);
            assert_eq!(sent.as_bytes(), bytes_of(endpoint, scenario, body.as_bytes()).unwrap());
            let asked = format!(
                "GET /__scripted/scripts/{}/{name} HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
                endpoint.name()
            );
            let (told, _) = exchange(&provider, &asked).await;
            assert_eq!(told.split_once("\r\n\r\n").unwrap().1, sent);
        }
    }
    assert_eq!(
        provider.requests().len(),
        15,
        "what is asked about the provider itself is not listed"
    );
}

#[tokio::test]
async fn cut_and_reset_break_the_connection_after_all_that_came_before() {
    let provider = provider().await;
    let body = Endpoint::Responses.example(true);
    for (scenario, orderly) in [(Scenario::Cut, true), (Scenario::Reset, false)] {
        let header = format!("x-scripted: {}\r\n", scenario.name());
        let (answer, end) = exchange(&provider, &post(Endpoint::Responses, &header, &body)).await;
        let (sent, whole) = unchunked(&answer);
        assert!(!whole, "the last chunk must not come");
        assert_eq!(
            sent.as_bytes(),
            bytes_of(Endpoint::Responses, scenario, body.as_bytes()).unwrap()
        );
        assert_eq!(provider.take_requests().pop().unwrap().sent_bytes(), sent.len());
        assert_eq!(end.is_ok(), orderly, "{}: {end:?}", scenario.name());
    }
    let blocking = Endpoint::Responses.example(false);
    let (answer, _) = exchange(&provider, &post(Endpoint::Responses, "x-scripted: cut\r\n", &blocking)).await;
    let (head, sent) = answer.split_once("\r\n\r\n").unwrap();
    let promised: usize = head
        .lines()
        .find_map(|l| l.strip_prefix("content-length: "))
        .unwrap()
        .parse()
        .unwrap();
    assert_eq!(sent.len(), promised / 2);
}

#[tokio::test]
async fn the_request_itself_chooses_when_nobody_else_does() {
    let provider = provider().await;
    let ask = async |more: &str, model: &str| {
        let body =
            format!(r#"{{"model":"{model}","max_tokens":9,"messages":[{{"role":"user","content":"Hello"}}]{more}}}"#);
        exchange(&provider, &post(Endpoint::Messages, "", &body)).await.0
    };
    let tool = r#"{"name":"look","input_schema":{"type":"object","properties":{"city":{"type":"string"}}}}"#;
    assert!(ask("", "claude-x").await.contains(r#""stop_reason":"end_turn""#));
    assert!(
        ask(&format!(r#","tools":[{tool}]"#), "claude-x")
            .await
            .contains(r#""name":"look","input":{"city":"Zürich"}"#)
    );
    assert!(
        ask(r#","thinking":{"type":"adaptive"}"#, "claude-x")
            .await
            .contains(r#""type":"thinking""#)
    );
    assert!(ask("", "error-429").await.starts_with("HTTP/1.1 429"));
    assert!(ask("", "no-such-model").await.starts_with("HTTP/1.1 404"));
    // An agent's many tools are not called: it would run what it is told.
    let many = [tool; 9].join(",");
    assert!(
        ask(&format!(r#","tools":[{many}]"#), "claude-x")
            .await
            .contains("end_turn")
    );
    let forced = format!(r#","tools":[{many}],"tool_choice":{{"type":"any"}}"#);
    assert!(ask(&forced, "claude-x").await.contains("tool_use"));
    provider.add_script("mine", Script::json(418, "{}".to_owned()));
    assert!(ask("", "mine").await.starts_with("HTTP/1.1 418"));
}

#[tokio::test]
async fn bad_requests_are_refused_as_the_providers_refuse_them() {
    let provider = provider().await;
    let cases = [
        (post(Endpoint::Messages, "", "{").to_owned(), 400, "not valid JSON"),
        (
            post(Endpoint::Messages, "", r#"{"model":"m"}"#),
            400,
            "messages: Field required",
        ),
        (
            post(
                Endpoint::Messages,
                "",
                r#"{"model":"m","messages":[{}],"stream":"true"}"#,
            ),
            400,
            "stream: Input should be a valid boolean",
        ),
        (
            post(Endpoint::Messages, "", "{}").replace("x-api-key", "x-other"),
            401,
            "authentication_error",
        ),
        (
            post(Endpoint::Messages, "", &Endpoint::Messages.example(false)).replace("anthropic-version", "x-other"),
            400,
            "anthropic-version",
        ),
        (
            post(Endpoint::ChatCompletions, "", "[]"),
            400,
            "could not parse the JSON",
        ),
        (
            post(Endpoint::ChatCompletions, "", "{}").replace("authorization", "x-api-key"),
            401,
            "didn't provide an API key",
        ),
        (
            post(Endpoint::Responses, "", r#"{"model":"m"}"#),
            400,
            "Missing required parameter: 'input'",
        ),
        (
            post(
                Endpoint::Responses,
                "x-scripted: nonsense\r\n",
                &Endpoint::Responses.example(false),
            ),
            400,
            "no scenario is called nonsense",
        ),
        (
            post(Endpoint::Responses, "", "").replace("POST", "GET"),
            405,
            "invalid_request_error",
        ),
    ];
    for (request, status, words) in cases {
        let (answer, _) = exchange(&provider, &request).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status} ")) && answer.contains(words),
            "{words}: {answer}"
        );
    }
}

#[tokio::test]
async fn the_benchs_path_sends_as_many_events_as_asked_and_keeps_nothing() {
    let provider = provider().await;
    for endpoint in [Endpoint::Messages, Endpoint::ChatCompletions, Endpoint::Responses] {
        let (answer, _) = exchange(&provider, &post(endpoint, "x-scripted-events: 1000\r\n", "{}")).await;
        let (sent, whole) = unchunked(&answer);
        assert!(whole && sent.matches(" and so on").count() == 1000, "{}", &sent[..200]);
        let (answer, _) = exchange(&provider, &post(endpoint, "x-scripted: bench\r\n", "{}")).await;
        assert!(
            answer.contains("Hello!") && answer.contains("content-length"),
            "{answer}"
        );
    }
    let paced = "x-scripted-events: 10\r\nx-scripted-interval-ms: 20\r\n";
    let before = tokio::time::Instant::now();
    let (answer, _) = exchange(&provider, &post(Endpoint::Messages, paced, "{}")).await;
    assert!(unchunked(&answer).1);
    assert!(before.elapsed() >= Duration::from_millis(200));
    assert!(provider.requests().is_empty());
}

#[tokio::test]
async fn credentials_are_kept_for_tests_and_left_out_of_the_listing() {
    let provider = provider().await;
    let request = post(
        Endpoint::Messages,
        "authorization: Bearer canary\r\n",
        &Endpoint::Messages.example(false),
    );
    let (answer, _) = exchange(&provider, &request.replace("x-api-key: k", "x-api-key: canary")).await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert_eq!(provider.requests()[0].header("x-api-key"), Some("canary"));
    let (listing, _) = exchange(
        &provider,
        "GET /__scripted/requests HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n",
    )
    .await;
    assert!(
        listing.contains("anthropic-version") && !listing.contains("canary"),
        "{listing}"
    );
}

#[tokio::test]
async fn stopping_breaks_what_is_open_and_frees_the_port() {
    let provider = provider().await;
    let addr = provider.addr();
    let steps = vec![Step::Send("first".into()), Step::Pause(Duration::from_secs(3600))];
    provider.add_script(
        "long",
        Script {
            steps,
            ..Script::events([])
        },
    );
    let mut stream = TcpStream::connect(addr).await.unwrap();
    let request = post(
        Endpoint::Messages,
        "x-scripted: long\r\n",
        &Endpoint::Messages.example(true),
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut chunk = [0; 4096];
    let mut came = Vec::new();
    while !String::from_utf8_lossy(&came).contains("first") {
        let count = stream.read(&mut chunk).await.unwrap();
        assert!(count > 0, "it ended early");
        came.extend_from_slice(&chunk[..count]);
    }
    provider.stop().await;
    assert!(matches!(stream.read(&mut chunk).await, Ok(0) | Err(_)));
    ScriptedProvider::start(addr).await.unwrap().stop().await;
}
