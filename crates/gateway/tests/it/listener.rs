//! The listener itself.

use crate::support::{Client, End};
use axum::Router;
use axum::extract::ConnectInfo;
use axum::routing::{get, post};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::{TokioExecutor, TokioIo};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot, watch};

async fn served(router: Router) -> (SocketAddr, oneshot::Sender<()>, tokio::task::JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = oneshot::channel();
    let serving = lychgate_gateway::serve(listener, router, async {
        let _ = stopped.await;
    });
    (address, stop, tokio::spawn(serving))
}

async fn peer(ConnectInfo(peer): ConnectInfo<SocketAddr>) -> String {
    peer.ip().to_string()
}

#[tokio::test]
async fn http_1_and_http_2_on_one_port_with_the_peers_address() {
    let (address, _stop, _serving) = served(Router::new().route("/", get(peer))).await;
    let mut client = Client::connect(address).await;
    client.send("GET /", "", b"").await;
    assert_eq!(client.answer().await.1, b"127.0.0.1");

    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(format!("http://{address}/"))
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.version(), http::Version::HTTP_2);
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "127.0.0.1");
}

#[tokio::test]
async fn a_head_without_end_is_refused() {
    let (address, _stop, _serving) = served(Router::new().route("/", get(peer))).await;
    let mut client = Client::connect(address).await;
    client.write(b"GET / HTTP/1.1\r\nhost: gw\r\n").await;
    let line = format!("x: {}\r\n", "y".repeat(1000));
    for _ in 0..2000 {
        if client.try_write(line.as_bytes()).await.is_err() {
            break;
        }
    }
    assert_eq!(client.head().await.status, 431);
}

#[tokio::test]
async fn shutdown_lets_a_request_finish_and_accepts_no_more() {
    let (entered, leave) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (inside, go) = (Arc::clone(&entered), Arc::clone(&leave));
    let router = Router::new().route(
        "/",
        post(move || async move {
            inside.notify_one();
            go.notified().await;
            "done"
        }),
    );
    let (address, stop, serving) = served(router).await;
    let _idle = Client::connect(address).await;
    let mut client = Client::connect(address).await;
    client.send("POST /", "", b"x").await;
    entered.notified().await;
    stop.send(()).unwrap();
    crate::support::until(|| std::net::TcpStream::connect(address).is_err()).await;
    leave.notify_one();
    let head = client.head().await;
    assert_eq!(client.rest(&head).await, (b"done".to_vec(), End::Proper));
    serving.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_is_closed() {
    let (address, _stop, _serving) = served(Router::new().route("/", get(peer))).await;
    // Nothing, the beginning of a request of either HTTP version, and a complete HTTP/2 preface with nothing after it.
    for said in [&b""[..], b"P", b"GET / HT", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] {
        let mut client = Client::connect(address).await;
        client.write(said).await;
        client.until_closed().await;
    }
}

/// A flood of each kind of frame that asks for nothing: the connection is closed before it has cost much.
#[tokio::test]
async fn frames_that_ask_for_nothing_close_the_connection() {
    let (address, _stop, _serving) = served(Router::new().route("/", get(peer))).await;
    let priority = [0, 0, 5, 2, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1];
    let window = [0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    let unknown = [0, 0, 0, 0xfa, 0, 0, 0, 0, 0];
    for frame in [&priority[..], &window, &unknown] {
        let mut client = Client::connect(address).await;
        client
            .write(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0")
            .await;
        let flood = frame.repeat(1000);
        let mut sent = 0;
        while client.try_write(&flood).await.is_ok() {
            sent += 1000;
            assert!(sent < 10_000_000, "the flood goes on");
        }
    }
}

#[tokio::test]
async fn windows_that_are_given_back_for_what_is_read_are_no_flood() {
    let body = "x".repeat(64 << 20);
    let (address, _stop, _serving) = served(Router::new().route("/", get(move || async move { body }))).await;
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http2::Builder::new(TokioExecutor::new())
        .initial_stream_window_size(16 << 10)
        .initial_connection_window_size(16 << 10)
        .handshake(io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = http::Request::get(format!("http://{address}/"))
        .body(Empty::<bytes::Bytes>::new())
        .unwrap();
    let response = sender.send_request(request).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes().len(), 64 << 20);
}

#[tokio::test(start_paused = true)]
async fn an_http_2_connection_that_is_not_used_is_closed_and_one_with_an_open_answer_is_not() {
    let never = || async {
        axum::body::Body::from_stream(futures_util::stream::pending::<Result<bytes::Bytes, std::io::Error>>())
    };
    let router = Router::new().route("/", get(peer)).route("/never", get(never));
    let (address, _stop, _serving) = served(router).await;
    let started = tokio::time::Instant::now();
    for (path, seconds) in [("/", 300..1000), ("/never", 3000..9000)] {
        let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
        let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
            .await
            .unwrap();
        let connection = tokio::spawn(connection);
        let request = http::Request::get(format!("http://{address}{path}"))
            .body(Empty::<bytes::Bytes>::new())
            .unwrap();
        let answer = sender.send_request(request).await.unwrap();
        let before = started.elapsed();
        let open = (path == "/never").then_some(answer);
        let hour = tokio::time::Duration::from_secs(3600);
        let closed = tokio::time::timeout(hour, connection).await.is_ok();
        let after = (started.elapsed() - before).as_secs();
        assert_eq!(closed, open.is_none());
        assert!(seconds.contains(&after), "{path}: after {after} s");
    }
}

#[tokio::test]
async fn a_head_of_too_many_fields_is_refused() {
    let (address, _stop, _serving) = served(Router::new().route("/", get(peer))).await;
    for (fields, status) in [(150, 200), (170, 431)] {
        let mut client = Client::connect(address).await;
        client.send("GET /", &"x: y\r\n".repeat(fields), b"").await;
        assert_eq!(client.head().await.status, status, "{fields}");
    }
}

#[tokio::test]
async fn an_http_2_connection_has_bounded_heads_and_so_many_requests_at_a_time() {
    const MOST: usize = 1024;
    let (now, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (open, gate) = watch::channel(false);
    let handler = {
        let (now, most) = (Arc::clone(&now), Arc::clone(&most));
        move || async move {
            most.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            gate.clone().wait_for(|open| *open).await.unwrap();
            now.fetch_sub(1, Ordering::SeqCst);
        }
    };
    let (address, _stop, _serving) = served(Router::new().route("/", get(handler))).await;
    let io = TokioIo::new(TcpStream::connect(address).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http2::handshake(TokioExecutor::new(), io)
        .await
        .unwrap();
    tokio::spawn(connection);
    let request = |header: &str| {
        let request = http::Request::get(format!("http://{address}/")).header("x", header);
        request.body(Empty::<bytes::Bytes>::new()).unwrap()
    };
    let refused = sender.send_request(request(&"y".repeat(70 << 10))).await.unwrap();
    assert_eq!(refused.status(), 431);
    let answers: Vec<_> = (0..MOST + 50)
        .map(|_| {
            let (mut sender, request) = (sender.clone(), request(""));
            tokio::spawn(async move { sender.send_request(request).await.unwrap().status() })
        })
        .collect();
    while now.load(Ordering::SeqCst) < MOST {
        tokio::task::yield_now().await;
    }
    open.send_replace(true);
    for answer in answers {
        assert_eq!(answer.await.unwrap(), 200);
    }
    assert_eq!(most.load(Ordering::SeqCst), MOST);
}
