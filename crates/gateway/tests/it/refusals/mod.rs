//! What the gateway itself refuses: status, the provider's error shape, and that nothing is sent anywhere.

mod bodies;
mod providers;

use crate::support::{Answer, Client, Control, World, ready, until};
use lychgate_link::Authorization;
use lychgate_types::random::Random;
use lychgate_types::secret::UserTokenSecret;
use lychgate_types::{Ambient, Holder};
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
async fn without_a_valid_token_nothing_is_sent() {
    let world = World::new().await;
    let stranger = Control::new().valid_token();
    let forbidden = world.control.token(Authorization::Known {
        may_send_requests: false,
        holder: Holder::from_number(7),
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
    // A mistyped token is never looked up; the unknown one was once, and then its denial was known.
    assert_eq!(world.control.lookups(), 2);
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
    // The stream is ordered: once the gateway has the configuration sent after the revocation, it has the revocation.
    world.reconfigure().await;
    let mut client = world.post("/ai/anthropic/v1/messages", b"{}").await;
    assert!(refused(&mut client, 401).await.1.contains("revoked"));
}

#[tokio::test]
async fn paths_and_methods_that_are_not_allowed() {
    let world = World::new().await;
    for (line, status, allow) in [
        ("GET /ai/anthropic/v1/messages", 405, Some("POST")),
        ("DELETE /ai/openai/v1/models/x", 405, Some("GET, HEAD")),
        ("POST /ai/openai/v1/responses/", 404, None),
        ("POST /ai/openai/v1/responses//", 404, None),
        ("POST /ai/openai/v1/responses/;a=b", 404, None),
        ("POST /ai/openai/v1/responses/%20", 404, None),
        ("GET /ai/anthropic/v1/organizations/users", 404, None),
        ("GET /ai/openai/v1/models/../fine_tuning/jobs", 404, None),
        ("POST /ai/openai/v1/fine_tuning/jobs", 404, None),
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
async fn a_websocket_that_is_switched_off_is_refused_at_once() {
    let world = World::with_policy(|policy| policy.relay.websocket = false).await;
    let headers = "connection: Upgrade\r\nupgrade: websocket\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\nsec-websocket-version: 13\r\n";
    let mut client = world.client().await;
    client.send("GET /ai/openai/v1/responses", headers, b"").await;
    let (_, body) = refused(&mut client, 426).await;
    assert!(is_openai(body.as_bytes()));
}

/// So small a spool that one reservation fills it.
const ONE_RECORD: u64 = 1;

#[tokio::test]
async fn too_many_requests_or_records_are_refused_with_retry_after() {
    let world = World::with_options(|options| options.max_requests = 1).await;
    let mut first = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let mut exchange = world.provider.next().await;
    let mut second = world.post("/ai/anthropic/v1/messages", b"{}").await;
    assert!(refused(&mut second, 503).await.0.header("retry-after").is_some());
    exchange.json("200 OK", "", "{}").await;
    first.answer().await;

    let world = World::with_options(|options| options.spool.max_bytes = ONE_RECORD).await;
    world.control.hold_deliveries();
    let mut first = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let mut exchange = world.provider.next().await;
    // The room is reserved for the first request before there is a record.
    let mut second = world.post("/ai/anthropic/v1/messages", b"{}").await;
    let (head, body) = refused(&mut second, 503).await;
    assert!(
        head.header("retry-after").is_some() && body.contains("unrecorded"),
        "{body}"
    );
    exchange.json("200 OK", "", "{}").await;
    first.answer().await;
    assert!(world.gateway.readiness().unwrap_err().contains("records"));
    world.control.release_deliveries();
    ready(&world.gateway).await;
}

/// What is in flight counts with its prompt: nobody fills the spool by requests that all end at once.
#[tokio::test]
async fn prompts_in_flight_count_towards_their_users_share() {
    let world = World::with_options(|options| options.spool.max_bytes = (2 * 64 + 64) << 10).await;
    let [greedy, other] = [1, 2].map(|user| world.control.valid_token_of(user));
    let prompt = "x".repeat(80_000);
    let body = format!(r#"{{"model":"m","messages":[{{"role":"user","content":"{prompt}"}}]}}"#);
    let send = async |token: &UserTokenSecret| {
        let mut client = world.client().await;
        let header = format!("x-api-key: {}\r\n", token.expose());
        client
            .send("POST /ai/anthropic/v1/messages", &header, body.as_bytes())
            .await;
        client
    };
    let mut in_flight = Vec::new();
    for _ in 0..2 {
        in_flight.push((send(&greedy).await, world.provider.next().await));
    }
    let head = send(&greedy).await.head().await;
    assert_eq!(
        (head.status, head.header("x-lychgate-reason")),
        (503, Some("spool_share_full"))
    );
    in_flight.push((send(&other).await, world.provider.next().await));
    for (mut client, mut exchange) in in_flight {
        exchange.json("200 OK", "", "{}").await;
        assert_eq!(client.answer().await.0.status, 200);
    }
    let mut again = send(&greedy).await;
    world.provider.next().await.json("200 OK", "", "{}").await;
    assert_eq!(again.answer().await.0.status, 200);
}

#[tokio::test]
async fn while_nothing_is_delivered_one_user_leaves_room_for_the_others() {
    let world = World::with_options(|options| options.spool.max_bytes = (2 * 64 + 32) << 10).await;
    world.control.hold_deliveries();
    let token = |holder| {
        world.control.token(Authorization::Known {
            may_send_requests: true,
            holder: Holder::from_number(holder),
            lease: Duration::from_secs(60),
        })
    };
    let (greedy, again, other) = (token(1), token(1), token(2));
    let ask = async |token: &UserTokenSecret| {
        let mut client = world.client().await;
        let header = format!("x-api-key: {}\r\n", token.expose());
        client.send("POST /ai/anthropic/v1/messages", &header, b"{}").await;
        tokio::select! {
            mut exchange = world.provider.next() => {
                exchange.json("200 OK", "", "{}").await;
                client.answer().await.0
            }
            answer = client.head() => answer,
        }
    };
    let mut served = 0;
    let refusal = loop {
        let answer = ask(&greedy).await;
        match answer.status {
            200 => served += 1,
            _ => break answer,
        }
    };
    assert_eq!(
        (refusal.status, refusal.header("x-lychgate-reason")),
        (503, Some("spool_share_full"))
    );
    assert!(refusal.header("retry-after").is_some() && served > 10, "{served}");
    assert_eq!(ask(&again).await.status, 503, "another token of the same user");
    assert_eq!(ask(&other).await.status, 200);
    world.gateway.readiness().unwrap();
    world.control.release_deliveries();
    world.control.delivered(served + 1).await;
    let room = async { while ask(&greedy).await.status != 200 {} };
    tokio::time::timeout(Duration::from_secs(20), room)
        .await
        .expect("there is room again");
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

#[tokio::test]
async fn probes_and_preflights_are_answered_by_the_gateway_alone() {
    let world = World::new().await;
    for (line, status, allow) in [
        ("HEAD /ai/anthropic", 200, None),
        ("HEAD /ai/anthropic/", 200, None),
        ("HEAD /ai/anthropic/api/hello", 200, None),
        ("HEAD /ai/nobody", 404, None),
        ("OPTIONS /ai/openai/v1/chat/completions", 204, Some("POST")),
        ("OPTIONS /ai/openai/v1/models", 204, Some("GET, HEAD")),
    ] {
        let mut client = world.client().await;
        client.send(line, "origin: https://page.example\r\n", b"").await;
        let head = client.head().await;
        assert_eq!((head.status, head.header("allow")), (status, allow), "{line}");
        assert_eq!(head.header("access-control-allow-origin"), None);
    }
    let mut client = world.send("HEAD /ai/openai/v1/models", "", b"").await;
    let mut exchange = world.provider.next().await;
    assert_eq!(exchange.line, "HEAD /base/v1/models HTTP/1.1");
    exchange.raw(b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n").await;
    let head = client.head().await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("9")));
}

#[tokio::test]
async fn the_largest_head_is_set() {
    for (limit, status) in [(8 << 10, 431), (32 << 10, 200)] {
        let world = World::with_options(|options| options.head_limit = limit).await;
        let header = format!("x-long: {}\r\n", "y".repeat(16 << 10));
        let mut client = world.send("HEAD /ai/anthropic", &header, b"").await;
        assert_eq!(client.head().await.status, status, "{limit}");
    }
}

/// The pages of named origins, and no others, may call from a browser; what the provider says of origins stays hidden.
#[tokio::test]
async fn pages_of_named_origins_may_call() {
    let page = "https://page.example";
    let world = World::with_options(|options| options.cors = vec![page.parse().unwrap()]).await;
    let ask = "access-control-request-method: POST\r\naccess-control-request-headers: authorization, content-type\r\n";
    for (origin, allowed) in [(page, Some(page)), ("https://other.example", None), ("null", None)] {
        let headers = format!("origin: {origin}\r\n{ask}");
        let mut client = world.client().await;
        client
            .send("OPTIONS /ai/openai/v1/chat/completions", &headers, b"")
            .await;
        let head = client.head().await;
        assert_eq!(
            (head.status, head.header("access-control-allow-origin")),
            (204, allowed),
            "{origin}"
        );
        assert_eq!(head.header("access-control-allow-methods"), allowed.map(|_| "POST"));
        let granted = head.header("access-control-allow-headers");
        assert_eq!(granted, allowed.map(|_| "authorization, content-type"));
        assert_eq!(head.header("access-control-allow-credentials"), None);

        let line = "POST /ai/openai/v1/chat/completions";
        let mut client = world.send(line, &format!("origin: {origin}\r\n"), b"{}").await;
        let mut exchange = world.provider.next().await;
        let theirs =
            "access-control-allow-origin: https://provider.example\r\naccess-control-allow-credentials: true\r\n";
        exchange.json("200 OK", theirs, "{}").await;
        let head = client.answer().await.0;
        assert_eq!(
            (head.status, head.header("access-control-allow-origin")),
            (200, allowed),
            "{origin}"
        );
        assert_eq!(head.header("access-control-expose-headers"), allowed.map(|_| "*"));
        assert_eq!(head.header("access-control-allow-credentials"), None);
    }
    // Caches keep what pages of one origin are told from those of another, and from whoever is none.
    let mut client = world.client().await;
    client.send("OPTIONS /ai/openai/v1/chat/completions", "", b"").await;
    let head = client.head().await;
    assert_eq!(
        (head.header("vary"), head.header("access-control-allow-origin")),
        (Some("origin"), None)
    );
    // A page gets to read why it is refused, and learns nothing of what is not relayed.
    let origin = format!("origin: {page}\r\n");
    let mut client = world.client().await;
    client.send("POST /ai/openai/v1/chat/completions", &origin, b"{}").await;
    let (head, _) = refused(&mut client, 401).await;
    assert_eq!(head.header("access-control-allow-origin"), Some(page));
    let mut client = world.client().await;
    client
        .send("OPTIONS /ai/openai/nothing", &format!("{origin}{ask}"), b"")
        .await;
    assert_eq!(client.head().await.header("access-control-allow-methods"), None);
}

#[tokio::test]
async fn a_wrong_base_url_is_told_the_right_one_and_a_bad_token_not_to_try_again() {
    let world = World::new().await;
    for (path, says) in [
        ("/v1/messages", "/ai/<provider> behind it"),
        ("/chat/completions", "/ai/<provider>/v1"),
        (
            "/ai/openai/v1//chat/completions",
            "meant is probably /ai/<provider>/v1/chat/completions",
        ),
        (
            "/ai/anthropic/v1/messages/",
            "meant is probably /ai/<provider>/v1/messages",
        ),
    ] {
        let mut client = world.post(path, b"{}").await;
        let (_, body) = refused(&mut client, 404).await;
        assert!(body.contains(says), "{path}: {body}");
        assert_eq!(is_anthropic(body.as_bytes()), path.contains("messages"), "{body}");
    }
    // A stranger is not worth the search.
    let mut client = world.client().await;
    client.send("POST /ai/anthropic/v1/messages/", "", b"").await;
    let (_, body) = refused(&mut client, 404).await;
    assert!(body.contains("it relays /v1/messages,"), "{body}");
    let mut client = world.client().await;
    client
        .send("GET /ai/anthropic/v1/models", "x-api-key: nobody\r\n", b"")
        .await;
    let (head, _) = refused(&mut client, 401).await;
    assert_eq!(head.header("x-should-retry"), Some("false"));
}
