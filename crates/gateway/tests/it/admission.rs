//! The order of admission, and how little those get who are not known: a head is looked at, and that is all.

use crate::support::{Client, Control, World, until};
use bytes::Bytes;
use h2::Reason;
use lychgate_gateway::{BodyBudgetLimits, PlaceLimits};
use lychgate_link::{Authorization, DenyReason};
use std::future::poll_fn;
use std::time::Duration;
use tokio::net::{TcpSocket, TcpStream};

const PATH: &str = "/ai/openai/v1/responses";
const GOOD: Authorization = Authorization::Known {
    may_send_requests: true,
    holder: lychgate_types::Holder::from_number(7),
    lease: Duration::from_secs(60),
};

/// So many tokens are looked up at a time for strangers at one address.
const OF_ONE_SOURCE: usize = 256;

/// Asks for the models with this token.
async fn models(client: &mut Client, token: &str, extra: &str) {
    let headers = format!("authorization: Bearer {token}\r\n{extra}");
    client.send("GET /ai/openai/v1/models", &headers, b"").await;
}

/// A request whose body never comes.
async fn announce(client: &mut Client, authorization: &str, length: usize) {
    let head = format!("POST {PATH} HTTP/1.1\r\nhost: gw\r\n{authorization}content-length: {length}\r\n\r\n");
    client.write(head.as_bytes()).await;
}

/// A whole request with the known token, and its answer.
async fn served(world: &World) -> u16 {
    let mut client = world.post(PATH, b"{}").await;
    tokio::select! {
        mut exchange = world.provider.next() => {
            exchange.json("200 OK", "connection: close\r\n", "{}").await;
            client.answer().await.0.status
        }
        (head, _) = async { client.answer().await } => head.status,
    }
}

#[tokio::test]
async fn strangers_take_no_place_among_the_requests_in_flight() {
    let world = World::with_options(|options| options.max_requests = 1).await;
    assert_eq!(served(&world).await, 200);
    until(|| world.gateway.in_flight() == 0).await;
    let mut strangers = Vec::new();
    for authorization in ["", "authorization: Bearer sk-nobody\r\n"].repeat(10) {
        let mut client = world.client().await;
        announce(&mut client, authorization, 1000).await;
        strangers.push(client);
    }
    // A token that might be good waits for its look-up, and in no place either.
    world.control.hold_lookups();
    let unknown = Control::new().valid_token();
    let mut waiting = world.client().await;
    announce(
        &mut waiting,
        &format!("authorization: Bearer {}\r\n", unknown.expose()),
        1000,
    )
    .await;
    until(|| world.control.held_lookups() == 1).await;
    assert_eq!((world.gateway.in_flight(), served(&world).await), (0, 200));
}

#[tokio::test]
async fn authenticated_before_counted_and_counted_before_the_body_is_read() {
    let world = World::with_options(|options| options.max_requests = 1).await;
    let mut first = world.post(PATH, b"{}").await;
    let mut exchange = world.provider.next().await;
    let good = format!(
        "authorization: Bearer {}\r\nexpect: 100-continue\r\n",
        world.token.expose()
    );
    for (authorization, status) in [("expect: 100-continue\r\n", 401), (&good, 503)] {
        let mut client = world.client().await;
        announce(&mut client, authorization, 1000).await;
        assert_eq!(client.answer().await.0.status, status);
    }
    exchange.json("200 OK", "", "{}").await;
    first.answer().await;
}

#[tokio::test]
async fn over_http_2_a_refusal_resets_the_stream_instead_of_reading_on() {
    let world = World::with_options(|options| options.max_requests = 1).await;
    let token = world.token.expose().to_owned();
    let mut first = world.post(PATH, b"{}").await;
    let mut exchange = world.provider.next().await;
    let (mut sender, connection) = h2::client::handshake(TcpStream::connect(world.address).await.unwrap())
        .await
        .unwrap();
    tokio::spawn(connection);
    for (authorization, status) in [(None, 401), (Some(format!("Bearer {token}")), 503)] {
        let mut request = http::Request::post(format!("http://gw{PATH}"));
        if let Some(authorization) = authorization {
            request = request.header("authorization", authorization);
        }
        let (answer, mut body) = sender.send_request(request.body(()).unwrap(), false).unwrap();
        body.send_data(Bytes::from_static(b"{"), false).unwrap();
        assert_eq!(answer.await.unwrap().status(), status);
        assert_eq!(poll_fn(|cx| body.poll_reset(cx)).await.unwrap(), Reason::NO_ERROR);
    }
    exchange.json("200 OK", "", "{}").await;
    first.answer().await;
}

#[tokio::test]
async fn without_a_place_a_strangers_body_is_not_read_on() {
    let world = World::with_options(|options| options.refused_bodies = PlaceLimits { all: 0, one: 0 }).await;
    let mut closed = world.client().await;
    announce(&mut closed, "", 10_000_000).await;
    assert_eq!(closed.head().await.status, 401);
    closed.until_closed().await;
    // One with a good token always gets to read why.
    let mut client = world.post(PATH, &vec![b' '; 33 << 20]).await;
    assert_eq!(client.answer().await.0.status, 413);
    // And so does a stranger, while there are places.
    let world = World::new().await;
    let mut client = world.client().await;
    client.send(&format!("POST {PATH}"), "", &vec![b' '; 10 << 20]).await;
    assert_eq!(client.answer().await.0.status, 401);
}

#[tokio::test]
async fn one_source_of_unknown_tokens_leaves_room_for_others() {
    let world = World::new().await;
    world.control.hold_lookups();
    let unknown = || Control::new().valid_token();
    let mut flood = Vec::new();
    let ask = async |client: &mut Client| models(client, unknown().expose(), "").await;
    for _ in 0..OF_ONE_SOURCE {
        let mut client = world.client().await;
        ask(&mut client).await;
        flood.push(client);
    }
    until(|| world.control.held_lookups() == OF_ONE_SOURCE).await;
    let mut refused = world.client().await;
    ask(&mut refused).await;
    let (head, body) = refused.answer().await;
    assert_eq!(head.status, 503, "{}", String::from_utf8_lossy(&body));
    assert!(head.header("retry-after").is_some());

    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(([127, 0, 0, 2], 0).into()).unwrap();
    let mut other = Client::over(socket.connect(world.address).await.unwrap());
    ask(&mut other).await;
    until(|| world.control.held_lookups() == OF_ONE_SOURCE + 1).await;
    for _ in 0..=OF_ONE_SOURCE {
        world.control.answer_lookup(GOOD);
    }
    assert_eq!(world.gateway.readiness(), Ok(()));
}

/// Each client of a proxy that was named is a source of its own; the others come from the proxy's address.
#[tokio::test]
async fn behind_a_trusted_proxy_one_client_leaves_room_for_others() {
    let world = World::with_options(|options| options.trusted_proxies = ["127.0.0.0/8".parse().unwrap()].into()).await;
    world.control.hold_lookups();
    let ask = async |forwarded_for: &str| {
        let mut client = world.client().await;
        let header = format!("x-forwarded-for: {forwarded_for}\r\n");
        models(&mut client, Control::new().valid_token().expose(), &header).await;
        client
    };
    let mut flood = Vec::new();
    for n in 0..OF_ONE_SOURCE {
        flood.push(ask(&format!("192.0.2.{}\u{ff}, 198.51.100.1", n % 256)).await);
    }
    until(|| world.control.held_lookups() == OF_ONE_SOURCE).await;
    assert_eq!(ask("198.51.100.1").await.answer().await.0.status, 503);
    let _other = ask("198.51.100.2").await;
    until(|| world.control.held_lookups() == OF_ONE_SOURCE + 1).await;
}

/// Strangers at the same address take no place of a token whose lease is over.
#[tokio::test]
async fn a_flood_of_unknown_tokens_refuses_none_that_worked_before() {
    let world = World::new().await;
    let known = world.control.token(Authorization::Known {
        may_send_requests: true,
        holder: lychgate_types::Holder::from_number(7),
        lease: Duration::ZERO,
    });
    let ask = async |token: &str| {
        let mut client = world.client().await;
        models(&mut client, token, "").await;
        client
    };
    let mut first = ask(known.expose()).await;
    world.provider.next().await.json("200 OK", "", "{}").await;
    assert_eq!(first.answer().await.0.status, 200);

    world.control.hold_lookups();
    let mut flood = Vec::new();
    for _ in 0..OF_ONE_SOURCE {
        flood.push(ask(Control::new().valid_token().expose()).await);
    }
    until(|| world.control.held_lookups() == OF_ONE_SOURCE).await;
    let unknown = Control::new().valid_token();
    assert_eq!(ask(unknown.expose()).await.answer().await.0.status, 503);
    let mut again = ask(known.expose()).await;
    until(|| world.control.held_lookups() == OF_ONE_SOURCE + 1).await;
    let denied = Authorization::Denied {
        reason: DenyReason::Unknown,
        lease: Duration::from_secs(5),
    };
    for _ in 0..OF_ONE_SOURCE {
        world.control.answer_lookup(denied);
    }
    world.control.answer_lookup(GOOD);
    world.provider.next().await.json("200 OK", "", "{}").await;
    assert_eq!(again.answer().await.0.status, 200);
}

#[tokio::test]
async fn bodies_have_a_budget_in_sum_and_a_share_of_it_per_user() {
    const KIB: usize = 1 << 10;
    let world = World::with_options(|options| {
        options.body_budget = BodyBudgetLimits {
            all: 192 * KIB,
            one: 128 * KIB,
        };
    })
    .await;
    let (mine, other) = (world.control.valid_token_of(1), world.control.valid_token_of(2));
    let mine_too = world.control.valid_token_of(1);
    let bearer = |token: &str| format!("authorization: Bearer {token}\r\n");
    let body = |size: usize| {
        let mut body = vec![b' '; size];
        body.extend_from_slice(b"{}");
        body
    };
    let [mine, mine_too, theirs] = [mine, mine_too, other].map(|token| bearer(token.expose()));
    // Held until it is sent: the provider takes it, and does not answer.
    let send = async |authorization: &str, size: usize| {
        let mut client = world.client().await;
        client.send(&format!("POST {PATH}"), authorization, &body(size)).await;
        client
    };
    let mut first = send(&mine, 100 * KIB).await;
    let mut held = world.provider.next().await;
    for another in [&mine, &mine_too] {
        let (head, text) = send(another, 20 * KIB).await.answer().await;
        assert_eq!((head.status, head.header("retry-after")), (429, Some("1")));
        assert!(String::from_utf8(text).unwrap().contains("one user"));
    }
    let mut second = send(&theirs, 50 * KIB).await;
    let mut held_too = world.provider.next().await;
    let (head, _) = send(&theirs, 20 * KIB).await.answer().await;
    assert_eq!((head.status, head.header("retry-after")), (503, Some("1")));
    // Small ones are free.
    assert_eq!(served(&world).await, 200);
    for (exchange, client) in [(&mut held, &mut first), (&mut held_too, &mut second)] {
        exchange.json("200 OK", "connection: close\r\n", "{}").await;
        assert_eq!(client.answer().await.0.status, 200);
    }
    let mut again = send(&mine, 120 * KIB).await;
    world.provider.next().await.json("200 OK", "", "{}").await;
    assert_eq!(again.answer().await.0.status, 200);
}
