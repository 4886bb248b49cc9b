//! Threads and sessions.

use crate::people::{people, people_and_provider, person, plane, record};
use lychgate_authz::Role;
use lychgate_store::{InterceptionSummary, ReplicaStamp};
use lychgate_testkit::both_engines;
use lychgate_testkit::db::TestDb;
use lychgate_types::InterceptionId;
use lychgate_types::interception::{InterceptionRecord, ToolUsage};
use lychgate_types::secret::SecretHash;
use std::sync::Arc;

/// A record that brings the result of one tool call and asks for others.
fn step(db: &TestDb, hash: SecretHash, result_of: Option<&str>, asks: &[&str]) -> InterceptionRecord {
    let mut record = record(db, hash);
    record.thread_parent_tool_call_id = result_of.map(str::to_owned);
    let usage = |id: &&str| ToolUsage {
        provider_response_id: "msg".into(),
        tool_call_id: (*id).to_owned(),
        tool: "Read".into(),
        input: "{}".into(),
    };
    record.tool_usages = asks.iter().map(usage).collect();
    record
}

async fn ingest(db: &TestDb, records: &[&InterceptionRecord]) {
    let records: Vec<_> = records.iter().map(|record| Arc::new((*record).clone())).collect();
    db.store()
        .interception_ingest(&plane(), ReplicaStamp::default(), &records)
        .await
        .unwrap();
}

type Links = (Option<InterceptionId>, Option<InterceptionId>);

both_engines! {
    async fn a_thread_is_the_same_in_one_batch_or_in_many(db: TestDb) {
        let people = people(db).await;
        let get = async |id| db.store().interception_get(&people.owner.caller, id).await.unwrap().summary;
        let links = |found: &InterceptionSummary| -> Links { (found.thread_parent_id, found.thread_root_id) };
        for in_one_batch in [true, false] {
            let prefix = if in_one_batch { "x" } else { "y" };
            let call = |n: u8| format!("{prefix}{n}");
            let first = step(db, people.member.hash, None, &[&call(1), &call(2)]);
            let second = step(db, people.member.hash, Some(&call(2)), &[&call(3)]);
            let third = step(db, people.member.hash, Some(&call(3)), &[]);
            if in_one_batch {
                // A batch need not be in order.
                ingest(db, &[&third, &first, &second]).await;
            } else {
                for record in [&first, &second, &third] {
                    ingest(db, &[record]).await;
                }
            }
            let found = [get(first.id).await, get(second.id).await, get(third.id).await];
            assert_eq!(links(&found[0]), (None, None));
            assert_eq!(links(&found[1]), (Some(first.id), Some(first.id)));
            assert_eq!(links(&found[2]), (Some(second.id), Some(first.id)));
            for one in &found {
                assert_eq!(one.session_id, first.id.as_uuid(), "without a client's session, the thread is the session");
            }
        }
    }

    async fn a_response_that_goes_on_from_another_is_of_its_thread(db: TestDb) {
        let people = people_and_provider(db).await;
        let get = async |id| db.store().interception_get(&people.owner.caller, id).await.unwrap().summary;
        for in_one_batch in [true, false] {
            let response = |n: u8| format!("resp_{in_one_batch}_{n}");
            let made = |n: u8, after: Option<u8>, hash| {
                let mut record = step(db, hash, Some("call_of_another_thread"), &[]);
                record.stored_object = Some(response(n));
                record.thread_parent_response_id = after.map(response);
                record
            };
            let other = step(db, people.member.hash, None, &["call_of_another_thread"]);
            let first = InterceptionRecord { thread_parent_tool_call_id: None, ..made(1, None, people.member.hash) };
            let second = made(2, Some(1), people.member.hash);
            let third = made(3, Some(2), people.member.hash);
            let anothers = InterceptionRecord { thread_parent_tool_call_id: None, ..made(4, Some(2), people.owner.hash) };
            let all = [&other, &first, &second, &third, &anothers];
            if in_one_batch {
                ingest(db, &all).await;
            } else {
                for record in all {
                    ingest(db, &[record]).await;
                }
            }
            let links = async |id| { let found = get(id).await; (found.thread_parent_id, found.thread_root_id) };
            assert_eq!(links(second.id).await, (Some(first.id), Some(first.id)));
            assert_eq!(links(third.id).await, (Some(second.id), Some(first.id)));
            assert_eq!(links(anothers.id).await, (None, None), "of another user");
            // Redelivered, it changes nothing.
            ingest(db, &[&third]).await;
            assert_eq!(links(third.id).await, (Some(second.id), Some(first.id)));
        }
    }

    /// Large batches are written by several transactions at once; links do not depend on which of them comes first.
    async fn a_thread_through_a_large_batch_is_whole(db: TestDb) {
        let people = people(db).await;
        let chain: Vec<_> = (0..1100)
            .map(|n: u32| step(db, people.member.hash, n.checked_sub(1).map(|n| n.to_string()).as_deref(), &[&n.to_string()]))
            .collect();
        ingest(db, &chain.iter().collect::<Vec<_>>()).await;
        for at in [1, 255, 256, 257, 274, 275, 276, 549, 550, 824, 825, 1099] {
            let found = db.store().interception_get(&people.owner.caller, chain[at].id).await.unwrap().summary;
            assert_eq!((found.thread_parent_id, found.thread_root_id), (Some(chain[at - 1].id), Some(chain[0].id)), "{at}");
        }
    }

    async fn the_parent_is_the_users_newest(db: TestDb) {
        let people = people(db).await;
        let other = person(db, &people.owner.caller, "other", Role::Member).await;
        let old = step(db, people.member.hash, None, &["call_0"]);
        let new = step(db, people.member.hash, None, &["call_0"]);
        let strangers = step(db, other.hash, None, &["call_0"]);
        ingest(db, &[&old]).await;
        ingest(db, &[&new]).await;
        ingest(db, &[&strangers]).await;
        let child = step(db, people.member.hash, Some("call_0"), &["call_0"]);
        let empty = step(db, people.member.hash, Some(""), &[""]);
        ingest(db, &[&child, &empty]).await;
        let parent = async |id| db.store().interception_get(&people.owner.caller, id).await.unwrap().summary.thread_parent_id;
        assert_eq!(parent(child.id).await, Some(new.id));
        assert_eq!(parent(empty.id).await, None, "an empty id links nothing");
    }

    /// Some servers give the same ids again and again.
    async fn the_parent_is_in_the_same_session_where_one_is(db: TestDb) {
        let people = people(db).await;
        let of = |session: &str, result_of, asks: &[&str]| {
            let mut one = step(db, people.member.hash, result_of, asks);
            one.client_session_id = Some(session.to_owned());
            one
        };
        for in_one_batch in [true, false] {
            let call = if in_one_batch { "functions.Read:0" } else { "functions.Read:1" };
            let (first, second) = (of("a", None, &[call]), of("b", None, &[call]));
            let (same, another) = (of("a", Some(call), &[]), of("c", Some(call), &[]));
            if in_one_batch {
                ingest(db, &[&first, &second, &same, &another]).await;
            } else {
                for record in [&first, &second, &same, &another] {
                    ingest(db, &[record]).await;
                }
            }
            let parent = async |id| db.store().interception_get(&people.owner.caller, id).await.unwrap().summary.thread_parent_id;
            assert_eq!(parent(same.id).await, Some(first.id));
            assert_eq!(parent(another.id).await, Some(second.id), "else the user's newest");
        }
    }

    async fn a_clients_session_is_one_per_user_client_and_id(db: TestDb) {
        let people = people(db).await;
        let other = person(db, &people.owner.caller, "other", Role::Member).await;
        let of = |hash, client: &str, session: Option<&str>| {
            let mut one = record(db, hash);
            one.client = client.into();
            one.client_session_id = session.map(str::to_owned);
            one
        };
        let base = of(people.member.hash, "Codex", Some("s"));
        let same = of(people.member.hash, "Codex", Some("s"));
        let others = [
            of(people.member.hash, "Codex", Some("t")),
            of(people.member.hash, "Zed", Some("s")),
            of(other.hash, "Codex", Some("s")),
            of(people.member.hash, "Codex", None),
            of(people.member.hash, "Codex", Some("")),
        ];
        ingest(db, &[&base, &same]).await;
        ingest(db, &others.iter().collect::<Vec<_>>()).await;
        let session = async |id| db.store().interception_get(&people.owner.caller, id).await.unwrap().summary.session_id;
        assert_eq!(session(base.id).await, session(same.id).await);
        for one in &others {
            assert_ne!(session(one.id).await, session(base.id).await, "{one:?}");
        }
        assert_eq!(session(others[3].id).await, others[3].id.as_uuid());
        assert_eq!(session(others[4].id).await, others[4].id.as_uuid());
    }
}
