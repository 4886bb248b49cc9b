//! What the gateway refuses by itself: status, the provider's shape, and that nothing went anywhere.

use crate::support::provider::Provider;
use crate::support::{Answer, Client, Control, World, config, ready, start, until};
use lychgate_link::Authorization;
use lychgate_types::Ambient;
use lychgate_types::provider::ProviderType;
use lychgate_types::random::Random;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

fn is_anthropic(body: &[u8]) -> bool {
    body.starts_with(b"{\"type\":\"error\"") || String::from_utf8_lossy(body).contains("\"type\":\"error\"")
}

fn is_openai(body: &[u8]) -> bool {
    String::from_utf8_lossy(body).contains("\"param\":null") && !is_anthropic(body)
}

async fn refused(client: &mut Client, status: u16) -> (Answer, String) {
    let (head, body) = client.answer().await;
    let text = String::from_utf8(body).unwrap();
    assert_eq!(head.status, status, "{text}");
    assert_eq!(head.header("content-type"), Some("application/json"));
    (head, text)
}

#[tokio::test]
async fn without_a_good_token_nothing_moves() {
    let world = World::new().await;
    let stranger = Control::new().good_token();
    let forbidden = world.control.token(Authorization::Known {
        may_send_requests: false,
        lease: Duration::from_secs(9),
    });
    let mut typo = world.token.expose().to_owned();
    typo.replace_range(45.., if typo.ends_with('a') { "b" } else { "a" });
    for (header, status, says) in [
        (String::new(), 401, "no Lychgate token"),
        ("authorization: Bearer sk-whatever\r\n".into(), 401, "lgu_"),
        (format!("authorization: Bearer {typo}\r\n"), 401, "checksum"),
        (
            format!("authorization: Bearer {}\r\n", stranger.expose()),
            401,
            "not known",
        ),
        (
            format!("x-lychgate-token: {}\r\n", world.token.expose()),
            401,
            "bring your own",
        ),
        (format!("x-api-key: {}\r\n", forbidden.expose()), 403, "may not"),
    ] {
        for path in [
            "/ai/anthropic/v1/messages",
            "/ai/openai/v1/chat/completions",
            "/ai/openai/v1/models",
        ] {
            let mut client = world.client().await;
            let method = if path.ends_with("models") { "GET" } else { "POST" };
            client
                .send(
                    &format!("{method} {path}"),
                    &header,
                    if method == "GET" { b"" } else { b"{}" },
                )
                .await;
            let (_, body) = refused(&mut client, status).await;
            assert!(body.contains(says), "{header}: {body}");
            assert_eq!(is_anthropic(body.as_bytes()), path.contains("anthropic"), "{body}");
            assert!(!body.contains(stranger.expose()) && !body.contains(&typo), "{body}");
        }
    }
    // A mistyped token was never asked about; the stranger's once, then it was known to be bad.
    assert_eq!(world.control.asked(), 2);
    assert_eq!(world.gateway.spool_depth() + world.control.records().len() as u64, 0);
}

#[tokio::test]
async fn a_revoked_token_is_refused_at_once() {
    let world = World::new().await;
    let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let mut exchange = world.provider.next().await;
    exchange.json("200 OK", "", "{}").await;
    client.answer().await;
    world.control.revoke(&world.token);
    // The stream is in order: once the gateway has the configuration behind the revocation, it has the revocation.
    world.reconfigure().await;
    let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
    assert!(refused(&mut client, 401).await.1.contains("revoked"));
}

#[tokio::test]
async fn paths_and_methods_off_the_list() {
    let world = World::new().await;
    for (line, status, allow) in [
        ("GET /ai/anthropic/v1/messages", 405, Some("POST")),
        ("DELETE /ai/openai/v1/models/x", 405, Some("GET")),
        ("GET /ai/anthropic/v1/organizations/users", 404, None),
        ("GET /ai/openai/v1/models/../files", 404, None),
        ("POST /ai/openai/v1/files", 404, None),
        ("POST /ai/openai/v1/messages", 404, None),
        ("POST /ai/anthropic", 404, None),
        ("POST /ai/nobody/v1/messages", 404, None),
        ("POST /ai/nobody/v1/chat/completions", 404, None),
    ] {
        let mut client = world.send(line, "", b"").await;
        let (head, body) = refused(&mut client, status).await;
        assert_eq!(head.header("allow"), allow, "{line}");
        let anthropic = line.contains("anthropic") || line.contains("nobody/v1/messages");
        assert_eq!(
            (is_anthropic(body.as_bytes()), is_openai(body.as_bytes())),
            (anthropic, !anthropic),
            "{line}: {body}"
        );
    }
}

#[tokio::test]
async fn a_websocket_is_refused_at_once() {
    let world = World::new().await;
    let headers = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: x\r\nsec-websocket-version: 13\r\n";
    let mut client = world.client().await;
    client.send("GET /ai/openai/v1/responses", headers, b"").await;
    let (_, body) = refused(&mut client, 426).await;
    assert!(is_openai(body.as_bytes()));
}

#[tokio::test]
async fn a_body_over_the_limit_is_refused_whole_announced_or_not() {
    let world = World::with_options(|options| options.body_limit = 1000).await;
    let token = world.token.expose();
    let big = vec![b' '; 200_000];
    let mut client = world.post("/ai/anthropic/v1/messages", &big).await;
    assert!(refused(&mut client, 413).await.1.contains("1000"));

    let mut client = world.client().await;
    let head = format!(
        "POST /ai/openai/v1/responses HTTP/1.1\r\nhost: gw\r\nauthorization: Bearer {token}\r\ntransfer-encoding: chunked\r\n\r\n"
    );
    client.write(head.as_bytes()).await;
    for _ in 0..200 {
        client.write(b"3e8\r\n").await;
        client.write(&big[..1000]).await;
        client.write(b"\r\n").await;
    }
    client.write(b"0\r\n\r\n").await;
    refused(&mut client, 413).await;

    let mut client = world.client().await;
    let head = format!(
        "POST /ai/openai/v1/responses HTTP/1.1\r\nhost: gw\r\nauthorization: Bearer {token}\r\nexpect: 100-continue\r\ncontent-length: 99999999\r\n\r\n"
    );
    client.write(head.as_bytes()).await;
    refused(&mut client, 413).await;

    let fits = vec![b' '; 998];
    let mut client = world
        .post("/ai/anthropic/v1/messages", &[&fits[..], b"{}"].concat())
        .await;
    world.provider.next().await.json("200 OK", "", "{}").await;
    assert_eq!(client.answer().await.0.status, 200);
}

#[tokio::test]
async fn a_body_that_does_not_come_is_not_waited_for() {
    let world = World::with_options(|options| options.body_idle_timeout = Duration::from_millis(30)).await;
    let token = world.token.expose();
    let mut client = world.client().await;
    let head = format!(
        "POST /ai/openai/v1/responses HTTP/1.1\r\nhost: gw\r\nauthorization: Bearer {token}\r\ncontent-length: 10\r\n\r\n{{"
    );
    client.write(head.as_bytes()).await;
    let (head, _) = client.answer().await;
    assert_eq!(head.status, 408);
}

#[tokio::test]
async fn what_is_not_json_is_refused_where_it_has_to_be_read() {
    let world = World::new().await;
    for body in [&b"{\"model\":"[..], b"[]", b"", b"\xff"] {
        let mut client = world.post("/ai/anthropic/v1/messages", body).await;
        let (_, text) = refused(&mut client, 400).await;
        assert!(is_anthropic(text.as_bytes()) && text.contains("JSON"), "{text}");
    }
    let mut client = world
        .send("POST /ai/openai/v1/responses", "content-encoding: zstd\r\n", b"(zstd)")
        .await;
    assert!(refused(&mut client, 415).await.1.contains("uncompressed"));
    // A route that only passes through does not need to read.
    let mut client = world
        .post("/ai/anthropic/v1/messages/count_tokens", b"{\"model\":")
        .await;
    let mut exchange = world.provider.next().await;
    assert_eq!(exchange.body, b"{\"model\":");
    exchange.json("400 Bad Request", "", "{\"theirs\":1}").await;
    assert_eq!(client.answer().await.1, b"{\"theirs\":1}");
}

#[tokio::test]
async fn providers_that_cant_serve_say_why() {
    let control = Control::new();
    let token = control.good_token();
    let mut disabled = config("off", ProviderType::Anthropic, "http://127.0.0.1:1");
    disabled.enabled = false;
    let mut keyless = config("keyless", ProviderType::OpenAi, "http://127.0.0.1:1");
    keyless.keys.clear();
    control.configure(vec![disabled, keyless]);
    let (gateway, address) = start(&control, |_| {}, Ambient::system()).await;
    ready(&gateway).await;
    for (path, says) in [
        ("/ai/off/v1/messages", "disabled"),
        ("/ai/keyless/v1/responses", "no key"),
    ] {
        let mut client = Client::connect(address).await;
        client
            .send(
                &format!("POST {path}"),
                &format!("authorization: Bearer {}\r\n", token.expose()),
                b"{}",
            )
            .await;
        let (_, body) = refused(&mut client, 503).await;
        assert!(body.contains(says), "{body}");
    }
}

/// So small a spool that one request's place fills it.
const ONE_RECORD: u64 = 1;

#[tokio::test]
async fn too_many_requests_and_too_many_records_are_refused_with_a_time_to_come_back() {
    let world = World::with_options(|options| options.max_requests = 1).await;
    let mut first = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let mut exchange = world.provider.next().await;
    let mut second = world.post("/ai/anthropic/v1/messages", b"{}").await;
    assert!(refused(&mut second, 503).await.0.header("retry-after").is_some());
    exchange.json("200 OK", "", "{}").await;
    first.answer().await;

    let world = World::with_options(|options| options.spool.max_bytes = ONE_RECORD).await;
    world.control.hold_deliveries(true);
    let mut first = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let mut exchange = world.provider.next().await;
    // The one place is the first request's, before there is a record in it.
    let mut second = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let (head, body) = refused(&mut second, 503).await;
    assert!(
        head.header("retry-after").is_some() && body.contains("unrecorded"),
        "{body}"
    );
    exchange.json("200 OK", "", "{}").await;
    first.answer().await;
    assert!(world.gateway.readiness().unwrap_err().contains("records"));
    world.control.hold_deliveries(false);
    ready(&world.gateway).await;
}

#[tokio::test]
async fn private_addresses_are_refused_unless_allowed() {
    let provider = Provider::start().await;
    let control = Control::new();
    let token = control.good_token();
    let port = provider.address().port();
    let mut named = config("named", ProviderType::Anthropic, &format!("http://localhost:{port}"));
    let mut literal = config("literal", ProviderType::Anthropic, &format!("http://127.0.0.1:{port}"));
    let mut mapped = config(
        "mapped",
        ProviderType::OpenAi,
        &format!("http://[::ffff:127.0.0.1]:{port}/v1"),
    );
    for provider in [&mut named, &mut literal, &mut mapped] {
        provider.allow_private = false;
    }
    let mut odd = config("odd", ProviderType::OpenAi, &format!("http://0x7f.1:{port}/v1"));
    odd.allow_private = false;
    control.configure(vec![named.clone(), literal.clone(), mapped, odd]);
    let (gateway, address) = start(&control, |_| {}, Ambient::system()).await;
    ready(&gateway).await;
    let ask = async |path: &str| {
        let mut client = Client::connect(address).await;
        client
            .send(
                &format!("POST {path}"),
                &format!("authorization: Bearer {}\r\n", token.expose()),
                b"{}",
            )
            .await;
        client
    };
    for path in [
        "/ai/named/v1/messages",
        "/ai/literal/v1/messages",
        "/ai/mapped/v1/responses",
        "/ai/odd/v1/responses",
    ] {
        let (_, body) = refused(&mut ask(path).await, 502).await;
        assert!(path.contains("odd") || body.contains("allow_private"), "{path}: {body}");
    }
    // Allowed later, the very same provider is reached.
    (named.allow_private, literal.allow_private) = (true, true);
    control.configure(vec![named, literal]);
    control.in_force().await;
    for path in ["/ai/named/v1/messages", "/ai/literal/v1/messages"] {
        let mut client = ask(path).await;
        provider
            .next()
            .await
            .json("200 OK", "connection: close\r\n", "{}")
            .await;
        assert_eq!(client.answer().await.0.status, 200);
    }
}

/// Randomness that panics when told to.
#[derive(Debug)]
struct Trap(Arc<AtomicBool>);

impl Random for Trap {
    fn fill(&self, bytes: &mut [u8]) {
        assert!(!self.0.load(Ordering::SeqCst), "sprung");
        lychgate_types::random::SystemRandom.fill(bytes);
    }
}

#[tokio::test]
async fn a_panic_is_one_requests_500() {
    let sprung = Arc::new(AtomicBool::new(false));
    let ambient = Ambient::new(
        Arc::new(lychgate_types::clock::SystemClock),
        Arc::new(Trap(Arc::clone(&sprung))),
    );
    let world = World::with(|_| {}, ambient).await;
    sprung.store(true, Ordering::SeqCst);
    let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let (_, body) = refused(&mut client, 500).await;
    assert!(is_anthropic(body.as_bytes()) && !body.contains("sprung"), "{body}");
    sprung.store(false, Ordering::SeqCst);
    let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
    world.provider.next().await.json("200 OK", "", "{}").await;
    assert_eq!(client.answer().await.0.status, 200);
    until(|| world.gateway.in_flight() == 0).await;
}
