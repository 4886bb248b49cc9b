//! Which gateway keys are accepted, and what a flood of others costs.

use crate::bench::{Bench, hash, problem, text};
use futures_util::future::join_all;
use lychgate_link::{ControlLink, LinkError};
use lychgate_testkit::both_engines;
use lychgate_testkit::wait::eventually;
use lychgate_types::KeyRefusal;
use lychgate_types::secret::GatewayKeySecret;

async fn refusal(bench: &Bench, key: &GatewayKeySecret) -> KeyRefusal {
    match bench.link(key).authorize(hash(&bench.owner)).await {
        Err(LinkError::Refused(refusal)) => refusal.reason,
        other => panic!("{other:?}"),
    }
}

both_engines! {
    async fn a_flood_of_bad_keys_shuts_nobody_out_and_is_told_in_aggregate(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, in_use) = bench.key("in-use").await;
        let _attached = bench.attach(&in_use).await;
        let unknown = GatewayKeySecret::generate(&bench.ambient);
        let flood = async {
            let refusals = join_all((0..100).map(|_| refusal(&bench, &unknown))).await;
            assert!(refusals.iter().all(|refusal| *refusal == KeyRefusal::Unknown), "{refusals:?}");
        };
        let good = async {
            for n in 0..5 {
                let (_, new) = bench.key(&format!("good-{n}")).await;
                bench.link(&new).authorize(hash(&bench.owner)).await.expect("a new key is not shut out by its neighbours");
                bench.link(&in_use).authorize(hash(&bench.owner)).await.expect("nor is one in use");
            }
        };
        tokio::join!(flood, good);
        // One that has just been started knows the keys of its deployment.
        let restarted = bench.join(db).await;
        let flood = async { join_all((0..100).map(|_| refusal(&restarted, &unknown))).await };
        let good = async { restarted.link(&in_use).authorize(hash(&bench.owner)).await.expect("a known key") };
        tokio::join!(flood, good);

        let entries = eventually("the refusals in the audit log", || async {
            let entries = bench.audit("action=refuse").await;
            let count = |reason: &str| entries.iter().filter_map(|entry| {
                let detail = text(&entry["detail"]);
                let rest = detail.strip_prefix(&format!("{reason} from 127.0.0.1: "))?.to_owned();
                rest.split(' ').next()?.parse::<u64>().ok()
            }).sum::<u64>();
            (count("key_unknown") == 200).then_some(entries)
        })
        .await;
        assert!(entries.len() <= 10, "in aggregate: {entries:?}");
        for entry in &entries {
            assert_eq!((text(&entry["resource_type"]), text(&entry["outcome"])), ("ai_gateway_key".to_owned(), "denied".to_owned()));
            assert!(!entry.to_string().contains(unknown.expose()));
        }
        let of_unknown: Vec<_> = entries.iter().filter(|entry| text(&entry["detail"]).starts_with("key_unknown")).collect();
        assert!(of_unknown.iter().all(|entry| entry["target_prefix"] == unknown.prefix()));
    }

    /// Few calls of a connection wait for a look-up of their keys; once its key is in use, a connection has all of its streams.
    async fn a_connection_without_a_good_key_has_few_streams(db: TestDb) {
        const CALLS: usize = 40;
        const FEW: usize = 16;
        let bench = Bench::start(db).await;
        let unknown = GatewayKeySecret::generate(&bench.ambient);
        // Makes the control plane read its keys, so that the next who ask wait for a while.
        assert_eq!(refusal(&bench, &unknown).await, KeyRefusal::Unknown);
        let link = bench.link(&unknown);
        let other = bench.link(&unknown);
        let refused = async |link: &dyn ControlLink, calls: usize| -> Vec<KeyRefusal> {
            let answers = join_all((0..calls).map(|_| link.authorize(hash(&bench.owner)))).await;
            answers.into_iter().map(|answer| answer.unwrap_err().refusal().unwrap()).collect()
        };
        let (many, few) = tokio::join!(refused(&link, CALLS), refused(&other, FEW));
        let count = |reason| many.iter().filter(|refusal| **refusal == reason).count();
        assert_eq!((count(KeyRefusal::Unknown), count(KeyRefusal::TooManyAttempts)), (FEW, CALLS - FEW));
        assert!(few.iter().all(|refusal| *refusal == KeyRefusal::Unknown), "{few:?}");

        // Of a known key, all calls count for one, also of one that is not in use yet.
        let (_, good) = bench.key("good").await;
        let restarted = bench.join(db).await;
        let link = restarted.link(&good);
        for answer in join_all((0..200).map(|_| link.authorize(hash(&bench.owner)))).await {
            answer.unwrap();
        }
    }

    /// A replica holds one secret; with it, nothing can be read over the API, and the link has no call that reads records.
    async fn a_replica_reads_nothing(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        for path in ["/users", "/tokens", "/ai-gateway/keys", "/ai-gateway/providers", "/ai-gateway/interceptions", "/audit-entries"] {
            problem(&bench.get(key.expose(), path).await, 401, "token_malformed");
        }
    }
}
