//! The registry of replicas.

use crate::people::{gateway_key, grant, people, plane, record, replica};
use lychgate_authz::Resource;
use lychgate_store::{
    AuditFilter, AuditInsert, AuditOutcome, Change, Changes, KeyRef, LOST_AFTER, NameOrId, Page, Replica,
    ReplicaAttachment, ReplicaBeat, ReplicaFilter, ReplicaInfo, ReplicaLoad, ReplicaStamp, ReplicaState, StoreError,
};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::TestDb;
use lychgate_types::secret::SecretHash;
use lychgate_types::{GatewayKeyId, ReplicaId};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

/// The hash of the process secret of all replicas here, where nothing else is said.
const PROCESS: SecretHash = SecretHash::from_bytes([9; 32]);

pub(crate) fn attachment(db: &TestDb, replica_id: ReplicaId, key: GatewayKeyId) -> ReplicaAttachment {
    ReplicaAttachment {
        id: db.ambient().new_id(),
        replica_id,
        process: Some(PROCESS),
        gateway_key: KeyRef {
            id: key,
            name: "edge".into(),
        },
        info: ReplicaInfo {
            name: "host-1".into(),
            version: "1.2.3".into(),
            address: "host-1:4001".into(),
            labels: BTreeMap::from([("region".into(), "eu".into())]),
        },
        control_plane_id: db.ambient().new_id(),
        connected_at: db.ambient().now(),
    }
}

fn entry(action: &str) -> AuditInsert {
    AuditInsert {
        action: action.into(),
        resource_type: Resource::AiGatewayKey,
        target_id: None,
        target_name: None,
        target_prefix: None,
        outcome: AuditOutcome::Ok,
        detail: None,
    }
}

pub(crate) async fn attach(db: &TestDb, attachment: &ReplicaAttachment) -> bool {
    try_attach(db, attachment).await.unwrap()
}

/// `None`: the id is another's.
async fn try_attach(db: &TestDb, attachment: &ReplicaAttachment) -> Option<bool> {
    db.store()
        .replica_attach(&plane(), attachment, &entry("attach"))
        .await
        .unwrap()
}

fn beat(db: &TestDb, attachment: &ReplicaAttachment, spool_depth: u64) -> ReplicaBeat {
    ReplicaBeat {
        attachment: attachment.clone(),
        heard_at: db.ambient().now(),
        load: ReplicaLoad {
            spool_depth,
            set_aside: 1,
            in_flight: 2,
            configuration_version: 3,
            clock_skew_ms: Some(-45_000),
        },
    }
}

async fn hear(db: &TestDb, attachment: &ReplicaAttachment, spool_depth: u64) {
    let beats = [beat(db, attachment, spool_depth)];
    db.store().replica_heartbeat(&plane(), &beats).await.unwrap();
}

async fn detach(db: &TestDb, attachment: &ReplicaAttachment, last: Option<u64>, state: Option<ReplicaState>) {
    let last = last.map(|depth| beat(db, attachment, depth));
    db.store()
        .replica_detach(&plane(), attachment, last, state, &entry("detach"))
        .await
        .unwrap();
}

async fn get(db: &TestDb, id: ReplicaId) -> Replica {
    db.store().replica_get(&plane(), id).await.unwrap()
}

/// State, spool depth, and by which key.
async fn brief(db: &TestDb, id: ReplicaId) -> (ReplicaState, u64, GatewayKeyId) {
    let found = get(db, id).await;
    (found.state, found.load.spool_depth, found.gateway_key.id)
}

async fn live(db: &TestDb, key: GatewayKeyId) -> u64 {
    let keys = [key, db.ambient().new_id()];
    let counts = db.store().ai_gateway_key_live_replicas(&plane(), &keys).await.unwrap();
    assert!(counts.len() <= 1);
    counts.get(&key).copied().unwrap_or(0)
}

both_engines! {
    async fn what_replicas_report_is_listed(db: TestDb) {
        let key = db.ambient().new_id();
        let here = attachment(db, db.ambient().new_id(), key);
        assert!(!attach(db, &here).await);
        let start = here.connected_at;
        db.clock().advance(Duration::from_secs(5));
        hear(db, &here, 7).await;
        let found = get(db, here.replica_id).await;
        assert_eq!(found, Replica {
            id: here.replica_id,
            created_at: start,
            gateway_key: here.gateway_key.clone(),
            info: here.info.clone(),
            control_plane_id: here.control_plane_id,
            connected_at: start,
            last_heartbeat_at: db.ambient().now(),
            load: ReplicaLoad { spool_depth: 7, set_aside: 1, in_flight: 2, configuration_version: 3, clock_skew_ms: Some(-45_000) },
            state: ReplicaState::Attached,
        });
        assert_eq!(live(db, key).await, 1);
        assert_eq!(db.store().ai_gateway_key_replicas(&plane(), key).await.unwrap(), [found]);
    }

    async fn who_goes_says_so_or_is_lost(db: TestDb) {
        let key = db.ambient().new_id();
        let [good, broken, silent, moved] = [(); 4].map(|()| attachment(db, db.ambient().new_id(), key));
        for one in [&good, &broken, &silent, &moved] {
            attach(db, one).await;
            hear(db, one, 4).await;
        }
        detach(db, &good, Some(0), Some(ReplicaState::Detached)).await;
        detach(db, &broken, None, Some(ReplicaState::Lost)).await;
        detach(db, &moved, Some(5), None).await;
        assert_eq!(brief(db, good.replica_id).await, (ReplicaState::Detached, 0, key));
        assert_eq!(brief(db, broken.replica_id).await, (ReplicaState::Lost, 4, key));
        assert_eq!(brief(db, moved.replica_id).await, (ReplicaState::Attached, 5, key), "it may be on its way to another control plane");
        assert_eq!(live(db, key).await, 2);
        // What was on its way when the attachment ended brings nobody back.
        hear(db, &good, 1).await;
        assert_eq!(brief(db, good.replica_id).await.0, ReplicaState::Detached);

        db.clock().advance(LOST_AFTER);
        assert_eq!(brief(db, silent.replica_id).await.0, ReplicaState::Attached);
        db.clock().advance(Duration::from_micros(1));
        for gone in [&silent, &moved] {
            assert_eq!(brief(db, gone.replica_id).await.0, ReplicaState::Lost);
        }
        assert_eq!(live(db, key).await, 0);
        hear(db, &silent, 9).await;
        assert_eq!(brief(db, silent.replica_id).await, (ReplicaState::Attached, 9, key), "heard again");

        let of_key = db.store().ai_gateway_key_replicas(&plane(), key).await.unwrap();
        let of_key: BTreeSet<_> = of_key.iter().map(|replica| replica.id).collect();
        assert_eq!(of_key, [&broken, &silent, &moved].map(|one| one.replica_id).into());
    }

    async fn the_newest_attachment_of_a_replica_counts(db: TestDb) {
        let key = db.ambient().new_id();
        let old = attachment(db, db.ambient().new_id(), key);
        attach(db, &old).await;
        hear(db, &old, 3).await;
        db.clock().advance(Duration::from_secs(1));
        let new = attachment(db, old.replica_id, key);
        attach(db, &new).await;
        assert_eq!(brief(db, new.replica_id).await.1, 3, "what it last said stands until it says something new");
        hear(db, &old, 8).await;
        detach(db, &old, Some(8), Some(ReplicaState::Lost)).await;
        let found = get(db, new.replica_id).await;
        assert_eq!((found.state, found.load.spool_depth), (ReplicaState::Attached, 3));
        assert_eq!((found.created_at, found.connected_at, found.control_plane_id), (old.connected_at, new.connected_at, new.control_plane_id));
        // Both in one statement, as when a broken connection is not known to be broken.
        let beats = [beat(db, &old, 1), beat(db, &new, 2)];
        db.store().replica_heartbeat(&plane(), &beats).await.unwrap();
        assert_eq!(brief(db, new.replica_id).await.1, 2);
    }

    async fn an_id_belongs_to_whoever_shows_its_process_secret(db: TestDb) {
        let people = people(db).await;
        let (mine, theirs) = (db.ambient().new_id(), db.ambient().new_id());
        let here = attachment(db, db.ambient().new_id(), mine);
        attach(db, &here).await;
        hear(db, &here, 4).await;
        let attached = async || {
            let all = db.store().audit_list(&people.owner.caller, &AuditFilter::default(), Page::first(200)).await.unwrap().items;
            all.iter().filter(|entry| entry.action == "attach").count()
        };
        let thief = |key, process| ReplicaAttachment { process, ..attachment(db, here.replica_id, key) };
        let others = [(mine, None), (mine, Some(SecretHash::from_bytes([1; 32]))), (theirs, None), (theirs, Some(SecretHash::from_bytes([1; 32])))];
        for step in [Duration::from_secs(1), LOST_AFTER] {
            db.clock().advance(step);
            for (key, process) in others {
                assert_eq!(try_attach(db, &thief(key, process)).await, None);
                hear(db, &thief(key, process), 9).await;
            }
            assert_eq!((brief(db, here.replica_id).await.1, brief(db, here.replica_id).await.2), (4, mine));
        }
        assert_eq!(attached().await, 1, "whoever is refused has not attached");

        grant(db, &replica(mine), &people.member).await;
        grant(db, &replica(theirs), &people.member).await;
        let owns = [(mine, Some(PROCESS)), (theirs, Some(PROCESS))].map(|shown| (shown, Some(here.replica_id)));
        for ((key, process), stamped) in owns.into_iter().chain(others.map(|shown| (shown, None))) {
            let stamp = ReplicaStamp { replica_id: Some(here.replica_id), process };
            let record = Arc::new(record(db, people.member.hash));
            db.store().interception_ingest(&replica(key), stamp, std::slice::from_ref(&record)).await.unwrap();
            let found = db.store().interception_get(&people.owner.caller, record.id).await.unwrap();
            assert_eq!((found.summary.replica_id, found.summary.gateway_key_id), (stamped, Some(key)));
        }

        // One and the same process with another key: at once.
        let renewed = attachment(db, here.replica_id, theirs);
        attach(db, &renewed).await;
        hear(db, &renewed, 9).await;
        detach(db, &here, None, Some(ReplicaState::Detached)).await;
        assert_eq!(brief(db, here.replica_id).await, (ReplicaState::Attached, 9, theirs));
    }

    async fn an_id_of_a_version_without_process_secrets_belongs_to_its_key_while_it_is_attached(db: TestDb) {
        let (mine, theirs) = (db.ambient().new_id(), db.ambient().new_id());
        let old = |id, key| ReplicaAttachment { process: None, ..attachment(db, id, key) };
        let here = old(db.ambient().new_id(), mine);
        attach(db, &here).await;
        assert_eq!(try_attach(db, &old(here.replica_id, theirs)).await, None);
        assert_eq!(try_attach(db, &attachment(db, here.replica_id, mine)).await, None, "it is a process of another version");
        assert_eq!(try_attach(db, &old(here.replica_id, mine)).await, Some(false));
        db.clock().advance(LOST_AFTER + Duration::from_secs(1));
        assert_eq!(try_attach(db, &old(here.replica_id, theirs)).await, Some(false));
    }

    async fn a_drain_is_remembered(db: TestDb) {
        let people = people(db).await;
        let here = attachment(db, db.ambient().new_id(), db.ambient().new_id());
        attach(db, &here).await;
        let before = db.store().changes_last(&plane()).await.unwrap();
        for _ in 0..2 {
            let drained = db.store().replica_drain(&people.owner.caller, here.replica_id).await.unwrap();
            assert_eq!(drained.state, ReplicaState::Draining);
        }
        let Changes::Since { changes, .. } = db.store().changes_since(&plane(), before, 9).await.unwrap() else { panic!() };
        assert_eq!(changes, [Change::ReplicaDrain(here.replica_id); 2]);
        hear(db, &here, 1).await;
        assert_eq!(brief(db, here.replica_id).await.0, ReplicaState::Draining);
        assert!(attach(db, &attachment(db, here.replica_id, here.gateway_key.id)).await, "it is told again where it attaches next");
        assert_eq!(live(db, here.gateway_key.id).await, 1, "it is still there");
        let nobody = db.store().replica_drain(&people.owner.caller, db.ambient().new_id()).await;
        assert!(matches!(nobody, Err(StoreError::NotFound)));
    }

    async fn the_list_goes_page_by_page_and_is_narrowed(db: TestDb) {
        let keys: [GatewayKeyId; 2] = [db.ambient().new_id(), db.ambient().new_id()];
        let mut all = Vec::new();
        for n in 0..7 {
            let here = attachment(db, db.ambient().new_id(), keys[n % 2]);
            attach(db, &here).await;
            all.push(here);
            db.clock().advance(Duration::from_secs(1));
        }
        detach(db, &all[0], None, Some(ReplicaState::Detached)).await;
        let ids = async |filter: &ReplicaFilter| {
            let (mut ids, mut page) = (Vec::new(), Page::first(3));
            loop {
                let part = db.store().replica_list(&plane(), filter, page).await.unwrap();
                ids.extend(part.items.iter().map(|replica| replica.id));
                match part.next {
                    Some(next) => page.after = Some(next),
                    None => return ids,
                }
            }
        };
        let wanted = |which: &[usize]| which.iter().map(|n| all[*n].replica_id).collect::<Vec<_>>();
        let filter = ReplicaFilter::default();
        assert_eq!(ids(&filter).await, wanted(&[0, 1, 2, 3, 4, 5, 6]));
        let of_first = ReplicaFilter { gateway_key: Some(keys[0].into()), ..filter };
        assert_eq!(ids(&of_first).await, wanted(&[0, 2, 4, 6]));
        for nobody in [NameOrId::from("nobody"), db.ambient().new_id::<GatewayKeyId>().into()] {
            let filter = ReplicaFilter { gateway_key: Some(nobody), ..ReplicaFilter::default() };
            let refused = db.store().replica_list(&plane(), &filter, Page::first(9)).await;
            assert!(matches!(refused, Err(StoreError::Unmatched(_))), "{refused:?}");
        }
        let state = |state| ReplicaFilter { state: Some(state), ..of_first.clone() };
        assert_eq!(ids(&state(ReplicaState::Attached)).await, wanted(&[2, 4, 6]));
        assert_eq!(ids(&state(ReplicaState::Detached)).await, wanted(&[0]));
        assert_eq!(ids(&state(ReplicaState::Lost)).await, []);
        let counted = async || db.store().replica_count(&plane()).await.unwrap().into_iter().map(|(s, n)| (s.as_str(), n)).collect::<BTreeMap<_, _>>();
        assert_eq!(counted().await, BTreeMap::from([("attached", 6), ("detached", 1)]));
        db.clock().advance(LOST_AFTER + Duration::from_secs(1));
        assert_eq!(ids(&state(ReplicaState::Lost)).await, wanted(&[2, 4, 6]));
        assert_eq!(counted().await, BTreeMap::from([("lost", 6), ("detached", 1)]));
    }

    async fn replicas_without_a_heartbeat_for_a_week_are_forgotten(db: TestDb) {
        let key = db.ambient().new_id();
        let (gone, here) = (attachment(db, db.ambient().new_id(), key), attachment(db, db.ambient().new_id(), key));
        attach(db, &gone).await;
        attach(db, &here).await;
        db.clock().advance(Duration::from_secs(7 * 24 * 3600 + 1));
        hear(db, &here, 0).await;
        assert_eq!(db.store().housekeep(&plane()).await.unwrap().unwrap().replicas, 1);
        assert!(matches!(db.store().replica_get(&plane(), gone.replica_id).await, Err(StoreError::NotFound)));
        assert_eq!(brief(db, here.replica_id).await.0, ReplicaState::Attached);
    }

    async fn hundreds_of_heartbeats_are_one_statement_and_long_texts_are_cut(db: TestDb) {
        let key = db.ambient().new_id();
        let mut beats = Vec::new();
        for n in 0..400 {
            let mut here = attachment(db, db.ambient().new_id(), key);
            here.info.name = "é".repeat(300);
            here.info.labels = (0..100).map(|n| (format!("l{n:03}\0"), "\0".repeat(300))).collect();
            beats.push(beat(db, &here, n));
        }
        db.store().replica_heartbeat(&plane(), &beats).await.unwrap();
        assert_eq!(live(db, key).await, 400);
        let found = get(db, beats[399].attachment.replica_id).await;
        assert_eq!((found.info.name, found.load.spool_depth), ("é".repeat(255), 399));
        assert_eq!((found.info.labels.len(), &found.info.labels["l000\u{fffd}"]), (64, &"\u{fffd}".repeat(255)));
        assert_eq!(db.store().ai_gateway_key_replicas(&plane(), key).await.unwrap().len(), 200);
    }

    async fn a_replica_goes_on_being_listed_when_its_key_is_deleted(db: TestDb) {
        let people = people(db).await;
        let (key, _) = gateway_key(db, "edge");
        let id = key.id;
        db.store().ai_gateway_key_insert(&people.owner.caller, key, None).await.unwrap();
        let here = attachment(db, db.ambient().new_id(), id);
        attach(db, &here).await;
        db.store().ai_gateway_key_delete(&people.owner.caller, id).await.unwrap();
        let listed = db.store().replica_list(&people.auditor.caller, &ReplicaFilter::default(), Page::first(9)).await.unwrap();
        assert_eq!(listed.items[0].gateway_key.name, "edge");
    }
}
