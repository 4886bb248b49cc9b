//! A control plane on a port of its own, on the test's database and clock, and shorthand for talking to it.

use axum::body::Body;
use http::Method;
use http_body_util::BodyExt as _;
use lychgate_control::{Control, Options};
use lychgate_link::client::GrpcLink;
use lychgate_link::{Attachment, Configuration, ControlLink, Down, Heartbeat, Hello, LinkError, Message, PROTOCOL};
use lychgate_store::DatabaseUrl;
use lychgate_testkit::db::TestDb;
use lychgate_testkit::http::{Answer, Call};
use lychgate_testkit::wait::DEADLINE;
use lychgate_types::clock::SystemClock;
use lychgate_types::random::SeededRandom;
use lychgate_types::secret::{GatewayKeySecret, MasterKey, SecretHash, UserTokenSecret};
use lychgate_types::{Ambient, ReplicaId};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tempfile::TempDir;
use tokio::sync::watch;
use tokio_stream::StreamExt;
use tower::ServiceExt as _;

/// A running control plane.
pub(crate) struct Bench {
    pub(crate) url: String,
    /// The bootstrap owner's token.
    pub(crate) owner: String,
    pub(crate) ambient: Ambient,
    control: Control,
    _data_dir: TempDir,
}

impl Bench {
    pub(crate) async fn start(db: &TestDb) -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let owner = UserTokenSecret::generate(&db.ambient());
        let options = options(db, &data_dir, Some(owner.clone()));
        let control = Control::start(options, db.ambient()).await.unwrap();
        let url = format!("http://{}", control.local_addr());
        Self {
            url,
            owner: owner.expose().to_owned(),
            ambient: db.ambient(),
            control,
            _data_dir: data_dir,
        }
    }

    /// Another control plane on the same database, with the same owner.
    pub(crate) async fn join(&self, db: &TestDb) -> Self {
        let data_dir = tempfile::tempdir().unwrap();
        let control = Control::start(options(db, &data_dir, None), db.ambient())
            .await
            .unwrap();
        Self {
            url: format!("http://{}", control.local_addr()),
            owner: self.owner.clone(),
            ambient: db.ambient(),
            control,
            _data_dir: data_dir,
        }
    }

    /// Stops it as a signal would. At the end of a test it is just dropped: nobody waits for replicas that are not polled.
    pub(crate) async fn stop(self) {
        self.control.shutdown(Duration::from_secs(1)).await;
    }

    /// What Prometheus reads of a series.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let request = http::Request::get("/metrics").body(Body::empty()).unwrap();
        let answer = self.control.metrics_router().oneshot(request).await.unwrap();
        let page = answer.into_body().collect().await.unwrap().to_bytes();
        let page = String::from_utf8(page.to_vec()).unwrap();
        let number = page
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        number
            .unwrap_or_else(|| panic!("there is no {series} in {page}"))
            .parse()
            .unwrap()
    }

    /// A call to the API; `path` begins after `/api/v1`.
    pub(crate) fn call(&self, method: Method, path: &str) -> Call {
        Call::new(method, format!("{}/api/v1{path}", self.url))
    }

    pub(crate) async fn get(&self, token: &str, path: &str) -> Answer {
        self.call(Method::GET, path).bearer(token).send().await
    }

    pub(crate) async fn post(&self, token: &str, path: &str, body: Value) -> Answer {
        self.call(Method::POST, path).bearer(token).json(&body).send().await
    }

    pub(crate) async fn patch(&self, token: &str, path: &str, body: Value) -> Answer {
        self.call(Method::PATCH, path).bearer(token).json(&body).send().await
    }

    pub(crate) async fn delete(&self, token: &str, path: &str) -> Answer {
        self.call(Method::DELETE, path).bearer(token).send().await
    }

    /// Makes a user and a token for them; answers the user's id and the token.
    pub(crate) async fn user(&self, name: &str, role: &str) -> (String, String) {
        let user = self
            .post(&self.owner, "/users", json!({"username": name, "role": role}))
            .await
            .expect(201)
            .value();
        (text(&user["id"]), self.token(name, &["*"]).await)
    }

    /// Makes a token for a user.
    pub(crate) async fn token(&self, user: &str, scopes: &[&str]) -> String {
        let body = json!({"user": user, "name": "t", "scopes": scopes});
        text(&self.post(&self.owner, "/tokens", body).await.expect(201).value()["token"])
    }

    /// Makes a gateway key; answers its id and secret.
    pub(crate) async fn key(&self, name: &str) -> (String, GatewayKeySecret) {
        let made = self
            .post(&self.owner, "/ai-gateway/keys", json!({"name": name}))
            .await
            .expect(201)
            .value();
        (
            text(&made["id"]),
            GatewayKeySecret::parse(made["key"].as_str().unwrap()).unwrap(),
        )
    }

    /// Makes a provider without keys; answers its id.
    pub(crate) async fn provider(&self, name: &str, provider_type: &str) -> String {
        let body = json!({"name": name, "type": provider_type, "base_url": "https://api.example.com"});
        text(
            &self
                .post(&self.owner, "/ai-gateway/providers", body)
                .await
                .expect(201)
                .value()["id"],
        )
    }

    /// The link of a process of its own.
    pub(crate) fn link(&self, key: &GatewayKeySecret) -> GrpcLink {
        self.link_of(self.ambient.new_id(), key)
    }

    /// The link of the process that this replica's id belongs to.
    pub(crate) fn link_of(&self, replica: ReplicaId, key: &GatewayKeySecret) -> GrpcLink {
        let (_, seed) = replica.as_uuid().as_u64_pair();
        let process = Ambient::new(Arc::new(SystemClock), Arc::new(SeededRandom::new(seed)));
        GrpcLink::new(&[&self.url], watch::channel(key.clone()).1, process).unwrap()
    }

    /// Attaches a replica and reads the first configuration.
    pub(crate) async fn attach(&self, key: &GatewayKeySecret) -> Attached {
        self.attach_as(self.ambient.new_id(), key).await
    }

    /// Attaches this replica and reads the first configuration.
    pub(crate) async fn attach_as(&self, replica: ReplicaId, key: &GatewayKeySecret) -> Attached {
        Attached::open(&self.link_of(replica, key), hello(replica))
            .await
            .unwrap()
    }

    /// How many audit entries there are for this query.
    pub(crate) async fn audit(&self, query: &str) -> Vec<Value> {
        let page = self
            .get(&self.owner, &format!("/audit-entries?limit=200&{query}"))
            .await
            .expect(200)
            .value();
        page["audit_entries"].as_array().unwrap().clone()
    }
}

pub(crate) fn options(db: &TestDb, data_dir: &TempDir, bootstrap_token: Option<UserTokenSecret>) -> Options {
    Options {
        listen: "127.0.0.1:0".parse().unwrap(),
        database: DatabaseUrl::parse(db.url()).unwrap(),
        master_key: MasterKey::parse(&"ab".repeat(32)).unwrap(),
        bootstrap_token,
        data_dir: data_dir.path().to_owned(),
        capture_content: true,
        gateway: lychgate_gateway::Options {
            spool: lychgate_gateway::SpoolOptions::new(data_dir.path().join("spool")),
            ..lychgate_gateway::Options::new("embedded", "127.0.0.1:8080", "0.0.0-test")
        },
    }
}

pub(crate) fn hello(replica_id: ReplicaId) -> Hello {
    Hello {
        replica_id,
        name: "edge".to_owned(),
        version: "0.0.0-test".to_owned(),
        protocol: PROTOCOL,
        address: "edge:4001".to_owned(),
        labels: BTreeMap::from([("region".to_owned(), "eu".to_owned())]),
        resume_after: 0,
    }
}

/// An attachment, read event by event.
pub(crate) struct Attached {
    events: Attachment,
    pub(crate) heartbeats: watch::Sender<Heartbeat>,
    pub(crate) providers: Vec<String>,
    /// How many spools of other gateway keys it can open.
    pub(crate) replaced: usize,
    /// How many keys each of them has.
    pub(crate) keys: Vec<usize>,
    /// Whether leases are still good.
    pub(crate) resumed: bool,
    /// Its position in the feed of changes.
    pub(crate) position: u64,
}

impl Attached {
    pub(crate) async fn open(link: &dyn ControlLink, hello: Hello) -> Result<Self, LinkError> {
        let (heartbeats, watched) = watch::channel(Heartbeat::default());
        let events = link.attach(hello, watched).await?;
        let mut attached = Self {
            events,
            heartbeats,
            providers: vec![],
            keys: vec![],
            replaced: 0,
            resumed: false,
            position: 0,
        };
        match attached.event().await {
            Some(Ok(Down {
                message:
                    Message::Configuration {
                        configuration: first,
                        resumed,
                        spool_keys,
                    },
                after,
                sequence,
            })) => {
                attached.providers = first.providers.iter().map(|p| p.name.to_string()).collect();
                attached.replaced = spool_keys.replaced.len();
                attached.keys = first.providers.iter().map(|p| p.keys.len()).collect();
                (attached.resumed, attached.position) = (resumed, sequence);
                assert!(after <= sequence);
                Ok(attached)
            }
            other => panic!("the first event is {other:?}"),
        }
    }

    async fn event(&mut self) -> Option<Result<Down, LinkError>> {
        tokio::time::timeout(DEADLINE, self.events.events.next())
            .await
            .expect("an event")
    }

    /// The next event, which continues from the one before; `None` at the end.
    pub(crate) async fn next(&mut self) -> Option<Result<Down, LinkError>> {
        let event = self.event().await;
        if let Some(Ok(Down {
            after,
            sequence,
            message,
        })) = &event
            && !matches!(message, Message::Close(_))
        {
            assert_eq!(*after, self.position, "a gap before {message:?}");
            assert!(after <= sequence);
            self.position = *sequence;
        }
        event
    }

    /// The next event's message; panics at the end.
    pub(crate) async fn message(&mut self) -> Message {
        match self.next().await {
            Some(Ok(down)) => down.message,
            other => panic!("{other:?}"),
        }
    }

    /// The configuration that comes next.
    pub(crate) async fn configuration(&mut self) -> Arc<Configuration> {
        match self.message().await {
            Message::Configuration { configuration, .. } => configuration,
            other => panic!("{other:?}"),
        }
    }

    /// The tokens that the next event revokes.
    pub(crate) async fn revoked(&mut self) -> Vec<SecretHash> {
        match self.message().await {
            Message::TokensRevoked(mut hashes) => {
                hashes.sort_by_key(|hash| *hash.as_bytes());
                hashes
            }
            other => panic!("{other:?}"),
        }
    }
}

pub(crate) fn text(value: &Value) -> String {
    value
        .as_str()
        .unwrap_or_else(|| panic!("not a text: {value}"))
        .to_owned()
}

pub(crate) fn hash(token: &str) -> SecretHash {
    UserTokenSecret::parse(token).unwrap().hash()
}

/// Checks that an answer is a problem of this status and code; answers the fields that do not fit.
#[track_caller]
pub(crate) fn problem(answer: &Answer, status: u16, code: &str) -> Vec<String> {
    assert_eq!(
        (answer.status, answer.header("content-type")),
        (status, "application/problem+json"),
        "{}",
        answer.text()
    );
    let body = answer.value();
    assert_eq!(
        (&body["code"], &body["status"]),
        (&json!(code), &json!(status)),
        "{body}"
    );
    assert_eq!(body["request_id"], answer.header("x-request-id"), "{body}");
    let fields = body["validations"].as_array().into_iter().flatten();
    fields.map(|v| text(&v["field"])).collect()
}

/// The value with what differs from run to run blotted out.
pub(crate) fn masked(value: &Value, pointers: &[&str]) -> Value {
    let mut value = value.clone();
    for pointer in pointers {
        *value
            .pointer_mut(pointer)
            .unwrap_or_else(|| panic!("{pointer} is missing")) = json!("[…]");
    }
    value
}
