//! Taking records in.

use crate::people::{gateway_key, grant, people, plane, provider, record, replica};
use crate::replicas::{attach, attachment};
use lychgate_authz::{Caller, Denial};
use lychgate_store::{DatabaseUrl, InterceptionFilter, Page, ReplicaStamp, Store, StoreError};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::TestDb;
use lychgate_types::interception::{
    InterceptionRecord, ModelThought, Outcome, Prompt, ThoughtSource, TokenUsage, ToolUsage,
};
use lychgate_types::secret::SecretHash;
use lychgate_types::{Content, GatewayKeyId, KeyTag, Timestamp};
use sqlx::ConnectOptions;
use sqlx::postgres::PgConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

fn full(db: &TestDb, hash: SecretHash) -> InterceptionRecord {
    let mut record = record(db, hash);
    let response = || "msg_1".to_owned();
    record.token_usages = vec![TokenUsage {
        provider_response_id: response(),
        input_tokens: 1,
        output_tokens: 2,
        cache_read_input_tokens: 3,
        cache_write_input_tokens: 4,
        cache_write_1h_input_tokens: 5,
        reasoning_tokens: 6,
        estimated: true,
        extra: BTreeMap::from([("audio_tokens".to_owned(), 7)]),
        attributes: BTreeMap::from([("service_tier".to_owned(), "flex".to_owned())]),
    }];
    record.prompts = vec![Prompt {
        provider_response_id: response(),
        prompt: "why?".into(),
    }];
    let tool = |id: &str| ToolUsage {
        provider_response_id: response(),
        tool_call_id: id.into(),
        tool: "Read".into(),
        input: r#"{"path":"/etc/hosts"}"#.into(),
    };
    record.tool_usages = vec![tool("toolu_b"), tool("toolu_a")];
    let thought = |text: &str| ModelThought {
        content: text.into(),
        source: ThoughtSource::Thinking,
    };
    record.model_thoughts = vec![thought("hm"), thought("ah")];
    record
}

async fn ingest(db: &TestDb, caller: &Caller, records: &[InterceptionRecord]) -> Vec<String> {
    let records: Vec<_> = records.iter().cloned().map(Arc::new).collect();
    let report = db
        .store()
        .interception_ingest(caller, ReplicaStamp::default(), &records)
        .await
        .unwrap();
    report.rejected.into_iter().map(|(_, reason)| reason).collect()
}

async fn count(db: &TestDb, caller: &Caller) -> usize {
    let (mut count, mut page) = (0, Page::first(200));
    loop {
        let part = db
            .store()
            .interception_list(caller, &InterceptionFilter::default(), page)
            .await
            .unwrap();
        count += part.items.len();
        match part.next {
            Some(next) => page.after = Some(next),
            None => return count,
        }
    }
}

both_engines! {
    async fn what_is_delivered_twice_is_on_the_books_once(db: TestDb) {
        let people = people(db).await;
        let first = full(db, people.member.hash);
        let mut changed = first.clone();
        changed.model = "another".into();
        changed.prompts.clear();
        assert_eq!(ingest(db, &plane(), &[first.clone(), first.clone()]).await, [""; 0]);
        // A process that ended when the record was in its spool, and the line that stood for it still there.
        let line = InterceptionRecord {
            outcome: Outcome::Interrupted,
            ..changed.clone()
        };
        assert_eq!(ingest(db, &plane(), &[line]).await, [""; 0]);
        let second = full(db, people.member.hash);
        let refused = ingest(db, &plane(), &[changed, second.clone()]).await;
        assert!(matches!(&refused[..], [reason] if reason.contains("this id")), "{refused:?}");
        assert_eq!(count(db, &people.owner.caller).await, 2);
        for record in [first, second] {
            let found = db.store().interception_get(&people.owner.caller, record.id).await.unwrap();
            assert_eq!(found.summary.model, record.model, "the first delivery counts");
            assert_eq!(found.token_usages, record.token_usages);
            assert_eq!(found.prompts, record.prompts);
            assert_eq!(found.tool_usages, record.tool_usages, "in their order");
            assert_eq!(found.model_thoughts, record.model_thoughts, "in their order");
        }
    }

    async fn the_same_batch_delivered_at_once_by_many_is_on_the_books_once(db: TestDb) {
        let people = people(db).await;
        let mut records: Vec<_> = (0..600).map(|_| Arc::new(full(db, people.member.hash))).collect();
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..6 {
            records.rotate_left(70);
            let (store, records) = (db.store().clone(), records.clone());
            tasks.spawn(async move { store.interception_ingest(&plane(), ReplicaStamp::default(), &records).await });
        }
        for done in tasks.join_all().await {
            assert_eq!(done.unwrap().rejected, []);
        }
        assert_eq!(count(db, &people.owner.caller).await, 600);
        for record in records.iter().step_by(20) {
            let found = db.store().interception_get(&people.owner.caller, record.id).await.unwrap();
            assert_eq!((found.token_usages.len(), found.tool_usages.len(), found.model_thoughts.len()), (1, 2, 2));
        }
    }

    async fn a_record_with_an_unknown_token_is_set_aside_and_the_others_go_on(db: TestDb) {
        let people = people(db).await;
        let (good, stray) = (full(db, people.member.hash), full(db, SecretHash::from_bytes([5; 32])));
        let records = [Arc::new(stray.clone()), Arc::new(good.clone())];
        let report = db.store().interception_ingest(&plane(), ReplicaStamp::default(), &records).await.unwrap();
        assert_eq!(report.rejected.iter().map(|(id, _)| *id).collect::<Vec<_>>(), [stray.id]);
        assert_eq!((report.new, report.known), (1, 0));
        let again = [Arc::new(good.clone()), Arc::new(good.clone()), Arc::new(stray.clone()), Arc::new(full(db, people.member.hash))];
        let again = db.store().interception_ingest(&plane(), ReplicaStamp::default(), &again).await.unwrap();
        assert_eq!((again.new, again.known, again.rejected.len()), (1, 2, 1));
        assert!(report.rejected[0].1.contains("token"));
        assert!(db.store().interception_get(&people.owner.caller, good.id).await.is_ok());
        let missing = db.store().interception_get(&people.owner.caller, stray.id).await;
        assert!(matches!(missing, Err(StoreError::NotFound)));
        assert_eq!(ingest(db, &plane(), &[]).await, [""; 0]);
    }

    async fn what_a_revoked_token_sent_is_still_accounted_for(db: TestDb) {
        let people = people(db).await;
        let record = full(db, people.member.hash);
        db.store().user_delete(&people.owner.caller, people.member.id).await.unwrap();
        assert_eq!(ingest(db, &plane(), std::slice::from_ref(&record)).await, [""; 0]);
        let found = db.store().interception_get(&people.owner.caller, record.id).await.unwrap();
        assert_eq!(found.summary.user.username, "mel");
    }

    async fn gateway_key_and_replica_are_stamped_not_believed(db: TestDb) {
        let people = people(db).await;
        let gateway_key_id = db.ambient().new_id();
        let replica = replica(gateway_key_id);
        grant(db, &replica, &people.member).await;
        let stamp = ReplicaStamp { replica_id: Some(db.ambient().new_id()), process: None };
        let record = Arc::new(full(db, people.member.hash));
        db.store().interception_ingest(&replica, stamp, std::slice::from_ref(&record)).await.unwrap();
        let found = db.store().interception_get(&people.owner.caller, record.id).await.unwrap().summary;
        assert_eq!((found.gateway_key_id, found.replica_id), (Some(gateway_key_id), stamp.replica_id));
        let by_user = db.store().interception_ingest(&people.owner.caller, stamp, &[record]).await;
        assert!(matches!(by_user, Err(StoreError::Denied(Denial::Forbidden))));
    }

    /// Whoever sees the id of another's record and delivers it first takes nothing off the record.
    async fn an_id_belongs_to_no_other_gateway_key(db: TestDb) {
        let people = people(db).await;
        let (thief, honest) = (replica(db.ambient().new_id()), replica(db.ambient().new_id()));
        grant(db, &thief, &people.owner).await;
        grant(db, &honest, &people.member).await;
        let true_one = full(db, people.member.hash);
        let mut forged = full(db, people.owner.hash);
        forged.id = true_one.id;
        forged.model = "forged".into();
        assert_eq!(ingest(db, &thief, std::slice::from_ref(&forged)).await, [""; 0]);
        for (new, known, displaced) in [(1, 0, 1), (0, 1, 0)] {
            let records = [Arc::new(true_one.clone())];
            let report = db.store().interception_ingest(&honest, ReplicaStamp::default(), &records).await.unwrap();
            assert_eq!((report.new, report.known, report.displaced.len()), (new, known, displaced));
            assert_eq!(report.rejected, []);
        }
        let filter = InterceptionFilter { user: Some("mel".into()), ..InterceptionFilter::default() };
        let found = db.store().interception_list(&people.owner.caller, &filter, Page::first(9)).await.unwrap().items;
        let [one] = &found[..] else { panic!("{found:?}") };
        assert_eq!((&one.model, one.started_at), (&true_one.model, true_one.started_at));
        let whole = db.store().interception_get(&people.owner.caller, one.id).await.unwrap();
        assert_eq!(whole.prompts, true_one.prompts);
        forged.model = "changed".into();
        assert_eq!(ingest(db, &thief, &[forged]).await.len(), 1, "nor is one's own record replaced");
    }

    /// Whoever comes first: a client that sees the id can tell the holder of another key before its replica has delivered.
    async fn an_id_that_tells_its_key_is_that_keys_alone(db: TestDb) {
        let people = people(db).await;
        let owner = &people.owner.caller;
        let made = async |name: &str, replaces: Option<GatewayKeyId>| {
            let (mut new, _) = gateway_key(db, name);
            new.replaces = replaces.map(Into::into);
            let key = db.store().ai_gateway_key_insert(owner, new, None).await.unwrap().id;
            grant(db, &replica(key), &people.member).await;
            key
        };
        let (honest, thief) = (made("honest", None).await, made("thief", None).await);
        let next = made("next", Some(honest)).await;
        let deliver = async |by: &Caller, record: &InterceptionRecord| {
            let records = [Arc::new(record.clone())];
            let report = db.store().interception_ingest(by, ReplicaStamp::default(), &records).await.unwrap();
            assert_eq!(report.rejected, []);
            let displaced = report.displaced.into_iter().map(|(told, made)| {
                assert_eq!(told, record.id);
                made
            });
            (report.new, displaced.collect::<Vec<_>>())
        };
        let of = |key: Option<GatewayKeyId>| InterceptionRecord { id: KeyTag::of(key).new_id(&db.ambient()), ..full(db, people.member.hash) };
        // That of a replica with a key, of one with the key that replaces it, and of the embedded gateway.
        for (record, by) in [(of(Some(honest)), replica(honest)), (of(Some(honest)), replica(next)), (of(None), plane())] {
            let forged = InterceptionRecord { model: "forged".into(), ..record.clone() };
            let (new, displaced) = deliver(&replica(thief), &forged).await;
            assert_eq!((new, displaced.len()), (1, 1));
            assert_eq!(KeyTag::in_id(displaced[0]), KeyTag::of(Some(thief)));
            assert_eq!(deliver(&replica(thief), &forged).await, (0, vec![]), "again");
            assert_eq!(deliver(&by, &record).await, (1, vec![]));
            assert_eq!(deliver(&by, &record).await, (0, vec![]), "again");
            let found = db.store().interception_get(owner, record.id).await.unwrap();
            assert_eq!(found.summary.model, record.model);
            assert_eq!(db.store().interception_get(owner, displaced[0]).await.unwrap().summary.model, "forged");
            // Nor is the id free under which that one is now.
            let second = InterceptionRecord { id: displaced[0], ..of(None) };
            assert_eq!(deliver(&by, &second).await.1.len(), 1);
        }
        // An id of a version without such ends is whoever's comes first.
        let old = full(db, people.member.hash);
        assert_eq!(deliver(&replica(thief), &old).await, (1, vec![]));
        // Of a deleted key, too.
        db.store().ai_gateway_key_delete(owner, honest).await.unwrap();
        let last = of(Some(honest));
        assert_eq!(deliver(&replica(thief), &last).await.1.len(), 1);
        assert_eq!(deliver(&replica(next), &last).await, (1, vec![]));
    }

    /// It has taken a key that replaces nothing: what its process made with the one before is still its own.
    async fn the_ids_that_a_process_made_with_its_earlier_key_stay_its_own(db: TestDb) {
        let people = people(db).await;
        let mut keys = Vec::new();
        for name in ["old", "new"] {
            let (new, _) = gateway_key(db, name);
            keys.push(db.store().ai_gateway_key_insert(&people.owner.caller, new, None).await.unwrap().id);
        }
        let here = attachment(db, db.ambient().new_id(), keys[0]);
        attach(db, &here).await;
        grant(db, &replica(keys[0]), &people.member).await;
        let stamp = ReplicaStamp { replica_id: Some(here.replica_id), process: here.process };
        let displaced = async |stamp: ReplicaStamp| {
            let record = InterceptionRecord { id: KeyTag::of(Some(keys[0])).new_id(&db.ambient()), ..full(db, people.member.hash) };
            let report = db.store().interception_ingest(&replica(keys[1]), stamp, &[Arc::new(record)]).await.unwrap();
            assert_eq!((report.new, report.rejected.len()), (1, 0), "{report:?}");
            report.displaced.len()
        };
        assert_eq!(displaced(stamp).await, 0, "before it has attached again");
        attach(db, &attachment(db, here.replica_id, keys[1])).await;
        attach(db, &attachment(db, here.replica_id, keys[1])).await;
        assert_eq!(displaced(stamp).await, 0);
        assert_eq!(displaced(ReplicaStamp::default()).await, 1, "of whom nobody knows that it is the same");
    }

    /// The answer to a delivery was lost; meanwhile the replica has another key, or its next process has one that replaces it.
    async fn what_is_delivered_again_with_the_next_gateway_key_is_on_the_books_once(db: TestDb) {
        let people = people(db).await;
        let made = async |name: &str, replaces: Option<&str>| {
            let (mut new, _) = gateway_key(db, name);
            new.replaces = replaces.map(Into::into);
            db.store().ai_gateway_key_insert(&people.owner.caller, new, None).await.unwrap().id
        };
        let old = made("old", None).await;
        let (other, next) = (made("other", None).await, made("next", Some("old")).await);
        let stamp = ReplicaStamp { replica_id: Some(db.ambient().new_id()), process: None };
        for key in [old, other, next] {
            grant(db, &replica(key), &people.member).await;
        }
        let deliver = async |key, stamp, record: &InterceptionRecord| {
            let records = [Arc::new(record.clone())];
            let report = db.store().interception_ingest(&replica(key), stamp, &records).await.unwrap();
            (report.new, report.known, report.displaced.len())
        };
        let record = full(db, people.member.hash);
        let line = InterceptionRecord { outcome: Outcome::Interrupted, ..record.clone() };
        let next_process = ReplicaStamp { replica_id: Some(db.ambient().new_id()), process: None };
        assert_eq!(deliver(old, stamp, &record).await, (1, 0, 0));
        assert_eq!(deliver(other, stamp, &record).await, (0, 1, 0), "the same replica");
        assert_eq!(deliver(next, next_process, &record).await, (0, 1, 0), "a key that replaces it");
        assert_eq!(deliver(next, next_process, &line).await, (0, 1, 0), "the line that stood for it");
        // It was completed since.
        let unfinished = InterceptionRecord { outcome: Outcome::Unfinished, ..record.clone() };
        assert_eq!(deliver(next, next_process, &unfinished).await, (0, 1, 0), "what it was before");
        let changed = InterceptionRecord { model: "another".into(), ..record.clone() };
        assert_eq!(deliver(next, next_process, &changed).await, (1, 0, 1), "another record");
        assert_eq!(deliver(other, next_process, &record).await, (1, 0, 1), "nobody's successor");
        assert_eq!(count(db, &people.owner.caller).await, 3);
        // The line of another request, or of another user's.
        grant(db, &replica(next), &people.auditor).await;
        for (token_hash, earlier) in [(people.member.hash, Duration::from_secs(1)), (people.auditor.hash, Duration::ZERO)] {
            let record = full(db, people.member.hash);
            assert_eq!(deliver(old, stamp, &record).await, (1, 0, 0));
            let line = InterceptionRecord { token_hash, started_at: record.started_at.minus(earlier), outcome: Outcome::Interrupted, ..record };
            assert_eq!(deliver(next, next_process, &line).await, (1, 0, 1));
        }
        assert_eq!(count(db, &people.owner.caller).await, 7);
    }

    async fn what_comes_compressed_stays_so(db: TestDb) {
        let people = people(db).await;
        let mut long = full(db, people.member.hash);
        let text = || Content::from("All of it is kept as it came. ".repeat(500)).compressed();
        (long.prompts[0].prompt, long.tool_usages[0].input, long.model_thoughts[0].content) = (text(), text(), text());
        assert!(text().held_bytes() < 500);
        assert_eq!(ingest(db, &plane(), std::slice::from_ref(&long)).await, [""; 0]);
        let found = db.store().interception_get(&people.owner.caller, long.id).await.unwrap();
        assert_eq!((found.prompts, found.tool_usages, found.model_thoughts), (long.prompts, long.tool_usages, long.model_thoughts));
    }

    async fn times_that_can_not_be_are_those_of_the_arrival(db: TestDb) {
        let people = people(db).await;
        let mut odd = full(db, people.member.hash);
        (odd.started_at, odd.ended_at) = (Timestamp::from_micros(-31_536_000_000_000), Timestamp::from_micros(253_370_764_800_000_000));
        for _ in 0..2 {
            assert_eq!(ingest(db, &plane(), std::slice::from_ref(&odd)).await, [""; 0]);
        }
        let found = db.store().interception_get(&people.owner.caller, odd.id).await.unwrap().summary;
        assert_eq!((found.ended_at, found.times_replaced), (db.ambient().now(), true));
        assert_eq!((found.received_at, found.told_times), (Some(db.ambient().now()), Some((odd.started_at, odd.ended_at))));
        let usual = full(db, people.member.hash);
        ingest(db, &plane(), std::slice::from_ref(&usual)).await;
        let found = db.store().interception_get(&people.owner.caller, usual.id).await.unwrap().summary;
        assert_eq!((found.started_at, found.times_replaced), (usual.started_at, false));
        assert_eq!((found.received_at, found.told_times), (Some(db.ambient().now()), None));
    }

    async fn a_key_delivers_only_for_the_providers_that_it_serves(db: TestDb) {
        let people = people(db).await;
        let owner = &people.owner.caller;
        let made = db.store().provider_insert(owner, provider(db, "claude", vec![])).await.unwrap();
        db.store().provider_insert(owner, provider(db, "openai", vec![])).await.unwrap();
        let (mut key, _) = gateway_key(db, "narrow");
        key.providers = Some(vec![made.id]);
        db.store().ai_gateway_key_insert(owner, key.clone(), None).await.unwrap();
        let caller = replica(key.id);
        grant(db, &caller, &people.member).await;
        let (mut served, mut other) = (full(db, people.member.hash), full(db, people.member.hash));
        (served.provider, other.provider) = ("claude".into(), "openai".into());
        let refused = ingest(db, &caller, &[served.clone(), other]).await;
        assert!(matches!(&refused[..], [reason] if reason.contains("does not serve")), "{refused:?}");
        assert_eq!(count(db, owner).await, 1);

        // What was used of a provider that is deleted meanwhile is accounted for all the same.
        db.store().provider_delete(owner, "claude").await.unwrap();
        let mut late = full(db, people.member.hash);
        late.provider = "claude".into();
        assert!(ingest(db, &caller, &[late]).await.is_empty());
        assert_eq!(count(db, owner).await, 2);
    }

    async fn nothing_a_replica_sends_makes_a_batch_fail(db: TestDb) {
        let people = people(db).await;
        let nul = || "a\0b".to_owned();
        let mut odd = full(db, people.member.hash);
        (odd.provider, odd.model, odd.client, odd.user_agent) = (nul(), "m".repeat(9999), nul(), "é".repeat(9999));
        (odd.client_session_id, odd.thread_parent_tool_call_id) = (Some(nul()), Some(nul()));
        (odd.error_type, odd.error_message, odd.stop_reason) = (Some(nul()), Some("x".repeat(99_999)), Some(nul()));
        (odd.provider_request_id, odd.credential_hint) = (Some("r".repeat(9999)), nul());
        (odd.upstream_status, odd.attempts) = (Some(u16::MAX), u32::MAX);
        (odd.time_to_first_byte_ms, odd.overhead_us) = (Some(i64::MIN), i64::MAX);
        (odd.started_at, odd.ended_at) = (Timestamp::from_micros(i64::MIN), Timestamp::from_micros(i64::MAX));
        let mut usage = odd.token_usages[0].clone();
        (usage.input_tokens, usage.output_tokens, usage.extra) = (i64::MAX, i64::MIN, BTreeMap::from([(nul(), i64::MAX)]));
        usage.attributes = BTreeMap::from([(nul(), "é".repeat(9999))]);
        odd.token_usages = vec![usage; 3];
        (odd.prompts[0].prompt, odd.tool_usages[0].input, odd.model_thoughts[0].content) = (nul().into(), nul().into(), nul().into());
        (odd.tool_usages[1].tool_call_id, odd.tool_usages[1].tool) = ("t".repeat(9999), nul());
        let plain = full(db, people.member.hash);
        assert_eq!(ingest(db, &plane(), &[odd.clone(), plain.clone()]).await, [""; 0]);
        let found = db.store().interception_get(&people.owner.caller, odd.id).await.unwrap();
        assert_eq!((&*found.summary.provider, &*found.prompts[0].prompt.open(99).text), ("a\u{fffd}b", "a\u{fffd}b"));
        assert_eq!((found.summary.model.len(), found.summary.user_agent.chars().count()), (255, 512));
        assert_eq!((found.summary.upstream_status, found.summary.attempts), (Some(u16::MAX), u32::MAX));
        assert_eq!((found.summary.time_to_first_byte_ms, found.summary.overhead_us), (Some(0), i64::MAX));
        assert_eq!((found.summary.ended_at, found.summary.times_replaced), (db.ambient().now(), true));
        assert_eq!((found.summary.tokens.input_tokens, found.summary.tokens.output_tokens), (3 << 50, 0));
        assert_eq!(found.token_usages[0].extra, BTreeMap::from([("a\u{fffd}b".to_owned(), i64::MAX)]));
        assert_eq!(found.token_usages[0].attributes, BTreeMap::from([("a\u{fffd}b".to_owned(), "é".repeat(255))]));
        assert_eq!(found.tool_usages[1].tool_call_id.len(), 600);
        assert_eq!(db.store().interception_get(&people.owner.caller, plain.id).await.unwrap().prompts, plain.prompts);
    }

    /// Nothing known makes the database refuse a record, so here it is taught to.
    async fn a_record_that_the_database_refuses_is_set_aside_and_the_others_go_on(db: TestDb) {
        let people = people(db).await;
        match db.url().strip_prefix("sqlite://") {
            Some(path) => {
                let mut conn = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
                let refuse = "CREATE TRIGGER t BEFORE INSERT ON prompts WHEN NEW.prompt = 'poison' \
                              BEGIN SELECT RAISE(ABORT, 'no poison'); END";
                sqlx::raw_sql(refuse).execute(&mut conn).await.unwrap();
            }
            None => {
                let options: PgConnectOptions = db.url().parse().unwrap();
                let mut conn = options.connect().await.unwrap();
                let refuse = "ALTER TABLE prompts ADD CONSTRAINT no_poison CHECK (prompt <> 'poison')";
                sqlx::raw_sql(refuse).execute(&mut conn).await.unwrap();
            }
        }
        let mut records: Vec<_> = (0..20).map(|_| full(db, people.member.hash)).collect();
        for at in [0, 7, 19] {
            records[at].prompts[0].prompt = "poison".into();
        }
        let batch: Vec<_> = records.iter().cloned().map(Arc::new).collect();
        for _ in 0..2 {
            let report = db.store().interception_ingest(&plane(), ReplicaStamp::default(), &batch).await.unwrap();
            let ids: Vec<_> = report.rejected.iter().map(|(id, _)| *id).collect();
            assert_eq!(ids, [0, 7, 19].map(|at: usize| records[at].id));
            assert!(report.rejected.iter().all(|(_, why)| !why.contains("poison")), "not in the database's words");
            assert_eq!(report.errors.iter().map(|(id, _)| *id).collect::<Vec<_>>(), ids);
            assert_eq!(count(db, &people.owner.caller).await, 17);
        }
    }

    async fn a_failure_of_the_database_itself_sets_nothing_aside(db: TestDb) {
        let people = people(db).await;
        let record = Arc::new(full(db, people.member.hash));
        let broken = Store::connect(&DatabaseUrl::parse(db.url()).unwrap(), db.ambient()).await.unwrap();
        broken.close().await;
        let failed = broken.interception_ingest(&plane(), ReplicaStamp::default(), &[record]).await;
        assert!(matches!(failed, Err(StoreError::Internal(_))));
    }

    async fn five_thousand_records_go_in_at_once(db: TestDb) {
        let people = people(db).await;
        let mut records: Vec<_> = (0..5000).map(|_| full(db, people.member.hash)).collect();
        for record in &mut records {
            record.thread_parent_tool_call_id = Some(format!("toolu_{}", record.id));
        }
        assert_eq!(ingest(db, &plane(), &records).await, [""; 0]);
        assert_eq!(count(db, &people.owner.caller).await, 5000);
        let last = db.store().interception_get(&people.owner.caller, records[4999].id).await.unwrap();
        assert_eq!((last.token_usages, last.prompts), (records[4999].token_usages.clone(), records[4999].prompts.clone()));
    }

    async fn readers_and_writers_do_not_get_in_each_others_way(db: TestDb) {
        let people = people(db).await;
        let mut tasks = tokio::task::JoinSet::new();
        for writer in 0..8 {
            let (store, caller, hash) = (db.store().clone(), people.owner.caller.clone(), people.member.hash);
            let batches: Vec<_> = (0..10).map(|_| Arc::new(full(db, hash))).collect();
            tasks.spawn(async move {
                for record in batches {
                    store.interception_ingest(&plane(), ReplicaStamp::default(), &[record]).await?;
                    store.interception_list(&caller, &InterceptionFilter::default(), Page::first(5)).await?;
                    let filter = InterceptionFilter { outcome: Some(Outcome::Failed), ..Default::default() };
                    store.interception_list(&caller, &filter, Page::first(5)).await?;
                    let new = lychgate_store::UserInsert { username: format!("u-{writer}"), role: lychgate_authz::Role::Member };
                    let user = store.user_insert(&caller, new).await?;
                    store.user_delete(&caller, user.id).await?;
                }
                Ok::<_, StoreError>(())
            });
        }
        for done in tasks.join_all().await {
            done.unwrap();
        }
        assert_eq!(count(db, &people.owner.caller).await, 80);
    }
}
