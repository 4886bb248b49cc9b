//! Outbound proxies.

use crate::support::client::find;
use crate::support::secure::{Identity, Secure};
use crate::support::{World, config};
use lychgate_gateway::OutboundProxy;
use lychgate_types::provider::ProviderType;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use tokio::io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

const PATH: &str = "/ai/anthropic/v1/messages";

/// A proxy: sends `answer` for each head, then connects to `target` if there is one.
struct Proxy {
    address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Proxy {
    async fn start(answer: &'static str, target: Option<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads: Arc<Mutex<Vec<String>>> = Arc::default();
        let told = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let told = Arc::clone(&told);
                tokio::spawn(async move {
                    let mut bytes = Vec::new();
                    let end = loop {
                        if let Some(at) = find(&bytes, b"\r\n\r\n") {
                            break at;
                        }
                        assert!(socket.read_buf(&mut bytes).await.unwrap() > 0);
                    };
                    told.lock()
                        .unwrap()
                        .push(String::from_utf8(bytes[..end].to_vec()).unwrap());
                    socket.write_all(answer.as_bytes()).await.unwrap();
                    if let Some(target) = target {
                        let mut through = TcpStream::connect(target).await.unwrap();
                        let _ = copy_bidirectional(&mut socket, &mut through).await;
                    }
                });
            }
        });
        Self { address, heads }
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }

    /// Its environment variables, with a credential.
    fn variables(&self, no: &'static str) -> OutboundProxy {
        let url = format!("http://user:canary@{}", self.address);
        OutboundProxy::from_variables(|name| match name {
            "HTTPS_PROXY" | "HTTP_PROXY" => Some(&url),
            "NO_PROXY" => Some(no),
            _ => None,
        })
        .unwrap()
    }

    async fn world(&self, url: &str, allow_private: bool, identity: &Identity) -> World {
        let proxy = self.variables("bypassed.example,127.0.0.2");
        let ca = identity.ca.clone();
        let world = World::with_options(|options| {
            options.proxy = proxy;
            options.provider_cas = ca;
        })
        .await;
        let mut provider = config("anthropic", ProviderType::Anthropic, url);
        provider.allow_private = allow_private;
        provider.policy.retry.max_attempts = 1;
        world.control.configure(vec![provider]);
        world.control.until_in_force().await;
        world
    }
}

const CREDENTIAL: &str = "Basic dXNlcjpjYW5hcnk=";

#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let identity = Identity::new();
    let provider = Secure::start(&identity, &["http/1.1"], 1).await;
    provider.permits.add_permits(1);
    let proxy = Proxy::start("HTTP/1.1 200 Connection established\r\n\r\n", Some(provider.address)).await;
    let world = proxy.world("https://api.example.com", false, &identity).await;
    assert_eq!(world.post(PATH, b"{}").await.answer().await.0.status, 200);
    let heads = proxy.heads();
    assert!(
        heads[0].starts_with("CONNECT api.example.com:443 HTTP/1.1\r\n"),
        "{heads:?}"
    );
    assert!(heads[0].contains(CREDENTIAL), "{heads:?}");
    // The proxy sees nothing of the request, and the provider nothing of the proxy's credential.
    assert!(!heads[0].contains("x-api-key"), "{heads:?}");
    assert_eq!(provider.seen()[0].host.as_deref(), Some("api.example.com"));
}

#[tokio::test]
async fn http_requests_name_the_whole_url() {
    let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}";
    let proxy = Proxy::start(answer, None).await;
    let world = proxy
        .world("http://api.example.com/base", false, &Identity::new())
        .await;
    let mut client = world.post(&format!("{PATH}?a=1"), b"{}").await;
    assert_eq!(client.answer().await.1, b"{}");
    let heads = proxy.heads();
    assert!(
        heads[0].starts_with("POST http://api.example.com/base/v1/messages?a=1 HTTP/1.1\r\n"),
        "{heads:?}"
    );
    assert!(
        heads[0].contains(CREDENTIAL) && heads[0].contains("host: api.example.com"),
        "{heads:?}"
    );
}

#[tokio::test]
async fn a_proxys_refusal_is_distinguished_from_the_providers() {
    for (answer, says) in [
        (
            "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n",
            "a different user or password",
        ),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", "it refused"),
    ] {
        let proxy = Proxy::start(answer, None).await;
        let world = proxy.world("https://api.example.com", false, &Identity::new()).await;
        let (head, body) = world.post(PATH, b"{}").await.answer().await;
        let body = String::from_utf8(body).unwrap();
        assert!(
            head.status == 502 && body.contains("outbound proxy") && body.contains(says),
            "{body}"
        );
        assert!(
            !body.contains("canary") && !body.contains(&proxy.address.to_string()),
            "{body}"
        );
    }
}

#[tokio::test]
async fn obviously_private_targets_are_not_requested_through_a_proxy() {
    let proxy = Proxy::start("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", None).await;
    for url in [
        "http://127.0.0.1:9",
        "http://[::ffff:169.254.169.254]",
        "http://localhost:9",
        "http://metadata.google.internal",
        "http://2130706433",
        "http://0x7f.1",
    ] {
        let world = proxy.world(url, false, &Identity::new()).await;
        let (head, body) = world.post(PATH, b"{}").await.answer().await;
        let body = String::from_utf8(body).unwrap();
        assert!(head.status == 502 && body.contains("allow_private"), "{url}: {body}");
    }
    assert!(proxy.heads().is_empty());
    let world = proxy.world("http://localhost:9", true, &Identity::new()).await;
    assert_eq!(world.post(PATH, b"{}").await.answer().await.0.status, 200);
    assert_eq!(proxy.heads().len(), 1);
}

#[tokio::test]
async fn no_proxy_is_respected() {
    let proxy = Proxy::start("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", None).await;
    let listener = TcpListener::bind("127.0.0.2:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let world = proxy.world(&url, true, &Identity::new()).await;
    let mut client = world.post(PATH, b"{}").await;
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut head = vec![0; 27];
    socket.read_exact(&mut head).await.unwrap();
    assert_eq!(head, b"POST /v1/messages HTTP/1.1\r\n"[..27]);
    socket
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        .await
        .unwrap();
    assert_eq!(client.head().await.status, 200);
    assert!(proxy.heads().is_empty());
}
