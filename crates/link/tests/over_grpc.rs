//! The link over a real socket: what one half sends, the other receives unchanged. The control plane here is a small double;
//! what a real one answers is tested in crate `control`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
use async_trait::async_trait;
use futures_util::StreamExt;
use lychgate_link::client::GrpcLink;
use lychgate_link::server::{Authenticator, Shown, routes};
use lychgate_link::*;
use lychgate_types::interception::*;
use lychgate_types::policy::ProviderPolicy;
use lychgate_types::provider::{Api, ProviderType};
use lychgate_types::secret::{GatewayKeySecret, ProviderSecret, SecretHash, SpoolKey, SpoolKeys};
use lychgate_types::{
    Ambient, InterceptionId, KeyRefusal, Name, Ownership, ReplicaId, StoredObject, Timestamp, UnfinishedInterception,
};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{mpsc, watch};

#[derive(Debug, Clone)]
struct ControlPlane {
    key: String,
    processes: Arc<Mutex<Vec<Option<SecretHash>>>>,
    received: mpsc::UnboundedSender<Received>,
    down: Arc<Mutex<Option<mpsc::UnboundedReceiver<Down>>>>,
}

#[derive(Debug, PartialEq)]
enum Received {
    Hello(Hello),
    Heartbeat(Heartbeat),
    Detached,
    Records(ReplicaId, Vec<EncodedRecord>),
}

#[async_trait]
impl Authenticator for ControlPlane {
    async fn authenticate(&self, shown: Shown<'_>) -> Result<Arc<dyn ControlLink>, LinkError> {
        self.processes.lock().unwrap().push(shown.process);
        assert!(shown.source.is_some_and(|source| source.ip().is_loopback()));
        if shown.key == self.key {
            Ok(Arc::new(self.clone()))
        } else {
            Err(LinkError::refused(KeyRefusal::Unknown))
        }
    }
}

#[async_trait]
impl ControlLink for ControlPlane {
    async fn attach(&self, hello: Hello, mut heartbeats: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
        let received = self.received.clone();
        received.send(Received::Hello(hello)).unwrap();
        tokio::spawn(async move {
            while heartbeats.changed().await.is_ok() {
                received
                    .send(Received::Heartbeat(*heartbeats.borrow_and_update()))
                    .unwrap();
            }
            received.send(Received::Detached).unwrap();
        });
        let down = self.down.lock().unwrap().take().unwrap();
        let events = futures_util::stream::unfold(down, |mut down| async move { Some((Ok(down.recv().await?), down)) });
        Ok(Attachment { events: events.boxed() })
    }

    async fn authorize(&self, token: SecretHash) -> Result<Authorization, LinkError> {
        let lease = Duration::from_secs(60);
        Ok(match token.as_bytes()[0] {
            0 => Authorization::Known {
                may_send_requests: true,
                holder: lychgate_types::Holder::from_number(7),
                lease,
            },
            1 => Authorization::Denied {
                reason: DenyReason::Suspended,
                lease,
            },
            _ => {
                return Err(LinkError::Internal {
                    request_id: "r-1".to_owned(),
                });
            }
        })
    }

    async fn owns(&self, token: SecretHash, objects: &[String]) -> Result<Vec<StoredObject>, LinkError> {
        let of = |object: &String| match (object.as_str(), token.as_bytes()[0]) {
            ("resp_a", 0) => StoredObject {
                ownership: Ownership::Own,
                unfinished: Some(UnfinishedInterception {
                    id: InterceptionId::from_uuid(uuid::Uuid::from_u128(7)),
                    provider: "openai".to_owned(),
                }),
            },
            ("resp_a", _) => Ownership::Anothers.into(),
            _ => Ownership::Unknown.into(),
        };
        Ok(objects.iter().map(of).collect())
    }

    async fn deliver(&self, replica: ReplicaId, records: Vec<EncodedRecord>) -> Result<Receipt, LinkError> {
        let rejected = records
            .iter()
            .filter(|record| record.decode().unwrap().model == "poison")
            .map(|record| Rejected {
                id: record.id(),
                reason: "no such token".into(),
            })
            .collect();
        self.received.send(Received::Records(replica, records)).unwrap();
        Ok(Receipt { rejected })
    }
}

fn linked(urls: &[&str], key: &GatewayKeySecret) -> GrpcLink {
    GrpcLink::new(urls, watch::channel(key.clone()).1, Ambient::system()).unwrap()
}

struct Setup {
    link: GrpcLink,
    url: String,
    processes: Arc<Mutex<Vec<Option<SecretHash>>>>,
    received: mpsc::UnboundedReceiver<Received>,
    down: mpsc::UnboundedSender<Down>,
}

async fn set_up() -> Setup {
    let key = GatewayKeySecret::generate(&Ambient::system());
    let (received_to, received) = mpsc::unbounded_channel();
    let (down, down_from) = mpsc::unbounded_channel();
    let down_from = Arc::new(Mutex::new(Some(down_from)));
    let processes = Arc::default();
    let control_plane = ControlPlane {
        key: key.expose().to_owned(),
        processes: Arc::clone(&processes),
        received: received_to,
        down: down_from,
    };
    let app = routes(Arc::new(control_plane)).into_make_service_with_connect_info::<SocketAddr>();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, app).await.unwrap() });
    Setup {
        link: linked(&[&url], &key),
        url,
        processes,
        received,
        down,
    }
}

fn hello() -> Hello {
    Hello {
        replica_id: Ambient::system().new_id(),
        name: "edge-1".into(),
        version: "0.1.0".into(),
        protocol: PROTOCOL,
        address: "127.0.0.1:4001".into(),
        labels: BTreeMap::from([("region".into(), "eu".into())]),
        resume_after: 41,
    }
}

fn configuration() -> Configuration {
    let ambient = Ambient::system();
    Configuration {
        version: 7,
        capture_content: true,
        providers: vec![ProviderConfig {
            id: ambient.new_id(),
            name: Name::parse("anthropic").unwrap(),
            provider_type: ProviderType::Anthropic,
            base_url: "https://api.anthropic.com".into(),
            enabled: true,
            allow_private: false,
            settings: [("region".to_owned(), "eu".to_owned())].into_iter().collect(),
            policy: ProviderPolicy {
                http2: true,
                ..ProviderPolicy::default()
            },
            keys: vec![ProviderKeyConfig {
                id: ambient.new_id(),
                secret: ProviderSecret::new("sk-1".into()),
            }],
        }],
        routes: vec![RouteConfig {
            id: ambient.new_id(),
            provider: ambient.new_id(),
            model: "claude-*".into(),
            targets: vec![RouteTarget {
                provider: ambient.new_id(),
                model: Some("claude-sonnet-5".into()),
                weight: 3,
            }],
            fallbacks: vec![RouteTarget {
                provider: ambient.new_id(),
                model: None,
                weight: 1,
            }],
        }],
    }
}

fn record(model: &str, prompt: &str) -> InterceptionRecord {
    let ambient = Ambient::system();
    InterceptionRecord {
        id: ambient.new_id(),
        token_hash: SecretHash::from_bytes([7; 32]),
        provider: "anthropic".into(),
        provider_type: ProviderType::Anthropic,
        api: Api::AnthropicMessages,
        model: model.into(),
        streaming: true,
        client: "Claude Code".into(),
        user_agent: "claude/2".into(),
        client_session_id: Some("s".into()),
        thread_parent_tool_call_id: None,
        credential_kind: CredentialKind::Byok,
        credential_hint: "sk-a…1234".into(),
        started_at: Timestamp::from_micros(1),
        ended_at: Timestamp::from_micros(2),
        outcome: Outcome::Completed,
        upstream_status: Some(200),
        error_type: None,
        error_message: Some("m".into()),
        provider_request_id: Some("req_1".into()),
        served_model: Some("claude-haiku-4-5".into()),
        stop_reason: Some("end_turn".into()),
        stored_object: None,
        completes: true,
        thread_parent_response_id: Some("resp_0".to_owned()),
        stored_items: vec!["msg_1".to_owned()],
        attempts: 1,
        time_to_first_byte_ms: Some(0),
        overhead_us: 42,
        token_usages: vec![TokenUsage {
            provider_response_id: "msg_1".into(),
            input_tokens: 1,
            output_tokens: 2,
            cache_read_input_tokens: 3,
            cache_write_input_tokens: 4,
            cache_write_1h_input_tokens: 5,
            reasoning_tokens: 6,
            estimated: true,
            extra: BTreeMap::from([("web_search_requests".into(), 1)]),
            attributes: BTreeMap::from([("service_tier".into(), "priority".into())]),
        }],
        prompts: vec![Prompt {
            provider_response_id: "msg_1".into(),
            prompt: prompt.into(),
        }],
        tool_usages: vec![ToolUsage {
            provider_response_id: "msg_1".into(),
            tool_call_id: "toolu_1".into(),
            tool: "bash".into(),
            input: "{}".into(),
        }],
        model_thoughts: vec![ModelThought {
            content: "hm".into(),
            source: ThoughtSource::Commentary,
        }],
    }
}

#[tokio::test]
async fn every_call_shows_the_secret_of_its_process() {
    let setup = set_up().await;
    let token = SecretHash::from_bytes([0; 32]);
    setup.link.authorize(token).await.unwrap();
    setup
        .link
        .clone()
        .deliver(Ambient::system().new_id(), vec![])
        .await
        .unwrap();
    let _attached = setup.link.attach(hello(), watch::channel(Heartbeat::default()).1).await;
    let other = linked(&[&setup.url], &GatewayKeySecret::generate(&Ambient::system()));
    other.authorize(token).await.unwrap_err();
    let shown = setup.processes.lock().unwrap().clone();
    let [first, second, third, other] = shown[..] else {
        panic!("{shown:?}")
    };
    assert!(first.is_some() && first == second && second == third);
    assert!(other.is_some() && other != first, "another process has another one");
}

#[tokio::test]
async fn an_attachment_carries_both_ways_and_ends_with_either_side() {
    let Setup {
        link,
        mut received,
        down,
        ..
    } = set_up().await;
    let hello = hello();
    let (beats, heartbeats) = watch::channel(Heartbeat::default());
    let mut attachment = link.attach(hello.clone(), heartbeats).await.unwrap();
    assert_eq!(received.recv().await, Some(Received::Hello(hello)));

    let refusals = KeyRefusal::ALL.iter().map(|refusal| CloseReason::Refused(*refusal));
    let reasons = refusals.chain([CloseReason::ShuttingDown]);
    let first = Message::Configuration {
        configuration: Arc::new(configuration()),
        resumed: true,
        spool_keys: SpoolKeys {
            gateway_key: Some(Ambient::system().new_id()),
            own: SpoolKey::from_bytes([5; 32]),
            replaced: vec![SpoolKey::from_bytes([6; 32]), SpoolKey::from_bytes([7; 32])],
        },
    };
    let then = [
        Message::TokensRevoked(vec![SecretHash::from_bytes([9; 32])]),
        Message::Drain,
        Message::Unknown,
    ];
    let closes = reasons.map(Message::Close);
    for (after, message) in [first].into_iter().chain(then).chain(closes).enumerate() {
        let sent = Down {
            after: after as u64,
            sequence: after as u64 + 1,
            message,
        };
        down.send(sent.clone()).unwrap();
        assert_eq!(attachment.events.next().await, Some(Ok(sent)));
    }
    let beat = Heartbeat {
        spool_depth: 1,
        in_flight: 2,
        configuration_version: 7,
        draining: true,
        set_aside: 3,
        sent_at: Some(Timestamp::from_micros(-7)),
    };
    beats.send(beat).unwrap();
    assert_eq!(received.recv().await, Some(Received::Heartbeat(beat)));
    drop(attachment);
    assert_eq!(received.recv().await, Some(Received::Detached));
}

#[tokio::test]
async fn stored_objects_are_asked_about() {
    let link = set_up().await.link;
    let owns = async |first, objects: &[&str]| {
        let objects: Vec<String> = objects.iter().map(|object| (*object).to_owned()).collect();
        link.owns(SecretHash::from_bytes([first; 32]), &objects).await
    };
    let [own, unknown] = owns(0, &["resp_a", "resp_b"]).await.unwrap().try_into().unwrap();
    let unfinished = own.unfinished.unwrap();
    assert_eq!(
        (own.ownership, unfinished.id.as_uuid(), unfinished.provider.as_str()),
        (Ownership::Own, uuid::Uuid::from_u128(7), "openai")
    );
    assert_eq!(unknown, Ownership::Unknown.into());
    assert_eq!(owns(1, &["resp_a"]).await, Ok(vec![Ownership::Anothers.into()]));
    // Longer than all ids that a request may name: refused before it is read.
    assert!(owns(0, &[&"x".repeat(65 << 10)]).await.is_err());
}

#[tokio::test]
async fn answers_and_refusals_arrive_unchanged() {
    let Setup { link, url, .. } = set_up().await;
    let lease = Duration::from_secs(60);
    let ask = async |first| link.authorize(SecretHash::from_bytes([first; 32])).await;
    assert_eq!(
        ask(0).await,
        Ok(Authorization::Known {
            may_send_requests: true,
            holder: lychgate_types::Holder::from_number(7),
            lease
        })
    );
    assert_eq!(
        ask(1).await,
        Ok(Authorization::Denied {
            reason: DenyReason::Suspended,
            lease
        })
    );
    assert_eq!(
        ask(2).await,
        Err(LinkError::Internal {
            request_id: "r-1".into()
        })
    );

    let stranger = linked(&[&url], &GatewayKeySecret::generate(&Ambient::system()));
    let refused = LinkError::refused(KeyRefusal::Unknown);
    assert_eq!(
        stranger.authorize(SecretHash::from_bytes([0; 32])).await,
        Err(refused.clone())
    );
    let (_beats, heartbeats) = watch::channel(Heartbeat::default());
    assert_eq!(stranger.attach(hello(), heartbeats).await.map(|_| ()), Err(refused));
}

#[tokio::test]
async fn records_arrive_whole_and_a_large_batch_in_several_calls() {
    let Setup { link, mut received, .. } = set_up().await;
    let replica = Ambient::system().new_id();
    // What does not shrink.
    let mut noise = vec![0; 3 << 20];
    Ambient::system().fill(&mut noise);
    let large: String = noise.iter().map(|byte| char::from(byte & 0x7f)).collect();
    let records: Vec<_> = [record("m-1", &large), record("poison", &large), record("m-2", "short")]
        .into_iter()
        .map(EncodedRecord::encode)
        .collect();
    let receipt = link.deliver(replica, records.clone()).await.unwrap();
    assert_eq!(
        receipt.rejected,
        [Rejected {
            id: records[1].id(),
            reason: "no such token".into()
        }]
    );
    assert_eq!(
        received.recv().await,
        Some(Received::Records(replica, records[..1].to_vec()))
    );
    assert_eq!(
        received.recv().await,
        Some(Received::Records(replica, records[1..].to_vec()))
    );
}

#[test]
fn what_is_encoded_is_decoded_unchanged() {
    let record = record("m-1", "hello");
    let encoded = EncodedRecord::encode(record.clone());
    let read = EncodedRecord::from_bytes(encoded.bytes().clone()).unwrap();
    assert_eq!((read.id(), read.decode()), (record.id, Ok(record)));
    let configuration = configuration();
    assert_eq!(Configuration::decode(&configuration.encode()), Ok(configuration));
    assert!(Configuration::decode(b"\xff").is_err());
}

#[tokio::test]
async fn a_control_plane_that_does_not_listen_is_unreachable_and_the_error_says_why() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    let link = linked(&[&url], &GatewayKeySecret::generate(&Ambient::system()));
    let error = link.authorize(SecretHash::from_bytes([0; 32])).await.unwrap_err();
    assert!(
        matches!(&error, LinkError::Unreachable(why) if why.contains("onnection refused")),
        "{error:?}"
    );
}

#[test]
fn control_urls_that_cannot_work_are_refused_with_a_reason() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let _entered = runtime.enter();
    let key = GatewayKeySecret::generate(&Ambient::system());
    for bad in [
        "",
        "localhost:8080",
        "ftp://h",
        "http://",
        "http://h/api",
        "http://h?x=1",
        "http://user:secret-word@h",
    ] {
        let error = GrpcLink::new(&["http://h", bad], watch::channel(key.clone()).1, Ambient::system())
            .unwrap_err()
            .to_string();
        assert!(
            error.contains("can't be used") && !error.contains("secret-word"),
            "{bad}: {error}"
        );
    }
}
