//! A link to several control planes, and one whose gateway key is replaced while it is in use.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use lychgate_link::client::GrpcLink;
use lychgate_link::server::{Authenticator, Shown, routes};
use lychgate_link::*;
use lychgate_types::secret::{GatewayKeySecret, SecretHash};
use lychgate_types::{Ambient, KeyRefusal, ReplicaId, StoredObject};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

const TOKEN: SecretHash = SecretHash::from_bytes([7; 32]);

/// A control plane in a runtime of its own, so that it can be killed. Accepts `keys`, and records each call and its key.
struct ControlPlane {
    url: String,
    calls: Calls,
    runtime: Option<Runtime>,
}

/// Which call came with which key.
type Calls = Arc<Mutex<Vec<(&'static str, String)>>>;
type KeyRing = Arc<Mutex<Vec<String>>>;

#[derive(Debug)]
struct Keys {
    keys: KeyRing,
    calls: Calls,
}

#[derive(Debug)]
struct Accepted {
    key: String,
    calls: Calls,
}

impl ControlPlane {
    fn start(keys: &KeyRing) -> Self {
        let calls = Calls::default();
        let keys = Keys {
            keys: Arc::clone(keys),
            calls: Arc::clone(&calls),
        };
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        runtime.spawn(async move {
            let app = routes(Arc::new(keys)).into_make_service_with_connect_info::<SocketAddr>();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, app).await.unwrap();
        });
        Self {
            url,
            calls,
            runtime: Some(runtime),
        }
    }

    fn kill(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }

    fn count(&self, call: &str) -> usize {
        self.calls
            .lock()
            .unwrap()
            .iter()
            .filter(|(calls, _)| *calls == call)
            .count()
    }

    /// The keys of all calls of this kind so far.
    fn keys_of(&self, call: &str) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        calls
            .iter()
            .filter(|(calls, _)| *calls == call)
            .map(|(_, key)| key.clone())
            .collect()
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        // Dropping a runtime within another is not allowed.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[async_trait]
impl Authenticator for Keys {
    async fn authenticate(&self, shown: Shown<'_>) -> Result<Arc<dyn ControlLink>, LinkError> {
        let key = shown.key;
        if self.keys.lock().unwrap().iter().any(|good| good == key) {
            Ok(Arc::new(Accepted {
                key: key.to_owned(),
                calls: Arc::clone(&self.calls),
            }))
        } else {
            Err(LinkError::refused(KeyRefusal::Unknown))
        }
    }
}

#[async_trait]
impl ControlLink for Accepted {
    async fn attach(&self, _: Hello, _: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
        self.calls.lock().unwrap().push(("attach", self.key.clone()));
        Ok(Attachment {
            events: futures_util::stream::iter([Ok(Message::Drain.into())])
                .chain(futures_util::stream::pending())
                .boxed(),
        })
    }

    async fn authorize(&self, _: SecretHash) -> Result<Authorization, LinkError> {
        self.calls.lock().unwrap().push(("authorize", self.key.clone()));
        Ok(Authorization::Known {
            may_send_requests: true,
            holder: lychgate_types::Holder::from_number(7),
            lease: Duration::from_secs(60),
        })
    }

    async fn owns(&self, _: SecretHash, _: &[String]) -> Result<Vec<StoredObject>, LinkError> {
        Ok(Vec::new())
    }

    async fn deliver(&self, _: ReplicaId, _: Vec<EncodedRecord>) -> Result<Receipt, LinkError> {
        self.calls.lock().unwrap().push(("deliver", self.key.clone()));
        Ok(Receipt::default())
    }
}

fn new_key() -> GatewayKeySecret {
    GatewayKeySecret::generate(&Ambient::system())
}

fn ring(keys: &[&GatewayKeySecret]) -> KeyRing {
    Arc::new(Mutex::new(keys.iter().map(|key| key.expose().to_owned()).collect()))
}

fn link(control_planes: &[ControlPlane], key: watch::Receiver<GatewayKeySecret>) -> GrpcLink {
    let urls: Vec<&str> = control_planes
        .iter()
        .map(|control_plane| control_plane.url.as_str())
        .collect();
    GrpcLink::new(&urls, key, Ambient::system()).unwrap()
}

async fn attach(link: &GrpcLink) -> Result<Attachment, LinkError> {
    let hello = Hello {
        replica_id: Ambient::system().new_id(),
        name: "edge-1".into(),
        version: "0.1.0".into(),
        protocol: PROTOCOL,
        address: "127.0.0.1:4001".into(),
        labels: BTreeMap::new(),
        resume_after: 0,
    };
    let mut attachment = link.attach(hello, watch::channel(Heartbeat::default()).1).await?;
    let first = attachment.events.next().await;
    assert_eq!(first, Some(Ok(Message::Drain.into())));
    Ok(attachment)
}

#[tokio::test]
async fn calls_are_spread_and_go_elsewhere_when_one_is_killed() {
    let key = new_key();
    let keys = ring(&[&key]);
    let mut control_planes = [ControlPlane::start(&keys), ControlPlane::start(&keys)];
    let link = link(&control_planes, watch::channel(key).1);
    let mut attachment = attach(&link).await.unwrap();
    for _ in 0..40 {
        link.authorize(TOKEN).await.unwrap();
        link.deliver(Ambient::system().new_id(), vec![]).await.unwrap();
    }
    for control_plane in &control_planes {
        assert!(control_plane.count("authorize") > 0 && control_plane.count("deliver") > 0);
    }

    let attached_to = control_planes
        .iter()
        .position(|control_plane| control_plane.count("attach") == 1)
        .unwrap();
    control_planes[attached_to].kill();
    let lost = attachment.events.next().await;
    assert!(matches!(lost, None | Some(Err(LinkError::Unreachable(_)))), "{lost:?}");
    for _ in 0..40 {
        link.authorize(TOKEN).await.unwrap();
        link.deliver(Ambient::system().new_id(), vec![]).await.unwrap();
    }
    attach(&link).await.unwrap();
    assert_eq!(control_planes[1 - attached_to].count("attach"), 1);
}

#[tokio::test]
async fn a_new_key_is_shown_when_attaching_and_everywhere_once_that_worked() {
    let (old, new) = (new_key(), new_key());
    let keys = ring(&[&old, &new]);
    let control_planes = [ControlPlane::start(&keys)];
    let (give, given) = watch::channel(old.clone());
    let link = link(&control_planes, given);
    let first = attach(&link).await.unwrap();
    assert!(link.renewed().now_or_never().is_none());
    give.send_replace(new.clone());
    link.renewed().await;
    link.authorize(TOKEN).await.unwrap();
    let second = attach(&link).await.unwrap();
    assert!(link.renewed().now_or_never().is_none());
    link.authorize(TOKEN).await.unwrap();
    for call in ["attach", "authorize"] {
        assert_eq!(control_planes[0].keys_of(call), [old.expose(), new.expose()], "{call}");
    }
    drop((first, second));
}

#[tokio::test]
async fn a_key_that_is_refused_does_not_replace_one_that_is_accepted() {
    let (old, wrong) = (new_key(), new_key());
    let keys = ring(&[&old]);
    let control_planes = [ControlPlane::start(&keys)];
    let (give, given) = watch::channel(old.clone());
    let link = link(&control_planes, given);
    let _first = attach(&link).await.unwrap();
    give.send_replace(wrong.clone());
    let _second = attach(&link).await.unwrap();
    assert!(
        link.renewed().now_or_never().is_none(),
        "it was shown, and is not shown again and again"
    );
    link.authorize(TOKEN).await.unwrap();
    assert_eq!(control_planes[0].keys_of("attach"), [old.expose(), old.expose()]);

    // The old one goes, and the new one is accepted after all: a call finds that out by itself.
    *keys.lock().unwrap() = vec![wrong.expose().to_owned()];
    link.authorize(TOKEN).await.unwrap();
    assert_eq!(control_planes[0].keys_of("authorize"), [old.expose(), wrong.expose()]);
    keys.lock().unwrap().clear();
    let refused = LinkError::refused(KeyRefusal::Unknown);
    assert_eq!(link.authorize(TOKEN).await, Err(refused.clone()));
    assert_eq!(attach(&link).await.map(|_| ()), Err(refused));
}
