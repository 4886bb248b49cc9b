//! Shutdown, slow clients and overload, through the listener.

use crate::support::{Client, Control, End, Provider, World, config, options, ready, until};
use bytes::Bytes;
use futures_util::future::join_all;
use http_body_util::{BodyExt, Full};
use hyper_util::rt::{TokioExecutor, TokioIo};
use lychgate_gateway::Gateway;
use lychgate_types::Ambient;
use lychgate_types::interception::Outcome;
use lychgate_types::provider::ProviderType;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const PATH: &str = "/ai/anthropic/v1/messages";

/// A gateway that is served and shut down like a replica.
struct Replica {
    gateway: Gateway,
    address: SocketAddr,
    control: Control,
    provider: Provider,
    bearer: String,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Replica {
    async fn start() -> Self {
        let provider = Provider::start().await;
        let control = Control::new();
        let bearer = format!("Bearer {}", control.valid_token().expose());
        control.configure(vec![config("anthropic", ProviderType::Anthropic, &provider.url(""))]);
        let gateway = Gateway::start(options(&control), Arc::new(control.clone()), Ambient::system()).unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let front = gateway.front(gateway.standalone_router());
        let serving = tokio::spawn(lychgate_gateway::serve(listener, front, async {
            let _ = stopped.await;
        }));
        ready(&gateway).await;
        Self {
            gateway,
            address,
            control,
            provider,
            bearer,
            stop,
            serving,
        }
    }

    async fn post(&self, client: &mut Client, body: &[u8]) {
        client
            .send(
                &format!("POST {PATH}"),
                &format!("authorization: {}\r\n", self.bearer),
                body,
            )
            .await;
    }

    /// As on SIGTERM.
    fn end(self, limit: Duration) -> JoinHandle<Control> {
        tokio::spawn(async move {
            self.gateway.drain(limit).await;
            self.stop.send(()).unwrap();
            self.serving.await.unwrap();
            self.gateway.close().await;
            self.control
        })
    }
}

#[tokio::test]
async fn streams_finish_while_new_requests_are_refused_on_the_same_connections() {
    let replica = Replica::start().await;
    let mut kept = Client::connect(replica.address).await;
    replica.post(&mut kept, b"{}").await;
    let mut exchange = replica.provider.next().await;
    exchange.json("200 OK", "", "{}").await;
    exchange.done();
    kept.answer().await;

    let mut client = Client::connect(replica.address).await;
    replica.post(&mut client, br#"{"stream":true}"#).await;
    let mut stream = replica.provider.next().await;
    stream.stream().await;
    let head = client.head().await;

    let io = TokioIo::new(TcpStream::connect(replica.address).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let request = |body: &'static str| {
        http::Request::post(format!("http://gw{PATH}"))
            .header("authorization", &replica.bearer)
            .body(Full::new(Bytes::from(body)))
            .unwrap()
    };
    let begun = tokio::spawn(sender.send_request(request(r#"{"stream":true}"#)));
    let mut second = replica.provider.next().await;
    second.stream().await;
    let answer = begun.await.unwrap().unwrap();

    let late = request("{}");
    let gateway = replica.gateway.clone();
    let (bearer, ending) = (replica.bearer.clone(), replica.end(Duration::from_secs(600)));
    until(|| gateway.readiness().is_err()).await;
    let authorization = format!("authorization: {bearer}\r\n");
    kept.send(&format!("POST {PATH}"), &authorization, b"{}").await;
    let (refusal, _) = kept.answer().await;
    assert_eq!((refusal.status, refusal.header("retry-after").is_some()), (503, true));
    let refusal = sender.send_request(late).await.unwrap();
    assert_eq!(refusal.status(), 503);
    assert_eq!(gateway.in_flight(), 2);

    let last = b"event: message_stop\ndata: {\"type\":\"message_stop\"}\n\n";
    for stream in [&mut stream, &mut second] {
        stream.chunk(last).await;
        stream.end().await;
    }
    assert_eq!(client.rest(&head).await, (last.to_vec(), End::Proper));
    assert_eq!(answer.into_body().collect().await.unwrap().to_bytes(), &last[..]);
    let control = ending.await.unwrap();
    assert_eq!(control.records().len(), 3);
    // Both kinds of connection were closed gracefully.
    kept.until_closed().await;
    connection.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_stream_over_the_drain_limit_is_cut_off_and_still_recorded() {
    let replica = Replica::start().await;
    let mut client = Client::connect(replica.address).await;
    replica.post(&mut client, br#"{"stream":true}"#).await;
    let mut stream = replica.provider.next().await;
    stream.stream().await;
    stream.chunk(b": hello\n\n").await;
    let head = client.head().await;
    let ending = replica.end(Duration::from_secs(30));
    let (came, end) = client.rest(&head).await;
    assert_eq!(end, End::Cut);
    let pings = came.strip_prefix(b": hello\n\n").unwrap();
    let ping = b"event: ping\ndata: {\"type\": \"ping\"}\n\n";
    assert!(
        pings.chunks(ping.len()).all(|piece| piece == ping),
        "it is kept alive meanwhile"
    );
    let control = ending.await.unwrap();
    let records = control.records();
    assert_eq!(records.len(), 1);
    assert_eq!(
        (records[0].outcome, &records[0].error_type),
        (Outcome::GatewayStopped, &None)
    );
    assert!(records[0].token_usages[0].estimated);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_is_cut_off() {
    let world = World::new().await;
    let _client = world.post(PATH, br#"{"stream":true}"#).await;
    let mut stream = world.provider.next().await;
    stream.stream().await;
    let begun = tokio::time::Instant::now();
    // More than all buffers in between can hold; the gateway stops reading from the provider, too.
    let piece = vec![b'x'; 1 << 20];
    while tokio::time::timeout(Duration::from_secs(120), stream.try_raw(&chunk(&piece)))
        .await
        .is_ok_and(|sent| sent.is_ok())
    {
        assert!(begun.elapsed() < Duration::from_secs(600));
    }
    // Paused time passes only while every task is idle.
    while world.gateway.in_flight() > 0 {
        assert!(begun.elapsed() < Duration::from_secs(600));
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    world.gateway.close().await;
    let records = world.control.records();
    assert!(
        records.len() == 1 && records[0].outcome != Outcome::Completed,
        "{records:?}"
    );
}

fn chunk(bytes: &[u8]) -> Vec<u8> {
    let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
    chunk.extend_from_slice(bytes);
    chunk.extend_from_slice(b"\r\n");
    chunk
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn under_overload_every_request_gets_an_answer_or_a_refusal() {
    const CONNECTIONS: usize = 512;
    const AT_ONCE: u64 = 64;
    let world = Arc::new(World::with_options(|options| options.max_requests = AT_ONCE).await);
    let serving = Arc::clone(&world);
    let provider = tokio::spawn(async move {
        loop {
            let mut exchange = serving.provider.next().await;
            tokio::spawn(async move {
                exchange.json("200 OK", "", "{}").await;
                exchange.done();
            });
        }
    });
    let prompt = Arc::new(format!(r#"{{"system":"{}"}}"#, "x".repeat(32 << 10)));
    let client = |_| {
        let (world, prompt) = (Arc::clone(&world), Arc::clone(&prompt));
        tokio::spawn(async move {
            let mut client = world.client().await;
            let authorization = format!("authorization: Bearer {}\r\n", world.token.expose());
            let mut refused = 0;
            for _ in 0..10 {
                client
                    .send(&format!("POST {PATH}"), &authorization, prompt.as_bytes())
                    .await;
                let (head, body) = client.answer().await;
                match head.status {
                    200 => assert_eq!(body, b"{}"),
                    503 => {
                        assert!(head.header("retry-after").is_some());
                        refused += 1;
                    }
                    other => panic!("{other}: {}", String::from_utf8_lossy(&body)),
                }
            }
            refused
        })
    };
    let refused: usize = join_all((0..CONNECTIONS).map(client))
        .await
        .into_iter()
        .map(Result::unwrap)
        .sum();
    assert!(refused < CONNECTIONS * 10, "everything was refused");
    world.control.delivered(CONNECTIONS * 10 - refused).await;
    assert_eq!(world.gateway.in_flight(), 0);
    provider.abort();
}
