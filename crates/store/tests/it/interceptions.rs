//! Reading records.

use crate::people::{people, person, plane, record};
use lychgate_authz::{Denial, Role};
use lychgate_store::{InterceptionFilter, NameOrId, Page, ReplicaStamp, StoreError, TokenSums, UserFilter, UserRef};
use lychgate_testkit::both_engines;
use lychgate_types::interception::{CredentialKind, Outcome, TokenUsage};
use lychgate_types::provider::{Api, ProviderType};
use lychgate_types::{InterceptionId, UserId};
use std::sync::Arc;

both_engines! {
    async fn every_field_comes_back(db: TestDb) {
        let people = people(db).await;
        let mut sent = record(db, people.member.hash);
        sent.api = Api::OpenAiResponses;
        sent.provider_type = ProviderType::OpenAi;
        sent.streaming = true;
        sent.client_session_id = Some("s-1".into());
        sent.credential_kind = CredentialKind::Byok;
        sent.outcome = Outcome::ClientAborted;
        sent.error_type = Some("overloaded_error".into());
        sent.error_message = Some("try again".into());
        let usage = |n, estimated| TokenUsage {
            input_tokens: n,
            output_tokens: n * 10,
            cache_read_input_tokens: n * 100,
            cache_write_input_tokens: n * 1000,
            cache_write_1h_input_tokens: n * 10_000,
            reasoning_tokens: n * 100_000,
            estimated,
            ..TokenUsage::default()
        };
        sent.token_usages = vec![usage(1, false), usage(2, true)];
        db.store().interception_ingest(&plane(), ReplicaStamp::default(), &[Arc::new(sent.clone())]).await.unwrap();
        let found = db.store().interception_get(&people.member.caller, sent.id).await.unwrap();
        assert_eq!(found.token_usages, sent.token_usages);
        let got = found.summary;
        assert_eq!((got.id, &got.user), (sent.id, &UserRef { id: people.member.id, username: "mel".into(), deleted: false }));
        let token = db.store().token_authenticate(&plane(), &people.member.hash).await.unwrap().unwrap();
        assert_eq!(got.token_id, token.token_id);
        assert_eq!((&got.provider, got.provider_type, got.api), (&sent.provider, sent.provider_type, sent.api));
        assert_eq!((&got.model, got.streaming, &got.client), (&sent.model, true, &sent.client));
        assert_eq!((&got.user_agent, &got.client_session_id), (&sent.user_agent, &sent.client_session_id));
        assert_eq!((got.thread_parent_id, got.thread_root_id), (None, None));
        assert_eq!((got.credential_kind, &got.credential_hint), (CredentialKind::Byok, &sent.credential_hint));
        assert_eq!((got.gateway_key_id, got.replica_id), (None, None));
        assert_eq!((got.started_at, got.ended_at, got.outcome), (sent.started_at, sent.ended_at, sent.outcome));
        assert_eq!((got.upstream_status, &got.error_type), (Some(200), &sent.error_type));
        assert_eq!((&got.error_message, &got.provider_request_id), (&sent.error_message, &sent.provider_request_id));
        assert_eq!((&got.stop_reason, got.attempts, &got.served_model), (&sent.stop_reason, 1, &sent.served_model));
        assert_eq!((got.time_to_first_byte_ms, got.overhead_us), (Some(120), 80));
        let sums = TokenSums {
            input_tokens: 3,
            output_tokens: 30,
            cache_read_input_tokens: 300,
            cache_write_input_tokens: 3000,
            cache_write_1h_input_tokens: 30_000,
            reasoning_tokens: 300_000,
            estimated: true,
        };
        assert_eq!(got.tokens, sums);
        let list = db.store().interception_list(&people.member.caller, &InterceptionFilter::default(), Page::first(9)).await;
        assert_eq!(list.unwrap().items, [got], "the listing says the same");
    }

    async fn the_list_is_newest_first_in_pages(db: TestDb) {
        let people = people(db).await;
        let mut sent: Vec<_> = (0..7).map(|_| record(db, people.member.hash)).collect();
        // Ties are broken by id.
        sent[3].started_at = sent[2].started_at;
        let batch: Vec<_> = sent.iter().cloned().map(Arc::new).collect();
        db.store().interception_ingest(&plane(), ReplicaStamp::default(), &batch).await.unwrap();
        sent.sort_by_key(|record| std::cmp::Reverse((record.started_at, record.id)));
        let (mut walked, mut page) = (Vec::new(), Page::first(2));
        loop {
            let part = db.store().interception_list(&people.owner.caller, &InterceptionFilter::default(), page).await.unwrap();
            assert!(part.items.iter().all(|row| row.tokens == TokenSums::default()));
            walked.extend(part.items.iter().map(|row| row.id));
            match part.next {
                Some(next) => page.after = Some(next.to_string().parse().unwrap()),
                None => break,
            }
        }
        assert_eq!(walked, sent.iter().map(|record| record.id).collect::<Vec<_>>());
    }

    async fn each_filter_finds_its_own(db: TestDb) {
        let people = people(db).await;
        let other = person(db, &people.owner.caller, "other", Role::Member).await;
        let mut sent: Vec<_> = (0..7).map(|_| record(db, people.member.hash)).collect();
        sent[0].token_hash = other.hash;
        sent[1].provider = "openai".into();
        sent[2].model = "gpt-5".into();
        sent[3].client = "Codex".into();
        sent[4].client_session_id = Some("s".into());
        sent[5].outcome = Outcome::Failed;
        sent[6].client_session_id = Some("0192d3c4-5b6a-7c8d-9e0f-112233445566".into());
        let batch: Vec<_> = sent.iter().cloned().map(Arc::new).collect();
        db.store().interception_ingest(&plane(), ReplicaStamp::default(), &batch).await.unwrap();
        let session = db.store().interception_get(&people.owner.caller, sent[4].id).await.unwrap().summary.session_id;
        let any = InterceptionFilter::default;
        let find = async |filter: InterceptionFilter| -> Vec<InterceptionId> {
            let found = db.store().interception_list(&people.owner.caller, &filter, Page::first(99)).await.unwrap();
            let mut ids: Vec<_> = found.items.into_iter().map(|row| row.id).collect();
            ids.sort();
            ids
        };
        let ids = |range: std::ops::Range<usize>| -> Vec<_> {
            let mut ids: Vec<_> = sent[range].iter().map(|record| record.id).collect();
            ids.sort();
            ids
        };
        assert_eq!(find(any()).await, ids(0..7));
        assert_eq!(find(InterceptionFilter { user: Some(other.id.into()), ..any() }).await, ids(0..1));
        assert_eq!(find(InterceptionFilter { provider: Some("openai".into()), ..any() }).await, ids(1..2));
        assert_eq!(find(InterceptionFilter { model: Some("gpt-5".into()), ..any() }).await, ids(2..3));
        assert_eq!(find(InterceptionFilter { client: Some("Codex".into()), ..any() }).await, ids(3..4));
        assert_eq!(find(InterceptionFilter { session: Some(session.to_string()), ..any() }).await, ids(4..5));
        assert_eq!(find(InterceptionFilter { session: Some("s".into()), ..any() }).await, ids(4..5), "as the client calls it");
        let theirs = sent[6].client_session_id.clone();
        assert_eq!(find(InterceptionFilter { session: theirs, ..any() }).await, ids(6..7), "a UUID of the client's");
        assert_eq!(find(InterceptionFilter { outcome: Some(Outcome::Failed), ..any() }).await, ids(5..6));
        assert_eq!(find(InterceptionFilter { since: Some(sent[2].started_at), ..any() }).await, ids(2..7), "at or after");
        assert_eq!(find(InterceptionFilter { until: Some(sent[2].started_at), ..any() }).await, ids(0..2), "before");
        let both = InterceptionFilter { provider: Some("openai".into()), model: Some("gpt-5".into()), ..any() };
        assert_eq!(find(both).await, []);
        let unmatched = async |caller, filter: InterceptionFilter| match db.store().interception_list(caller, &filter, Page::first(9)).await {
            Err(StoreError::Unmatched(filters)) => filters.iter().map(|unmatched| unmatched.filter).collect::<Vec<_>>(),
            other => panic!("{other:?}"),
        };
        let owner = &people.owner.caller;
        for text in ["\0", "antropic", "0192d3c4-5b6a-7c8d-9e0f-000000000000", &"x".repeat(9000)] {
            assert_eq!(unmatched(owner, InterceptionFilter { provider: Some(text.into()), ..any() }).await, ["provider"], "{text:?}");
            let (model, client, session) = (Some(text.into()), Some(text.into()), Some(text.into()));
            assert_eq!(find(InterceptionFilter { model, ..any() }).await, [], "{text:?}");
            assert_eq!(find(InterceptionFilter { client, ..any() }).await, [], "{text:?}");
            assert_eq!(find(InterceptionFilter { session, ..any() }).await, [], "{text:?}");
        }
        let others = InterceptionFilter { provider: Some("openai".into()), ..any() };
        assert_eq!(unmatched(&other.caller, others).await, ["provider"], "what only others used is not told apart from nothing");
    }

    async fn a_deleted_users_records_are_found_and_are_not_those_of_the_next_who_has_the_name(db: TestDb) {
        let people = people(db).await;
        let (store, owner) = (db.store(), &people.owner.caller);
        let first = person(db, owner, "ada", Role::Member).await;
        let of_first = record(db, first.hash);
        store.interception_ingest(&plane(), ReplicaStamp::default(), &[Arc::new(of_first.clone())]).await.unwrap();
        store.user_delete(owner, first.id).await.unwrap();
        let of = async |user: NameOrId<UserId>| {
            let filter = InterceptionFilter { user: Some(user), ..InterceptionFilter::default() };
            let rows = store.interception_list(owner, &filter, Page::first(9)).await.unwrap().items;
            rows.into_iter().map(|row| (row.id, row.user.deleted)).collect::<Vec<_>>()
        };
        assert_eq!(of("Ada".into()).await, [(of_first.id, true)]);
        assert_eq!(of(first.id.into()).await, [(of_first.id, true)]);
        let second = person(db, owner, "ada", Role::Member).await;
        assert_eq!(of("ada".into()).await, [], "who has the name now");
        let of_second = record(db, second.hash);
        store.interception_ingest(&plane(), ReplicaStamp::default(), &[Arc::new(of_second.clone())]).await.unwrap();
        assert_eq!(of("ada".into()).await, [(of_second.id, false)]);
        assert_eq!(of(first.id.into()).await, [(of_first.id, true)]);
        db.clock().advance(std::time::Duration::from_secs(1));
        store.user_delete(owner, second.id).await.unwrap();
        assert_eq!(of("ada".into()).await, [(of_second.id, true)], "who had it last");
        let gone = UserFilter { deleted: true, ..UserFilter::default() };
        let gone = store.user_list(owner, &gone, Page::first(9)).await.unwrap().items;
        assert_eq!(gone.iter().map(|user| user.id).collect::<Vec<_>>(), [first.id, second.id]);
        assert!(gone.iter().all(|user| user.deleted_at.is_some()));
        let seen = store.user_list(&people.member.caller, &UserFilter { deleted: true, ..UserFilter::default() }, Page::first(9)).await.unwrap();
        assert_eq!(seen.items, []);
    }

    async fn a_member_sees_only_its_own(db: TestDb) {
        let people = people(db).await;
        let other = person(db, &people.owner.caller, "other", Role::Member).await;
        let (mine, theirs) = (record(db, people.member.hash), record(db, other.hash));
        let batch = [Arc::new(mine.clone()), Arc::new(theirs.clone())];
        db.store().interception_ingest(&plane(), ReplicaStamp::default(), &batch).await.unwrap();
        let ids = async |caller, filter: InterceptionFilter| {
            let found = db.store().interception_list(caller, &filter, Page::first(9)).await.unwrap();
            found.items.iter().map(|row| row.id).collect::<Vec<_>>()
        };
        let any = InterceptionFilter::default;
        assert_eq!(ids(&people.member.caller, any()).await, [mine.id]);
        assert_eq!(ids(&people.member.caller, InterceptionFilter { user: Some(people.member.id.into()), ..any() }).await, [mine.id]);
        assert_eq!(ids(&people.auditor.caller, any()).await, [theirs.id, mine.id]);
        let by_name = InterceptionFilter { user: Some("OTHER".into()), ..any() };
        assert_eq!(ids(&people.auditor.caller, by_name.clone()).await, [theirs.id]);
        // Somebody else is refused like nobody.
        let refused = async |caller, user| {
            let filter = InterceptionFilter { user: Some(user), ..any() };
            match db.store().interception_list(caller, &filter, Page::first(9)).await {
                Err(StoreError::Unmatched(filters)) => filters,
                listed => panic!("{listed:?}"),
            }
        };
        let nobody = refused(&people.auditor.caller, "nobody".into()).await;
        assert_eq!(nobody[0].filter, "user");
        for somebody in [other.id.into(), "other".into(), "nobody".into(), db.ambient().new_id::<UserId>().into()] {
            assert_eq!(refused(&people.member.caller, somebody).await, nobody);
        }
        // What is hidden is answered like what is not there.
        for hidden in [theirs.id, db.ambient().new_id()] {
            let refused = db.store().interception_get(&people.member.caller, hidden).await;
            assert!(matches!(refused, Err(StoreError::Denied(Denial::Hidden))), "{refused:?}");
        }
        let missing = db.store().interception_get(&people.auditor.caller, db.ambient().new_id()).await;
        assert!(matches!(missing, Err(StoreError::NotFound)));
    }
}
