//! A response that shows a secret once and gets lost on its way: the command asks again and gets the same secret.

use crate::PROGRAM;
use lychgate_testkit::app::App;
use lychgate_testkit::both_engines;
use lychgate_testkit::process::{Finished, finish};
use std::net::SocketAddr;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What happens to the first response, which the proxy has read to its end.
#[derive(Debug, Clone, Copy)]
enum Loss {
    /// The connection ends in the middle of it.
    Cut,
    /// 503 takes its place, as from a proxy that knows nothing of Lychgate.
    Unavailable,
}

const UNAVAILABLE: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\nconnection: close\r\ncontent-length: 4\r\n\r\nbusy";

/// A proxy in front of the server that loses the first responses.
struct Proxy {
    addr: SocketAddr,
    /// All that the server responded, one text for each connection.
    responses: JoinHandle<Vec<String>>,
}

impl Proxy {
    /// For as many connections as there are losses, and `more`.
    async fn start(server: &str, losses: Vec<Loss>, more: usize) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let server: SocketAddr = server.strip_prefix("http://").unwrap().parse().unwrap();
        let fates: Vec<Option<Loss>> = losses.into_iter().map(Some).chain((0..more).map(|_| None)).collect();
        let responses = tokio::spawn(async move {
            let mut responses = Vec::new();
            for loss in fates {
                let (client, _) = listener.accept().await.unwrap();
                responses.push(exchange(client, server, loss).await);
            }
            responses
        });
        Self { addr, responses }
    }

    /// Runs a command through it as the owner; then, what the server responded.
    async fn run(self, app: &App, args: &[&str]) -> (Finished, Vec<String>) {
        let mut command = app.command();
        command
            .args(args)
            .env("LYCHGATE_URL", format!("http://{}", self.addr))
            .env("LYCHGATE_TOKEN", &app.owner);
        let finished = finish(command, "").await;
        (finished, self.responses.await.unwrap())
    }
}

/// One request and its response, on a connection of its own to the server.
async fn exchange(mut client: TcpStream, server: SocketAddr, loss: Option<Loss>) -> String {
    let mut server = TcpStream::connect(server).await.unwrap();
    server.write_all(&message(&mut client).await).await.unwrap();
    let response = message(&mut server).await;
    match loss {
        None => client.write_all(&response).await.unwrap(),
        Some(Loss::Cut) => client.write_all(&response[..response.len() / 2]).await.unwrap(),
        Some(Loss::Unavailable) => client.write_all(UNAVAILABLE).await.unwrap(),
    }
    String::from_utf8(response).unwrap()
}

/// Reads a message with a `content-length`, or without a body.
async fn message(stream: &mut TcpStream) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        if let Some(head) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let text = String::from_utf8_lossy(&bytes[..head]).to_lowercase();
            let length = text.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            if bytes.len() >= head + 4 + length {
                return bytes;
            }
        }
        assert!(
            stream.read_buf(&mut bytes).await.unwrap() > 0,
            "the message ends too soon"
        );
    }
}

/// The secret in a response of the server.
fn secret(response: &str) -> String {
    let (_, body) = response.split_once("\r\n\r\n").unwrap();
    let body: serde_json::Value = serde_json::from_str(body).unwrap();
    let secret = body["key"].as_str().or(body["token"].as_str());
    secret.unwrap_or_else(|| panic!("no secret in {body}")).to_owned()
}

both_engines! {
    async fn a_secret_whose_response_was_lost_is_shown_at_the_second_try(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let commands: [&[&str]; 3] = [
            &["keys", "create", "edge"],
            &["keys", "rotate", "edge"],
            &["tokens", "create", "--user", "alice"],
        ];
        for (args, loss) in commands.into_iter().zip([Loss::Cut, Loss::Unavailable, Loss::Cut]) {
            let (shown, responses) = Proxy::start(&app.url, vec![loss], 1).await.run(&app, args).await;
            assert_eq!(shown.code, 0, "{args:?}: {}", shown.all());
            let [lost, repeated] = responses.try_into().unwrap();
            assert_eq!(secret(&lost), secret(&repeated), "{args:?}");
            assert_eq!(shown.stdout.trim(), secret(&lost), "{args:?}");
        }
        let another = app.cli_ok(&["keys", "create", "another"]).await;
        assert!(!another.trim().is_empty(), "each command has its own idempotency key");
        let keys = app.cli_json(&["keys", "list"]).await;
        assert_eq!(keys["keys"].as_array().unwrap().len(), 2, "{keys:#}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_lost_twice_is_an_error_that_says_what_may_have_happened() {
    let app = App::start(PROGRAM, None).await;
    let proxy = Proxy::start(&app.url, vec![Loss::Cut, Loss::Unavailable], 0).await;
    let (failed, _) = proxy.run(&app, &["keys", "create", "edge"]).await;
    assert_eq!((failed.code, &*failed.stdout), (1, ""), "{}", failed.all());
    assert!(failed.stderr.contains("may have made the change"), "{}", failed.stderr);
}

/// A change without an idempotency key is never repeated; and a listing changes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_requests_are_sent_once() {
    let app = App::start(PROGRAM, None).await;
    let commands: [(&[&str], bool); 2] = [(&["users", "create", "bob"], true), (&["users", "list"], false)];
    for (args, changes) in commands {
        let proxy = Proxy::start(&app.url, vec![Loss::Cut], 0).await;
        let (failed, _) = proxy.run(&app, args).await;
        assert_eq!(failed.code, 1, "{args:?}: {}", failed.all());
        let warned = failed.stderr.contains("may have made the change");
        assert_eq!(warned, changes, "{args:?}: {}", failed.stderr);
    }
}
