//! Interceptions that are on record as unfinished, and their ends.

use crate::people::{Person, people_and_provider, plane, record, share_objects};
use lychgate_store::{IngestReport, InterceptionDetail, ReplicaStamp};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::TestDb;
use lychgate_types::interception::{InterceptionRecord, ModelThought, Outcome, ThoughtSource, TokenUsage, ToolUsage};
use lychgate_types::secret::SecretHash;
use lychgate_types::{InterceptionId, Ownership, UnfinishedInterception};
use std::sync::Arc;
use std::time::Duration;

async fn ingest(db: &TestDb, records: &[&InterceptionRecord]) -> IngestReport {
    let records: Vec<_> = records.iter().map(|record| Arc::new((*record).clone())).collect();
    let ingested = db
        .store()
        .interception_ingest(&plane(), ReplicaStamp::default(), &records)
        .await;
    ingested.unwrap()
}

async fn get(db: &TestDb, person: &Person, id: InterceptionId) -> InterceptionDetail {
    db.store().interception_get(&person.caller, id).await.unwrap()
}

fn usage(input: i64, output: i64, estimated: bool) -> TokenUsage {
    TokenUsage {
        input_tokens: input,
        output_tokens: output,
        estimated,
        ..TokenUsage::default()
    }
}

/// A response that is made in the background.
fn begun(db: &TestDb, token: SecretHash) -> InterceptionRecord {
    InterceptionRecord {
        outcome: Outcome::Unfinished,
        stop_reason: None,
        stored_object: Some("resp_a".to_owned()),
        token_usages: vec![usage(9, 0, true)],
        served_model: None,
        ..record(db, token)
    }
}

/// Its end, as the holder of this token is shown it.
fn end(db: &TestDb, of: &InterceptionRecord, token: SecretHash) -> InterceptionRecord {
    InterceptionRecord {
        id: of.id,
        completes: true,
        stored_object: of.stored_object.clone(),
        token_usages: vec![usage(11, 7, false), usage(1, 2, false)],
        tool_usages: vec![ToolUsage {
            provider_response_id: "resp_a".to_owned(),
            tool_call_id: "call_1".to_owned(),
            tool: "w".to_owned(),
            input: "{}".into(),
        }],
        model_thoughts: vec![ModelThought {
            content: "hm".into(),
            source: ThoughtSource::ReasoningSummary,
        }],
        served_model: Some("served".to_owned()),
        stored_items: vec!["msg_a".to_owned()],
        ..record(db, token)
    }
}

both_engines! {
    async fn an_end_is_booked_once_whoever_is_shown_it(db: TestDb) {
        let people = people_and_provider(db).await;
        let (alice, owner) = (people.member.hash, &people.owner);
        let begun = begun(db, alice);
        // In one batch, the end first.
        let first = end(db, &begun, alice);
        let report = ingest(db, &[&first, &begun]).await;
        assert_eq!((report.new, report.known, report.rejected.len()), (2, 0, 0), "{report:?}");
        let other = InterceptionRecord { outcome: Outcome::Failed, token_usages: vec![usage(50, 50, false)], ..end(db, &begun, alice) };
        for again in [&other, &first, &begun] {
            let report = ingest(db, &[again]).await;
            assert_eq!((report.new, report.known, report.rejected.len()), (0, 1, 0), "{report:?}");
        }
        let found = get(db, owner, begun.id).await;
        assert_eq!((found.summary.outcome, found.summary.stop_reason.as_deref()), (Outcome::Completed, Some("end_turn")));
        assert_eq!((found.summary.started_at, found.summary.ended_at), (begun.started_at, first.ended_at));
        assert_eq!((found.summary.model, found.summary.served_model.as_deref()), (begun.model.clone(), Some("served")));
        assert_eq!(found.token_usages, first.token_usages);
        assert_eq!((found.tool_usages, found.model_thoughts), (first.tool_usages, first.model_thoughts));
        let known = db.store().stored_objects_get(&plane(), &alice, &["resp_a".to_owned()]).await.unwrap().remove(0);
        assert_eq!(known, Ownership::Own.into());
        let item = db.store().stored_objects_get(&plane(), &owner.hash, &["msg_a".to_owned()]).await.unwrap().remove(0);
        assert_eq!(item, Ownership::Anothers.into());
    }

    async fn it_is_unfinished_until_then_and_replicas_are_told_so(db: TestDb) {
        let people = people_and_provider(db).await;
        let (alice, bob) = (people.member.hash, people.owner.hash);
        let begun = begun(db, alice);
        ingest(db, &[&begun]).await;
        assert_eq!(get(db, &people.owner, begun.id).await.summary.outcome, Outcome::Unfinished);
        for (token, ownership) in [(alice, Ownership::Own), (bob, Ownership::Anothers)] {
            let known = db.store().stored_objects_get(&plane(), &token, &["resp_a".to_owned()]).await.unwrap().remove(0);
            // Only its maker is told which one.
            let unfinished = (ownership == Ownership::Own).then(|| UnfinishedInterception { id: begun.id, provider: begun.provider.clone() });
            assert_eq!((known.ownership, known.unfinished), (ownership, unfinished));
        }
        // The provider did not tell what it used: the estimate of the input stays.
        let cancelled = InterceptionRecord { outcome: Outcome::ClientAborted, token_usages: vec![usage(0, 3, true)], served_model: None, ..end(db, &begun, alice) };
        assert_eq!(ingest(db, &[&cancelled]).await.new, 1);
        let found = get(db, &people.owner, begun.id).await;
        assert_eq!((found.summary.outcome, found.summary.served_model), (Outcome::ClientAborted, None));
        assert_eq!(found.token_usages, [usage(9, 3, true)]);
    }

    async fn an_end_that_tells_nothing_takes_nothing_back(db: TestDb) {
        let people = people_and_provider(db).await;
        let alice = people.member.hash;
        let broken = InterceptionRecord {
            token_usages: vec![usage(9, 10_000, true)],
            tool_usages: end(db, &begun(db, alice), alice).tool_usages,
            ..begun(db, alice)
        };
        ingest(db, &[&broken]).await;
        let cancelled = InterceptionRecord {
            outcome: Outcome::ClientAborted,
            token_usages: vec![usage(0, 0, true)],
            tool_usages: Vec::new(),
            model_thoughts: Vec::new(),
            ..end(db, &broken, alice)
        };
        assert_eq!(ingest(db, &[&cancelled]).await.new, 1);
        let found = get(db, &people.owner, broken.id).await;
        assert_eq!(found.summary.outcome, Outcome::ClientAborted);
        assert_eq!((found.token_usages, found.tool_usages), (broken.token_usages, broken.tool_usages));
    }

    async fn an_id_that_is_used_is_not_another_unfinished_interceptions(db: TestDb) {
        let people = people_and_provider(db).await;
        let begun = begun(db, people.member.hash);
        ingest(db, &[&begun, &end(db, &begun, people.member.hash)]).await;
        for other in [
            InterceptionRecord { token_hash: people.owner.hash, ..begun.clone() },
            InterceptionRecord { started_at: begun.started_at.minus(Duration::from_secs(1)), ..begun.clone() },
        ] {
            let report = ingest(db, &[&other]).await;
            assert!(report.rejected.len() == 1 && report.rejected[0].1.contains("has this id"), "{report:?}");
        }
    }

    async fn only_an_end_of_what_its_user_made_is_taken(db: TestDb) {
        let people = people_and_provider(db).await;
        let (alice, bob) = (people.member.hash, people.owner.hash);
        let begun = begun(db, alice);
        let other = InterceptionRecord { stored_object: Some("resp_b".to_owned()), ..record(db, alice) };
        ingest(db, &[&begun, &other]).await;
        let good = end(db, &begun, alice);
        for (end, reason) in [
            (InterceptionRecord { token_hash: SecretHash::from_bytes([9; 32]), ..good.clone() }, "a token that this deployment does not know"),
            (InterceptionRecord { id: db.ambient().new_id(), ..good.clone() }, "no record under this id has made"),
            (InterceptionRecord { id: other.id, ..good.clone() }, "no record under this id has made"),
            (InterceptionRecord { stored_object: Some("resp_b".to_owned()), ..good.clone() }, "no record under this id has made"),
            (InterceptionRecord { stored_object: None, ..good.clone() }, "no record under this id has made"),
            (InterceptionRecord { provider: "other".to_owned(), ..good.clone() }, "of another provider"),
            (InterceptionRecord { token_hash: bob, ..good.clone() }, "that another user has made"),
        ] {
            let report = ingest(db, &[&end]).await;
            assert!(report.rejected.len() == 1 && report.rejected[0].1.contains(reason), "{reason}: {report:?}");
        }
        assert_eq!(get(db, &people.owner, begun.id).await.token_usages, begun.token_usages);
        // Where users share what the provider stores, whoever is shown the end tells it.
        share_objects(db, &people.owner.caller).await;
        let shown = end(db, &begun, bob);
        assert_eq!(ingest(db, &[&shown]).await.new, 1);
        assert_eq!(get(db, &people.member, begun.id).await.token_usages, shown.token_usages);
    }

    async fn what_is_seen_of_one_that_goes_on_raises_its_estimate(db: TestDb) {
        let people = people_and_provider(db).await;
        let (alice, bob) = (people.member.hash, people.owner.hash);
        let begun = begun(db, alice);
        ingest(db, &[&begun]).await;
        let seen = |token, output| InterceptionRecord { outcome: Outcome::Unfinished, token_usages: vec![usage(0, output, true)], tool_usages: Vec::new(), ..end(db, &begun, token) };
        for (output, expected) in [(40, 40), (12, 40), (41, 41)] {
            let report = ingest(db, &[&seen(alice, output)]).await;
            assert_eq!((report.new, report.known), (0, 1), "{report:?}");
            let found = get(db, &people.owner, begun.id).await;
            assert_eq!((found.summary.outcome, found.token_usages), (Outcome::Unfinished, vec![usage(9, expected, true)]));
        }
        assert_eq!(ingest(db, &[&seen(bob, 99)]).await.rejected.len(), 1);
        let end = end(db, &begun, alice);
        ingest(db, &[&end]).await;
        ingest(db, &[&seen(alice, 1000)]).await;
        assert_eq!(get(db, &people.owner, begun.id).await.token_usages, end.token_usages);
    }
}
