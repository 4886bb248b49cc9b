//! Connections to providers: which are made and reused, over both HTTP versions, with TLS.

use crate::support::secure::{Frames, Identity, Secure};
use crate::support::{Client, World, config, until};
use bytes::Bytes;
use http::{Response, Version};
use lychgate_link::client::GrpcLink;
use lychgate_link::{ControlLink, LinkError};
use lychgate_types::Ambient;
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::{GatewayKeySecret, SecretHash};
use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;

const PATH: &str = "/ai/anthropic/v1/messages";

/// A gateway that trusts `identity`, with a provider at `url`, over HTTP/2 if wanted; without retries.
async fn world(identity: &Identity, url: &str, http2: bool) -> World {
    let ca = identity.ca.clone();
    let world = World::with_options(|options| options.provider_cas = ca).await;
    let mut provider = config("anthropic", ProviderType::Anthropic, url);
    provider.policy.http2 = http2;
    provider.policy.retry.max_attempts = 1;
    world.control.configure(vec![provider]);
    world.control.until_in_force().await;
    world
}

async fn statuses(clients: Vec<Client>) -> Vec<u16> {
    let mut statuses = Vec::new();
    for mut client in clients {
        statuses.push(client.answer().await.0.status);
    }
    statuses
}

#[tokio::test]
async fn only_a_known_ca_is_trusted() {
    let identity = Identity::new();
    let provider = Secure::start(&identity, &["http/1.1"], 1).await;
    provider.permits.add_permits(1);
    let world_ = world(&identity, &provider.url(), false).await;
    assert_eq!(world_.post(PATH, b"{}").await.answer().await.0.status, 200);
    let seen = &provider.seen()[0];
    assert_eq!(
        (seen.version, &seen.host),
        (Version::HTTP_11, &Some(provider.address.to_string()))
    );

    let stranger = world(&Identity::new(), &provider.url(), false).await;
    let (head, body) = stranger.post(PATH, b"{}").await.answer().await;
    let body = String::from_utf8(body).unwrap();
    assert!(head.status == 502 && body.contains("TLS handshake failed"), "{body}");
    assert_eq!(provider.seen().len(), 1);
}

#[tokio::test]
async fn a_control_link_trusts_no_unknown_certificate() {
    let identity = Identity::new();
    let control_plane = Secure::start(&identity, &["h2"], 10).await;
    control_plane.permits.add_permits(1);
    let key = GatewayKeySecret::generate(&Ambient::system());
    let link = GrpcLink::new(&[&control_plane.url()], watch::channel(key).1, Ambient::system()).unwrap();
    let refused = link.authorize(SecretHash::from_bytes([1; 32])).await;
    assert!(matches!(refused, Err(LinkError::Unreachable(_))), "{refused:?}");
    assert!(control_plane.seen().is_empty(), "not even the key was sent");
}

#[tokio::test]
async fn http_2_is_spoken_where_the_policy_says_so_and_the_provider_does() {
    let identity = Identity::new();
    for (policy, offers, spoken) in [
        (false, &["h2", "http/1.1"][..], Version::HTTP_11),
        (true, &["h2", "http/1.1"], Version::HTTP_2),
        (true, &["http/1.1"], Version::HTTP_11),
    ] {
        let provider = Secure::start(&identity, offers, 100).await;
        provider.permits.add_permits(3);
        let world = world(&identity, &provider.url(), policy).await;
        for _ in 0..3 {
            assert_eq!(world.post(PATH, b"{}").await.answer().await.0.status, 200);
        }
        let seen = provider.seen();
        assert!(seen.iter().all(|seen| seen.version == spoken), "{seen:?}");
        // Sequential requests share a connection.
        assert!(seen.iter().all(|seen| seen.connection == 1), "{seen:?}");
    }
}

#[tokio::test]
async fn many_streams_at_once_share_connections_as_the_provider_allows() {
    let identity = Identity::new();
    let provider = Secure::start(&identity, &["h2"], 4).await;
    let world = world(&identity, &provider.url(), true).await;
    let mut clients = Vec::new();
    for _ in 0..30 {
        clients.push(world.post(PATH, b"{}").await);
    }
    // All are served at the same time: none is refused, none is queued.
    until(|| provider.seen().len() == 30).await;
    let connections: HashSet<_> = provider.seen().iter().map(|seen| seen.connection).collect();
    assert!((8..=16).contains(&connections.len()), "{}", connections.len());
    provider.permits.add_permits(30);
    assert_eq!(statuses(clients).await, [200; 30]);

    // Their connections are reused.
    let mut clients = Vec::new();
    for _ in 0..30 {
        clients.push(world.post(PATH, b"{}").await);
    }
    until(|| provider.seen().len() == 60).await;
    let later: HashSet<_> = provider.seen().iter().map(|seen| seen.connection).collect();
    assert!(
        later.len() <= connections.len() + 1,
        "{} {}",
        later.len(),
        connections.len()
    );
    provider.permits.add_permits(30);
    assert_eq!(statuses(clients).await, [200; 30]);
}

fn ok() -> Response<()> {
    Response::builder()
        .header("content-type", "application/json")
        .body(())
        .unwrap()
}

#[tokio::test]
async fn a_refused_stream_goes_over_another_connection() {
    let identity = Identity::new();
    let frames = Frames::start(&identity).await;
    let world = world(&identity, &frames.url(), true).await;
    let mut client = world.post(PATH, b"{}").await;
    let mut first = frames.next().await;
    let (_, mut respond) = first.accept().await.unwrap().unwrap();
    respond.send_reset(h2::Reason::REFUSED_STREAM);
    tokio::spawn(async move { while first.accept().await.is_some() {} });
    let mut second = frames.next().await;
    let (mut request, mut respond) = second.accept().await.unwrap().unwrap();
    tokio::spawn(async move { while second.accept().await.is_some() {} });
    // The whole request is sent again.
    assert_eq!(request.body_mut().data().await.unwrap().unwrap(), "{}");
    let mut body = respond.send_response(ok(), false).unwrap();
    body.send_data(Bytes::from_static(b"{}"), true).unwrap();
    assert_eq!(client.answer().await.0.status, 200);
    assert_eq!(world.control.one_record().await.attempts, 1);
}

#[tokio::test]
async fn streams_refused_wherever_they_go_fail_in_the_end() {
    let identity = Identity::new();
    let frames = Frames::start(&identity).await;
    let world = world(&identity, &frames.url(), true).await;
    let mut client = world.post(PATH, b"{}").await;
    let refused = Arc::new(AtomicUsize::new(0));
    let refusing = async {
        loop {
            let mut connection = frames.next().await;
            let refused = Arc::clone(&refused);
            tokio::spawn(async move {
                while let Some(Ok((_, mut respond))) = connection.accept().await {
                    refused.fetch_add(1, Ordering::SeqCst);
                    respond.send_reset(h2::Reason::REFUSED_STREAM);
                }
            });
        }
    };
    let (head, body) = tokio::select! {
        answer = client.answer() => answer,
        () = refusing => unreachable!(),
    };
    let body = String::from_utf8(body).unwrap();
    assert!(head.status == 502 && body.contains("refused the stream"), "{body}");
    assert_eq!(refused.load(Ordering::SeqCst), 3);
}

#[tokio::test]
async fn a_connection_after_goaway_finishes_its_streams_and_takes_no_more() {
    let identity = Identity::new();
    let frames = Frames::start(&identity).await;
    let world = world(&identity, &frames.url(), true).await;
    let mut early = world.post(PATH, b"{}").await;
    let mut first = frames.next().await;
    let (_, mut respond) = first.accept().await.unwrap().unwrap();
    let mut body = respond.send_response(ok(), false).unwrap();
    body.send_data(Bytes::from_static(b"{\"a\":"), false).unwrap();
    first.graceful_shutdown();
    let going = tokio::spawn(async move { while let Some(Ok(_)) = first.accept().await {} });
    let head = early.head().await;

    let mut late = world.post(PATH, b"{}").await;
    let mut second = frames.next().await;
    let (_, mut respond) = second.accept().await.unwrap().unwrap();
    tokio::spawn(async move { while second.accept().await.is_some() {} });
    respond
        .send_response(ok(), false)
        .unwrap()
        .send_data(Bytes::from_static(b"2"), true)
        .unwrap();
    assert_eq!(late.answer().await.1, b"2");

    body.send_data(Bytes::from_static(b"1}"), true).unwrap();
    assert_eq!(early.rest(&head).await.0, b"{\"a\":1}");
    // The connection ends with its last stream.
    going.await.unwrap();
}

#[tokio::test]
async fn connections_are_reused_and_closed_ones_are_noticed() {
    let world = World::new().await;
    let mut addresses = HashSet::new();
    for _ in 0..3 {
        let mut client = world.post(PATH, b"{}").await;
        let mut exchange = world.provider.next().await;
        addresses.insert(exchange.peer());
        exchange.json("200 OK", "", "{}").await;
        exchange.done();
        client.answer().await;
    }
    assert_eq!(addresses.len(), 1);

    // The provider hangs up between two requests, without notice.
    let mut client = world.post(PATH, b"{}").await;
    let mut exchange = world.provider.next().await;
    exchange.json("200 OK", "", "{}").await;
    client.answer().await;
    drop(exchange);
    let mut client = world.post(PATH, b"{}").await;
    let mut exchange = world.provider.next().await;
    assert!(addresses.insert(exchange.peer()));
    exchange.json("200 OK", "connection: close\r\n", "{}").await;
    assert_eq!(client.answer().await.0.status, 200);
    // And with `connection: close`.
    let mut client = world.post(PATH, b"{}").await;
    let mut exchange = world.provider.next().await;
    assert!(addresses.insert(exchange.peer()));
    exchange.json("200 OK", "", "{}").await;
    assert_eq!(client.answer().await.0.status, 200);
}

#[tokio::test]
async fn a_connection_is_renewed_after_a_while_to_follow_dns() {
    let world = World::new().await;
    let mut addresses = Vec::new();
    // An answer every 30 seconds keeps it from being idle for too long; after six minutes the oldest is too old.
    for _ in 0..14 {
        let mut client = world.post(PATH, b"{}").await;
        let mut exchange = world.provider.next().await;
        addresses.push(exchange.peer());
        exchange.json("200 OK", "", "{}").await;
        exchange.done();
        client.answer().await;
        pass(Duration::from_secs(30)).await;
    }
    assert_eq!(addresses[..8], vec![addresses[0]; 8]);
    assert_ne!(addresses[0], addresses[13]);
    // Idle for longer than connections are kept.
    pass(Duration::from_secs(50)).await;
    let mut client = world.post(PATH, b"{}").await;
    let mut exchange = world.provider.next().await;
    assert!(!addresses.contains(&exchange.peer()));
    exchange.json("200 OK", "", "{}").await;
    client.answer().await;
}

/// Skips this much time; before and after, time is real.
async fn pass(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}
