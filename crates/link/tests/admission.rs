//! What strangers and key holders can make the control plane's half read: requests as no client of ours sends them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use async_trait::async_trait;
use bytes::Bytes;
use futures_util::StreamExt as _;
use h2::SendStream;
use h2::client::{ResponseFuture, SendRequest};
use http::{HeaderMap, Request};
use lychgate_link::limits::{
    AUTHORIZE_BODY_TIME, AUTHORIZE_MESSAGE_BYTES, DELIVER_MESSAGE_BYTES, OWNED_OBJECTS, OWNS_MESSAGE_BYTES,
    UP_MESSAGE_BYTES,
};
use lychgate_link::limits::{DELIVER_BODY_TIME, DELIVERED_RECORDS, HELLO_TIME, SILENCE};
use lychgate_link::server::{Authenticator, Shown, routes};
use lychgate_link::{
    Attachment, Authorization, ControlLink, EncodedRecord, Heartbeat, Hello, LinkError, PROTOCOL, ProtocolVersion,
    Receipt,
};
use lychgate_types::secret::SecretHash;
use lychgate_types::{KeyRefusal, Ownership, ReplicaId, StoredObject};
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

/// A control plane that nothing may reach.
#[derive(Debug)]
struct Unreached;

#[async_trait]
impl Authenticator for Unreached {
    async fn authenticate(&self, shown: Shown<'_>) -> Result<Arc<dyn ControlLink>, LinkError> {
        match shown.key {
            "good" => Ok(Arc::new(Self)),
            "silent" => Ok(Arc::new(Silent)),
            _ => Err(LinkError::refused(KeyRefusal::Unknown)),
        }
    }
}

/// A control plane that lets whoever wants to attach, and sends nothing. Everybody owns `resp_a`.
#[derive(Debug)]
struct Silent;

#[async_trait]
impl ControlLink for Silent {
    async fn attach(&self, _: Hello, _: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
        let events = futures_util::stream::pending().boxed();
        Ok(Attachment { events })
    }
    async fn authorize(&self, _: SecretHash) -> Result<Authorization, LinkError> {
        panic!("reached")
    }
    async fn owns(&self, _: SecretHash, objects: &[String]) -> Result<Vec<StoredObject>, LinkError> {
        let own = |object: &String| {
            if object == "resp_a" {
                Ownership::Own
            } else {
                Ownership::Unknown
            }
        };
        Ok(objects.iter().map(|object| own(object).into()).collect())
    }
    async fn deliver(&self, _: ReplicaId, _: Vec<EncodedRecord>) -> Result<Receipt, LinkError> {
        panic!("reached")
    }
}

#[async_trait]
impl ControlLink for Unreached {
    async fn attach(&self, _: Hello, _: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
        panic!("reached")
    }
    async fn authorize(&self, _: SecretHash) -> Result<Authorization, LinkError> {
        panic!("reached")
    }
    async fn owns(&self, _: SecretHash, _: &[String]) -> Result<Vec<StoredObject>, LinkError> {
        panic!("reached")
    }

    async fn deliver(&self, _: ReplicaId, _: Vec<EncodedRecord>) -> Result<Receipt, LinkError> {
        panic!("reached")
    }
}

async fn connect() -> SendRequest<Bytes> {
    let app = routes(Arc::new(Unreached)).into_make_service_with_connect_info::<SocketAddr>();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    let (requests, connection) = h2::client::handshake(TcpStream::connect(address).await.unwrap())
        .await
        .unwrap();
    tokio::spawn(async move { connection.await.unwrap() });
    requests
}

/// The head of a call whose body stays open.
async fn call(requests: &SendRequest<Bytes>, method: &str, key: &str) -> (ResponseFuture, SendStream<Bytes>) {
    let headers = [
        ("lychgate-process", "7".repeat(64)),
        ("lychgate-protocol", PROTOCOL.to_string()),
    ];
    call_with(requests, method, key, &headers).await
}

async fn call_with(
    requests: &SendRequest<Bytes>,
    method: &str,
    key: &str,
    headers: &[(&str, String)],
) -> (ResponseFuture, SendStream<Bytes>) {
    let request = Request::post(format!("http://localhost/lychgate.link.v1.Link/{method}"))
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .header("authorization", format!("Bearer {key}"));
    let request = headers
        .iter()
        .fold(request, |request, (name, value)| request.header(*name, value));
    let mut requests = requests.clone().ready().await.unwrap();
    requests.send_request(request.body(()).unwrap(), false).unwrap()
}

/// The gRPC status: in the head, where there is no body.
async fn status(answer: ResponseFuture) -> (String, String) {
    let (head, mut body) = answer.await.unwrap().into_parts();
    let text = |headers: &HeaderMap, name: &str| Some(headers.get(name)?.to_str().unwrap().to_owned());
    let mut found = head.headers;
    if !found.contains_key("grpc-status") {
        assert!(body.data().await.is_none(), "no message");
        found = body.trailers().await.unwrap().unwrap();
    }
    let message = text(&found, "grpc-message").unwrap_or_default();
    (text(&found, "grpc-status").unwrap(), message)
}

/// The beginning of a message of this length.
fn prefix(length: usize) -> Bytes {
    [&[0][..], &u32::try_from(length).unwrap().to_be_bytes()]
        .concat()
        .into()
}

#[tokio::test]
async fn a_stranger_is_refused_before_a_byte_of_the_body() {
    let requests = connect().await;
    for method in ["Authorize", "Deliver", "Attach", "Else"] {
        let (answer, _open) = call(&requests, method, "bad").await;
        let (code, message) = status(answer).await;
        assert_eq!(code, "16", "{method}: {message}");
    }
}

#[tokio::test]
async fn what_is_not_a_process_secret_is_refused_by_the_head() {
    let requests = connect().await;
    for process in ["", "7", &"g".repeat(64), &"7".repeat(65)] {
        let shown = [("lychgate-process", process.to_owned())];
        let (answer, _open) = call_with(&requests, "Authorize", "good", &shown).await;
        let (code, message) = status(answer).await;
        assert_eq!(code, "3", "{process:?}: {message}");
        assert!(message.contains("lychgate-process"), "{message}");
    }
}

/// It would leave out what it does not know of, and acknowledge the rest.
#[tokio::test]
async fn a_control_plane_that_is_behind_takes_nothing_of_a_newer_replica() {
    let requests = connect().await;
    let newer = ProtocolVersion {
        minor: PROTOCOL.minor + 1,
        ..PROTOCOL
    };
    let next = ProtocolVersion {
        major: PROTOCOL.major + 1,
        minor: 0,
    };
    for (version, expected) in [
        (newer.to_string(), ("9", "upgrade the control plane first")),
        (next.to_string(), ("9", "upgrade the control plane first")),
        ("0.9".to_owned(), ("9", "upgrade the replica")),
        ("1".to_owned(), ("3", "lychgate-protocol")),
        ("1.x".to_owned(), ("3", "lychgate-protocol")),
    ] {
        for method in ["Authorize", "Owns", "Deliver", "Attach"] {
            let (answer, _open) = call_with(&requests, method, "good", &[("lychgate-protocol", version.clone())]).await;
            let (code, message) = status(answer).await;
            assert_eq!(code, expected.0, "{version} {method}: {message}");
            assert!(message.replace("%20", " ").contains(expected.1), "{message}");
        }
    }
}

#[tokio::test]
async fn each_method_takes_no_more_than_it_may_need() {
    let requests = connect().await;
    for (method, most) in [
        ("Authorize", AUTHORIZE_MESSAGE_BYTES),
        ("Owns", OWNS_MESSAGE_BYTES),
        ("Deliver", DELIVER_MESSAGE_BYTES),
        ("Attach", UP_MESSAGE_BYTES),
    ] {
        // Of the message itself nothing is sent: its length is enough.
        let (answer, mut body) = call(&requests, method, "good").await;
        body.send_data(prefix(most + 1), false).unwrap();
        let (code, message) = status(answer).await;
        assert_eq!(code, "11", "{method}: {message}");
    }
}

#[tokio::test]
async fn lists_end_at_their_bounds() {
    let requests = connect().await;
    let record = [&[0x12, 18, 0x0a, 16][..], &[7; 16]].concat();
    let delivery = [&[0x0a, 16][..], &[7; 16], &record.repeat(DELIVERED_RECORDS + 1)].concat();
    let question = [0x1a, 6, b'f', b'i', b'l', b'e', b'_', b'a'].repeat(OWNED_OBJECTS + 1);
    let label = [0x3a, 5, 0x0a, 1, b'a', 0x12, 0].repeat(65);
    let hello = [&[0x0a, 0xc7, 3][..], &label].concat();
    for (method, message, field) in [
        ("Deliver", delivery, "deliver_request.interceptions"),
        ("Owns", question, "owns_request.objects"),
        ("Attach", hello, "hello.labels"),
    ] {
        let (answer, mut body) = call(&requests, method, "good").await;
        body.send_data(prefix(message.len()), false).unwrap();
        body.send_data(message.into(), true).unwrap();
        let (code, text) = status(answer).await;
        assert_eq!(code, "3", "{text}");
        assert!(text.contains(field), "{text}");
    }
}

#[tokio::test]
async fn a_replica_from_before_1_4_asks_about_one_object_and_is_told_of_one() {
    let requests = connect().await;
    let token = [&[0x0a, 32][..], &[7; 32]].concat();
    let (one, other) = (*b"\x12\x06resp_a", *b"\x12\x06resp_b");
    let several = *b"\x1a\x06resp_a\x1a\x06resp_b";
    for (version, objects, told) in [
        ("1.3", &one[..], &[0x08, 1][..]),
        ("1.3", &other, &[0x08, 3]),
        ("1.4", &several, &[0x1a, 2, 0x08, 1, 0x1a, 2, 0x08, 3]),
    ] {
        let headers = [
            ("lychgate-process", "7".repeat(64)),
            ("lychgate-protocol", version.to_owned()),
        ];
        let message = [&token[..], objects].concat();
        let (answer, mut body) = call_with(&requests, "Owns", "silent", &headers).await;
        body.send_data(prefix(message.len()), false).unwrap();
        body.send_data(message.into(), true).unwrap();
        let (head, mut body) = answer.await.unwrap().into_parts();
        assert_eq!(
            (head.status.as_u16(), head.headers.get("grpc-status")),
            (200, None),
            "{head:?}"
        );
        let mut answered = Vec::new();
        while let Some(data) = body.data().await {
            answered.extend_from_slice(&data.unwrap());
        }
        assert_eq!(answered, [&prefix(told.len())[..], told].concat(), "{version}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_message_is_given_up() {
    let requests = connect().await;
    for (method, time) in [
        ("Authorize", AUTHORIZE_BODY_TIME),
        ("Deliver", DELIVER_BODY_TIME),
        ("Attach", HELLO_TIME),
    ] {
        let (answer, mut body) = call(&requests, method, "good").await;
        body.send_data(prefix(40), false).unwrap();
        let begun = tokio::time::Instant::now();
        let (code, message) = status(answer).await;
        assert_eq!(code, "4", "{method}: {message}");
        assert!(begun.elapsed() >= time, "{method}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_attachment_without_a_heartbeat_is_closed() {
    let requests = connect().await;
    let (answer, mut body) = call(&requests, "Attach", "silent").await;
    // A hello of nothing but a replica's id.
    let hello = [&[0x0a, 18, 0x0a, 16][..], &[7; 16]].concat();
    body.send_data(prefix(hello.len()), false).unwrap();
    body.send_data(hello.into(), false).unwrap();
    let (head, mut events) = answer.await.unwrap().into_parts();
    assert_eq!(head.status, 200);
    let begun = tokio::time::Instant::now();
    assert!(events.data().await.is_none(), "nothing is sent, and the stream ends");
    assert!(
        (SILENCE..SILENCE * 2).contains(&begun.elapsed()),
        "{:?}",
        begun.elapsed()
    );
}
