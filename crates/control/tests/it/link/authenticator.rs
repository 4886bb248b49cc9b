//! Which gateway keys are accepted, and what a flood of others costs.

use crate::bench::{Bench, hash, problem, text};
use axum::body::Bytes;
use futures_util::future::join_all;
use h2::client::{Connection, SendRequest};
use lychgate_link::{ControlLink, LinkError};
use lychgate_testkit::both_engines;
use lychgate_testkit::wait::eventually;
use lychgate_types::clock::SystemClock;
use lychgate_types::random::{Random, SystemRandom};
use lychgate_types::secret::GatewayKeySecret;
use lychgate_types::{Ambient, KeyRefusal};
use std::sync::{Arc, Mutex};
use tokio::net::TcpStream;

/// Codes of gRPC.
const UNAVAILABLE: Option<i32> = Some(14);
const UNAUTHENTICATED: Option<i32> = Some(16);

async fn refusal(bench: &Bench, key: &GatewayKeySecret) -> KeyRefusal {
    match bench.link(key).authorize(hash(&bench.owner)).await {
        Err(LinkError::Refused(refusal)) => refusal.reason,
        other => panic!("{other:?}"),
    }
}

/// A connection for calls with any keys.
async fn over_one_connection(bench: &Bench) -> (SendRequest<Bytes>, Connection<TcpStream>) {
    let address = bench.url.strip_prefix("http://").unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    h2::client::handshake(stream).await.unwrap()
}

/// Asks about a token; answers the status of a call that was not admitted.
fn authorize(connection: &SendRequest<Bytes>, key: &GatewayKeySecret) -> impl Future<Output = Option<i32>> + use<> {
    let request = http::Request::post("http://control/lychgate.link.v1.Link/Authorize")
        .header("authorization", format!("Bearer {}", key.expose()))
        .header("content-type", "application/grpc");
    let mut message = b"\0\0\0\0\x22\x0a\x20".to_vec();
    message.extend([7; 32]);
    let (answer, mut body) = connection
        .clone()
        .send_request(request.body(()).unwrap(), false)
        .unwrap();
    body.send_data(message.into(), true).unwrap();
    async move {
        let answer = answer.await.unwrap();
        let status = answer.headers().get("grpc-status")?;
        Some(status.to_str().unwrap().parse().unwrap())
    }
}

/// Gives these bytes first.
#[derive(Debug)]
struct Beginning(Mutex<Vec<u8>>);

impl Random for Beginning {
    fn fill(&self, bytes: &mut [u8]) {
        let mut rest = self.0.lock().unwrap();
        for byte in bytes {
            match rest.pop() {
                Some(next) => *byte = next,
                None => SystemRandom.fill(std::slice::from_mut(byte)),
            }
        }
    }
}

/// A well-formed key with the same public prefix.
fn guess(key: &GatewayKeySecret) -> GatewayKeySecret {
    let digit = |letter: u8| match letter {
        b'0'..=b'9' => letter - b'0',
        b'A'..=b'Z' => letter - b'A' + 10,
        _ => letter - b'a' + 36,
    };
    let digits = key.prefix().bytes().skip("lgw_".len()).map(digit).rev().collect();
    let guess = GatewayKeySecret::generate(&Ambient::new(
        Arc::new(SystemClock),
        Arc::new(Beginning(Mutex::new(digits))),
    ));
    assert!(guess.prefix() == key.prefix() && guess.hash() != key.hash());
    guess
}

both_engines! {
    async fn a_flood_of_bad_keys_shuts_nobody_out_and_is_told_in_aggregate(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, in_use) = bench.key("in-use").await;
        let _attached = bench.attach(&in_use).await;
        let unknown = GatewayKeySecret::generate(&bench.ambient);
        let flood = async {
            let refusals = join_all((0..100).map(|_| refusal(&bench, &unknown))).await;
            assert!(refusals.iter().all(|refusal| *refusal == KeyRefusal::Unknown), "{refusals:?}");
        };
        let good = async {
            for n in 0..5 {
                let (_, new) = bench.key(&format!("good-{n}")).await;
                bench.link(&new).authorize(hash(&bench.owner)).await.expect("a new key is not shut out by its neighbours");
                bench.link(&in_use).authorize(hash(&bench.owner)).await.expect("nor is one in use");
            }
        };
        tokio::join!(flood, good);
        // One that has just been started knows the keys of its deployment.
        let restarted = bench.join(db).await;
        let flood = async { join_all((0..100).map(|_| refusal(&restarted, &unknown))).await };
        let good = async { restarted.link(&in_use).authorize(hash(&bench.owner)).await.expect("a known key") };
        tokio::join!(flood, good);

        let entries = eventually("the refusals in the audit log", || async {
            let entries = bench.audit("action=refuse").await;
            let count = |reason: &str| entries.iter().filter_map(|entry| {
                let detail = text(&entry["detail"]);
                let rest = detail.strip_prefix(&format!("{reason} from 127.0.0.1: "))?.to_owned();
                rest.split(' ').next()?.parse::<u64>().ok()
            }).sum::<u64>();
            (count("key_unknown") == 200).then_some(entries)
        })
        .await;
        assert!(entries.len() <= 10, "in aggregate: {entries:?}");
        for entry in &entries {
            assert_eq!((text(&entry["resource_type"]), text(&entry["outcome"])), ("ai_gateway_key".to_owned(), "denied".to_owned()));
            assert!(!entry.to_string().contains(unknown.expose()));
        }
        let of_unknown: Vec<_> = entries.iter().filter(|entry| text(&entry["detail"]).starts_with("key_unknown")).collect();
        assert!(of_unknown.iter().all(|entry| entry["target_prefix"] == unknown.prefix()));
    }

    /// A replica that is attached elsewhere makes all its look-ups at once, before its key is in use here.
    async fn calls_at_once_with_a_good_key_share_its_look_up(db: TestDb) {
        let bench = Bench::start(db).await;
        let other = bench.join(db).await;
        let (_, here) = bench.key("here").await;
        let _attached = bench.attach(&here).await;
        // One that the other control plane has read of, and one that it has not.
        for key in [here, bench.key("new").await.1] {
            let link = other.link(&key);
            for answer in join_all((0..500).map(|_| link.authorize(hash(&bench.owner)))).await {
                answer.unwrap();
            }
        }
    }

    /// Few unknown keys are looked up for one connection, also of those who know the prefix of a key. Who comes after those is not refused, but may ask elsewhere, and one with a
    /// known key is served: a proxy may bring both over the same connection.
    async fn a_connection_of_many_unknown_keys_leaves_room_for_a_good_one(db: TestDb) {
        const CALLS: usize = 40;
        const FEW: usize = 16;
        let bench = Bench::start(db).await;
        let (_, good) = bench.key("good").await;
        let unknown = || GatewayKeySecret::generate(&bench.ambient);
        // Makes the control plane read its keys, so that the next who ask wait for a while.
        assert_eq!(refusal(&bench, &unknown()).await, KeyRefusal::Unknown);
        let (connection, driver) = over_one_connection(&bench).await;
        let driver = tokio::spawn(driver);
        let stranger = |number| if number % 2 == 0 { unknown() } else { guess(&good) };
        let strangers: Vec<_> = (0..CALLS).map(|number| authorize(&connection, &stranger(number))).collect();
        let good = authorize(&connection, &good);
        assert_eq!(good.await, None, "served");
        let answers = join_all(strangers).await;
        let count = |status| answers.iter().filter(|answer| **answer == status).count();
        assert_eq!((count(UNAUTHENTICATED), count(UNAVAILABLE)), (FEW, CALLS - FEW), "{answers:?}");
        driver.abort();
        eventually("the refusals in the audit log", || async {
            let entries = bench.audit("action=refuse").await;
            assert!(!entries.iter().any(|entry| text(&entry["detail"]).starts_with("too_many_attempts")), "{entries:?}");
            let of_unknown = entries.iter().filter(|entry| text(&entry["detail"]).starts_with("key_unknown"));
            (of_unknown.count() > 1).then_some(())
        })
        .await;
    }

    /// A replica holds one secret; with it, nothing can be read over the API, and the link has no call that reads records.
    async fn a_replica_reads_nothing(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        for path in ["/users", "/tokens", "/ai-gateway/keys", "/ai-gateway/providers", "/ai-gateway/interceptions", "/audit-entries"] {
            problem(&bench.get(key.expose(), path).await, 401, "token_malformed");
        }
    }
}
