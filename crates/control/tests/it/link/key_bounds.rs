//! The restrictions of a gateway key, as its replicas see them: disabled, expired, networks, providers.

use crate::bench::{Attached, Bench, hash, hello};
use lychgate_link::{CloseReason, Configuration, ControlLink, Down, LinkError, Message};
use lychgate_store::GatewayKeyPatch;
use lychgate_testkit::both_engines;
use lychgate_testkit::wait::eventually;
use lychgate_types::KeyRefusal;
use lychgate_types::secret::GatewayKeySecret;
use serde_json::{Value, json};
use std::time::Duration;

const EDGE: &str = "/ai-gateway/keys/edge";

async fn edge(bench: &Bench, body: Value) -> GatewayKeySecret {
    let mut body = body;
    body["name"] = json!("edge");
    let made = bench
        .post(&bench.owner, "/ai-gateway/keys", body)
        .await
        .expect(201)
        .value();
    GatewayKeySecret::parse(made["key"].as_str().unwrap()).unwrap()
}

async fn update(bench: &Bench, patch: Value) {
    bench.patch(&bench.owner, EDGE, patch).await.expect(200);
}

async fn closed(replica: &mut Attached) -> CloseReason {
    let Some(Ok(Down {
        message: Message::Close(reason),
        ..
    })) = replica.next().await
    else {
        panic!("not closed")
    };
    reason
}

fn names(configuration: &Configuration) -> Vec<&str> {
    configuration
        .providers
        .iter()
        .map(|provider| provider.name.as_str())
        .collect()
}

/// Why each of the three calls is refused with this secret, if it is.
async fn refusals(bench: &Bench, secret: &GatewayKeySecret) -> [Option<KeyRefusal>; 3] {
    let link = bench.link(secret);
    let reason = |error: Option<LinkError>| match error {
        None => None,
        Some(LinkError::Refused(refusal)) => Some(refusal.reason),
        Some(other) => panic!("{other}"),
    };
    [
        reason(link.authorize(hash(&bench.owner)).await.err()),
        reason(link.deliver(bench.ambient.new_id(), vec![]).await.err()),
        reason(Attached::open(&link, hello(bench.ambient.new_id())).await.err()),
    ]
}

const fn all(reason: KeyRefusal) -> [Option<KeyRefusal>; 3] {
    [Some(reason); 3]
}

const NONE: [Option<KeyRefusal>; 3] = [None; 3];

both_engines! {
    async fn a_disabled_key_is_refused_before_the_answer_and_accepted_again_when_enabled(db: TestDb) {
        let bench = Bench::start(db).await;
        let secret = edge(&bench, json!({})).await;
        let mut replica = bench.attach(&secret).await;
        update(&bench, json!({"disabled": true})).await;
        assert_eq!(refusals(&bench, &secret).await, all(KeyRefusal::Disabled));
        assert_eq!(closed(&mut replica).await, CloseReason::Refused(KeyRefusal::Disabled));
        update(&bench, json!({"disabled": false})).await;
        assert_eq!(refusals(&bench, &secret).await, NONE);
    }

    /// Another control plane on the same database disables the key: the background work notices it here.
    async fn a_key_disabled_elsewhere_is_noticed(db: TestDb) {
        let bench = Bench::start(db).await;
        let secret = edge(&bench, json!({})).await;
        let mut replica = bench.attach(&secret).await;
        let control_plane = lychgate_authz::Caller::control_plane();
        let id = db.store().ai_gateway_key_find(&control_plane, "edge").await.unwrap().id;
        let set = async |disabled| {
            let patch = GatewayKeyPatch { disabled: Some(disabled), ..GatewayKeyPatch::default() };
            db.store().ai_gateway_key_update(&control_plane, id, patch).await.unwrap();
        };
        set(true).await;
        assert_eq!(closed(&mut replica).await, CloseReason::Refused(KeyRefusal::Disabled));
        set(false).await;
        eventually("the key is accepted again", || async { (refusals(&bench, &secret).await == NONE).then_some(()) }).await;
    }

    async fn an_expired_key_is_accepted_again_when_extended(db: TestDb) {
        let bench = Bench::start(db).await;
        let secret = edge(&bench, json!({"expires_at": "2026-11-24T09:31:00Z"})).await;
        let mut replica = bench.attach(&secret).await;
        db.clock().advance(Duration::from_secs(60));
        assert_eq!(closed(&mut replica).await, CloseReason::Refused(KeyRefusal::Expired));
        assert_eq!(refusals(&bench, &secret).await, all(KeyRefusal::Expired));
        update(&bench, json!({"expires_at": null})).await;
        assert_eq!(refusals(&bench, &secret).await, NONE);
    }

    async fn a_key_is_accepted_from_its_networks_only(db: TestDb) {
        let bench = Bench::start(db).await;
        let secret = edge(&bench, json!({"allowed_cidrs": ["10.0.0.0/8", "2001:db8::/32"]})).await;
        assert_eq!(refusals(&bench, &secret).await, all(KeyRefusal::SourceNotAllowed));
        update(&bench, json!({"allowed_cidrs": ["10.0.0.0/8", "127.0.0.0/8"]})).await;
        assert_eq!(refusals(&bench, &secret).await, NONE);
        let mut replica = bench.attach(&secret).await;
        update(&bench, json!({"allowed_cidrs": ["127.0.0.0/31"]})).await;
        bench.link(&secret).authorize(hash(&bench.owner)).await.unwrap();
        update(&bench, json!({"allowed_cidrs": ["127.0.0.2"]})).await;
        assert_eq!(refusals(&bench, &secret).await, all(KeyRefusal::SourceNotAllowed));
        assert_eq!(closed(&mut replica).await, CloseReason::Refused(KeyRefusal::SourceNotAllowed));
        update(&bench, json!({"allowed_cidrs": null})).await;
        assert_eq!(refusals(&bench, &secret).await, NONE);
        let entries = eventually("the refusals in the audit log", || async {
            let entries = bench.audit("action=refuse").await;
            let counted = entries.iter().filter(|entry| entry["detail"].as_str().unwrap().starts_with("source_not_allowed from 127.0.0.1"));
            (counted.count() > 0).then_some(entries)
        })
        .await;
        assert!(entries.iter().all(|entry| entry["target_prefix"] == secret.prefix()), "{entries:?}");
    }

    async fn replicas_receive_only_what_their_key_serves(db: TestDb) {
        let bench = Bench::start(db).await;
        let mut ids = Vec::new();
        for (name, provider_type) in [("claude", "anthropic"), ("haiku", "anthropic"), ("gpt", "openai")] {
            ids.push(bench.provider(name, provider_type).await);
            db.clock().advance(Duration::from_secs(1));
        }
        let [claude, haiku, gpt] = &ids[..] else { unreachable!() };
        for (name, provider, targets, fallbacks) in [
            ("within", "claude", json!([{"provider": "claude", "model": "m"}]), json!([{"provider": "haiku"}])),
            ("partly", "claude", json!([{"provider": "haiku"}, {"provider": "claude", "model": "n"}]), json!([])),
            ("away", "claude", json!([{"provider": "haiku"}]), json!([{"provider": "claude"}])),
            ("other", "haiku", json!([{"provider": "claude"}]), json!([])),
        ] {
            let route = json!({"name": name, "provider": provider, "model": name, "targets": targets, "fallbacks": fallbacks});
            bench.post(&bench.owner, "/ai-gateway/routes", route).await.expect(201);
            db.clock().advance(Duration::from_secs(1));
        }
        let secret = edge(&bench, json!({"providers": ["claude", "gpt"]})).await;
        let (_, free) = bench.key("free").await;
        let (mut scoped, mut whole) = (bench.attach(&secret).await, bench.attach(&free).await);
        assert_eq!((&scoped.providers[..], &whole.providers[..]), (&["claude".to_owned(), "gpt".into()][..], &["claude".to_owned(), "haiku".into(), "gpt".into()][..]));

        // Live, by a change of the providers that comes at the same moment to both.
        bench.patch(&bench.owner, "/ai-gateway/providers/haiku", json!({"keys": [{"key": "sk-canary-of-haiku"}]})).await.expect(200);
        let (of_scoped, of_whole) = (scoped.configuration().await, whole.configuration().await);
        assert_eq!(of_scoped.version, of_whole.version);
        assert_eq!((names(&of_scoped), of_whole.routes.len()), (vec!["claude", "gpt"], 4));
        let models: Vec<_> = of_scoped.routes.iter().map(|route| (&*route.model, route.targets.len(), route.fallbacks.len())).collect();
        assert_eq!(models, [("within", 1, 0), ("partly", 1, 0)]);
        for route in &of_scoped.routes {
            assert!(route.targets.iter().all(|target| target.provider.to_string() == *claude));
        }

        // Live, by a change of the key.
        update(&bench, json!({"providers": [haiku]})).await;
        assert_eq!(names(&*scoped.configuration().await), ["haiku"]);
        assert_eq!(names(&*whole.configuration().await).len(), 3);
        update(&bench, json!({"providers": null})).await;
        assert_eq!(scoped.configuration().await.routes.len(), 4);
        update(&bench, json!({"providers": [gpt]})).await;
        assert_eq!(names(&*scoped.configuration().await), ["gpt"]);
        bench.delete(&bench.owner, "/ai-gateway/providers/gpt").await.expect(204);
        assert!(names(&*scoped.configuration().await).is_empty(), "it does not fall back to serving all");
    }
}
