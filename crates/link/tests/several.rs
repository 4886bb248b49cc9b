//! A link to several control planes, and with a key that is replaced while it is in use.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use async_trait::async_trait;
use futures_util::{FutureExt, StreamExt};
use lychgate_link::client::GrpcLink;
use lychgate_link::server::{Authenticator, routes};
use lychgate_link::*;
use lychgate_types::secret::{GatewayKeySecret, SecretHash};
use lychgate_types::{Ambient, ReplicaId};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;

const TOKEN: SecretHash = SecretHash::from_bytes([7; 32]);

/// A control plane in a runtime of its own, so that it can be killed. Lets in whoever shows one of `keys`, and notes who asked
/// what.
struct Plane {
    url: String,
    said: Said,
    runtime: Option<Runtime>,
}

/// Which call came with which key.
type Said = Arc<Mutex<Vec<(&'static str, String)>>>;
type KeyRing = Arc<Mutex<Vec<String>>>;

#[derive(Debug)]
struct Door {
    keys: KeyRing,
    said: Said,
}

#[derive(Debug)]
struct Inside {
    key: String,
    said: Said,
}

impl Plane {
    fn start(keys: &KeyRing) -> Self {
        let said = Said::default();
        let door = Door {
            keys: Arc::clone(keys),
            said: Arc::clone(&said),
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
            let app = routes(Arc::new(door)).into_make_service_with_connect_info::<SocketAddr>();
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, app).await.unwrap();
        });
        Self {
            url,
            said,
            runtime: Some(runtime),
        }
    }

    fn kill(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }

    fn count(&self, call: &str) -> usize {
        self.said
            .lock()
            .unwrap()
            .iter()
            .filter(|(said, _)| *said == call)
            .count()
    }

    /// The keys of all calls of this kind so far.
    fn keys_of(&self, call: &str) -> Vec<String> {
        let said = self.said.lock().unwrap();
        said.iter()
            .filter(|(said, _)| *said == call)
            .map(|(_, key)| key.clone())
            .collect()
    }
}

impl Drop for Plane {
    fn drop(&mut self) {
        // Dropping a runtime within another is not allowed.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

#[async_trait]
impl Authenticator for Door {
    async fn authenticate(&self, key: &str, _: Option<SocketAddr>) -> Result<Arc<dyn ControlLink>, LinkError> {
        if self.keys.lock().unwrap().iter().any(|good| good == key) {
            Ok(Arc::new(Inside {
                key: key.to_owned(),
                said: Arc::clone(&self.said),
            }))
        } else {
            Err(LinkError::Refused(RefusalReason::KeyUnknown))
        }
    }
}

#[async_trait]
impl ControlLink for Inside {
    async fn attach(&self, _: Hello, _: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
        self.said.lock().unwrap().push(("attach", self.key.clone()));
        Ok(Attachment {
            events: futures_util::stream::iter([Ok(Message::Drain.into())])
                .chain(futures_util::stream::pending())
                .boxed(),
        })
    }

    async fn authorize(&self, _: SecretHash) -> Result<Authorization, LinkError> {
        self.said.lock().unwrap().push(("authorize", self.key.clone()));
        Ok(Authorization::Known {
            may_send_requests: true,
            lease: Duration::from_secs(60),
        })
    }

    async fn deliver(&self, _: ReplicaId, _: Vec<EncodedRecord>) -> Result<Receipt, LinkError> {
        self.said.lock().unwrap().push(("deliver", self.key.clone()));
        Ok(Receipt::default())
    }
}

fn new_key() -> GatewayKeySecret {
    GatewayKeySecret::generate(&Ambient::system())
}

fn ring(keys: &[&GatewayKeySecret]) -> KeyRing {
    Arc::new(Mutex::new(keys.iter().map(|key| key.expose().to_owned()).collect()))
}

fn link(planes: &[Plane], key: watch::Receiver<GatewayKeySecret>) -> GrpcLink {
    let urls: Vec<&str> = planes.iter().map(|plane| plane.url.as_str()).collect();
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
    let mut planes = [Plane::start(&keys), Plane::start(&keys)];
    let link = link(&planes, watch::channel(key).1);
    let mut attachment = attach(&link).await.unwrap();
    for _ in 0..40 {
        link.authorize(TOKEN).await.unwrap();
        link.deliver(Ambient::system().new_id(), vec![]).await.unwrap();
    }
    for plane in &planes {
        assert!(plane.count("authorize") > 0 && plane.count("deliver") > 0);
    }

    let attached_to = planes.iter().position(|plane| plane.count("attach") == 1).unwrap();
    planes[attached_to].kill();
    let lost = attachment.events.next().await;
    assert!(matches!(lost, None | Some(Err(LinkError::Unreachable(_)))), "{lost:?}");
    for _ in 0..40 {
        link.authorize(TOKEN).await.unwrap();
        link.deliver(Ambient::system().new_id(), vec![]).await.unwrap();
    }
    attach(&link).await.unwrap();
    assert_eq!(planes[1 - attached_to].count("attach"), 1);
}

#[tokio::test]
async fn a_new_key_is_shown_when_attaching_and_everywhere_once_that_worked() {
    let (old, new) = (new_key(), new_key());
    let keys = ring(&[&old, &new]);
    let planes = [Plane::start(&keys)];
    let (give, given) = watch::channel(old.clone());
    let link = link(&planes, given);
    let first = attach(&link).await.unwrap();
    assert!(link.renewed().now_or_never().is_none());
    give.send_replace(new.clone());
    link.renewed().await;
    link.authorize(TOKEN).await.unwrap();
    let second = attach(&link).await.unwrap();
    assert!(link.renewed().now_or_never().is_none());
    link.authorize(TOKEN).await.unwrap();
    for call in ["attach", "authorize"] {
        assert_eq!(planes[0].keys_of(call), [old.expose(), new.expose()], "{call}");
    }
    drop((first, second));
}

#[tokio::test]
async fn a_key_that_is_not_let_in_does_not_take_the_place_of_one_that_is() {
    let (old, wrong) = (new_key(), new_key());
    let keys = ring(&[&old]);
    let planes = [Plane::start(&keys)];
    let (give, given) = watch::channel(old.clone());
    let link = link(&planes, given);
    let _first = attach(&link).await.unwrap();
    give.send_replace(wrong.clone());
    let _second = attach(&link).await.unwrap();
    assert!(
        link.renewed().now_or_never().is_none(),
        "it was shown, and is not shown again and again"
    );
    link.authorize(TOKEN).await.unwrap();
    assert_eq!(planes[0].keys_of("attach"), [old.expose(), old.expose()]);

    // The old one goes, and the new one is let in after all: a call finds out by itself.
    *keys.lock().unwrap() = vec![wrong.expose().to_owned()];
    link.authorize(TOKEN).await.unwrap();
    assert_eq!(planes[0].keys_of("authorize"), [old.expose(), wrong.expose()]);
    keys.lock().unwrap().clear();
    let refused = LinkError::Refused(RefusalReason::KeyUnknown);
    assert_eq!(link.authorize(TOKEN).await, Err(refused.clone()));
    assert_eq!(attach(&link).await.map(|_| ()), Err(refused));
}
