//! Records that replicas deliver.

use crate::bench::{Attached, Bench, hash, hello, text};
use crate::interceptions::{record, sent};
use lychgate_link::{ControlLink, EncodedRecord, Hello, Message};
use lychgate_testkit::both_engines;
use lychgate_types::KeyRefusal;
use lychgate_types::secret::UserTokenSecret;
use serde_json::{Value, json};

async fn all(bench: &Bench) -> Vec<Value> {
    let page = bench
        .get(&bench.owner, "/ai-gateway/interceptions")
        .await
        .expect(200)
        .value();
    page["interceptions"].as_array().unwrap().clone()
}

both_engines! {
    async fn a_second_delivery_changes_nothing_and_records_of_unknown_tokens_are_rejected(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        let (link, replica) = (bench.link(&key), bench.ambient.new_id());
        let (_, token) = bench.user("ada", "member").await;
        link.authorize(hash(&token)).await.unwrap();
        let good = record(db, &token);
        let nobody = UserTokenSecret::generate(&bench.ambient);
        let bad = record(db, nobody.expose());
        for _ in 0..2 {
            let receipt = link.deliver(replica, vec![sent(&good), sent(&bad)]).await.unwrap();
            assert_eq!(receipt.rejected.iter().map(|rejected| rejected.id).collect::<Vec<_>>(), [bad.id]);
            let seen = all(&bench).await;
            assert_eq!((seen.len(), &seen[0]["input_tokens"]), (1, &json!(10)));
        }
        for (result, count) in [("new", 1.0), ("known", 1.0), ("rejected", 2.0)] {
            let series = format!("lychgate_ingest_records_total{{result=\"{result}\"}}");
            assert_eq!(bench.metric(&series).await, count, "{series}");
        }
        assert_eq!(bench.metric("lychgate_ingest_batches_total").await, 2.0);
    }

    async fn an_unreadable_record_is_rejected_alone(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        let (_, token) = bench.user("ada", "member").await;
        bench.link(&key).authorize(hash(&token)).await.unwrap();
        let good = record(db, &token);
        let id_alone = [&[0x0a, 16][..], &[7; 16]].concat();
        let unreadable = EncodedRecord::from_bytes(id_alone.into()).unwrap();
        let replica = bench.ambient.new_id();
        let receipt = bench.link(&key).deliver(replica, vec![unreadable.clone(), sent(&good)]).await.unwrap();
        assert_eq!(receipt.rejected.iter().map(|rejected| rejected.id).collect::<Vec<_>>(), [unreadable.id()]);
        assert!(receipt.rejected[0].reason.contains("token_hash"), "{receipt:?}");
        assert_eq!(all(&bench).await.len(), 1);
    }

    async fn whoever_does_not_show_the_process_secret_can_not_pass_for_the_replica(db: TestDb) {
        let bench = Bench::start(db).await;
        let ((honest_id, honest), (liars_id, liar)) = (bench.key("honest").await, bench.key("liar").await);
        let replica = bench.ambient.new_id();
        let mut attached = bench.attach_as(replica, &honest).await;
        let (_, token) = bench.user("ada", "member").await;
        for key in [&liar, &honest] {
            bench.link(key).authorize(hash(&token)).await.unwrap();
        }
        let shown = async |id: lychgate_types::InterceptionId| bench.get(&bench.owner, &format!("/ai-gateway/interceptions/{id}")).await.expect(200).value();
        for (key, key_id) in [(&liar, &liars_id), (&honest, &honest_id)] {
            let thief = bench.link(key);
            let refused = Attached::open(&thief, hello(replica)).await.err();
            assert_eq!(refused.and_then(|error| error.refusal()), Some(KeyRefusal::ReplicaIdTaken));
            let record = record(db, &token);
            assert_eq!(thief.deliver(replica, vec![sent(&record)]).await.unwrap().rejected, []);
            let seen = shown(record.id).await;
            assert_eq!((&seen["gateway_key_id"], &seen["replica_id"]), (&json!(key_id), &json!(null)));
        }
        let record = record(db, &token);
        bench.link_of(replica, &honest).deliver(replica, vec![sent(&record)]).await.unwrap();
        assert_eq!(shown(record.id).await["replica_id"], json!(replica));

        // The victim has lost nothing: neither its attachment nor its place in the list.
        bench.provider("claude", "anthropic").await;
        assert!(matches!(attached.message().await, Message::Configuration { .. }));
        let listed = bench.get(&bench.owner, &format!("/ai-gateway/replicas/{replica}")).await.expect(200).value();
        assert_eq!((&listed["key"]["id"], &listed["state"]), (&json!(honest_id), &json!("attached")));
        let series = "lychgate_gateway_key_refusals_total{reason=\"replica_id_taken\"}";
        assert_eq!(bench.metric(series).await, 2.0);
        // With its secret, the replica goes on under another key.
        let _renewed = bench.attach_as(replica, &liar).await;
    }

    /// A holder of a gateway key who has heard of a token's hash.
    async fn forged_records_are_set_aside_and_the_honest_ones_beside_them_are_not(db: TestDb) {
        let bench = Bench::start(db).await;
        let ((_, honest), (_, liar)) = (bench.key("honest").await, bench.key("liar").await);
        let ((_, ada), (_, liars_own)) = (bench.user("ada", "member").await, bench.user("eve", "member").await);
        bench.link(&honest).authorize(hash(&ada)).await.unwrap();
        let evil = bench.link(&liar);
        evil.authorize(hash(&liars_own)).await.unwrap();
        let (true_one, forged, own) = (record(db, &ada), record(db, &ada), record(db, &liars_own));
        let receipt = evil.deliver(bench.ambient.new_id(), vec![sent(&forged), sent(&own)]).await.unwrap();
        let [rejected] = &receipt.rejected[..] else { panic!("{receipt:?}") };
        assert_eq!(rejected.id, forged.id);
        assert!(rejected.reason.contains("never told"), "{}", rejected.reason);
        assert_eq!(bench.link(&honest).deliver(bench.ambient.new_id(), vec![sent(&true_one)]).await.unwrap().rejected, []);
        let mut seen: Vec<_> = all(&bench).await.iter().map(|seen| text(&seen["id"])).collect();
        seen.sort();
        let mut expected = [true_one.id.to_string(), own.id.to_string()];
        expected.sort();
        assert_eq!(seen, expected);
    }

    /// Of a token that it did not ask about, an attachment hears nothing, neither at once nor when it comes back.
    async fn the_end_of_a_token_is_told_to_whoever_asked_about_it(db: TestDb) {
        let bench = Bench::start(db).await;
        let ((_, honest), (_, liar)) = (bench.key("honest").await, bench.key("liar").await);
        let (mut knows, mut evil) = (bench.attach(&honest).await, bench.attach(&liar).await);
        let ((_, ada), (_, eve)) = (bench.user("ada", "member").await, bench.user("eve", "member").await);
        bench.link(&honest).authorize(hash(&ada)).await.unwrap();
        bench.link(&liar).authorize(hash(&eve)).await.unwrap();
        bench.delete(&bench.owner, "/users/ada").await.expect(204);
        bench.delete(&bench.owner, "/users/eve").await.expect(204);
        assert_eq!(knows.revoked().await, [hash(&ada)]);
        assert_eq!(evil.revoked().await, [hash(&eve)]);
        let again = bench.ambient.new_id();
        drop(bench.attach_as(again, &liar).await);
        let resumed = Hello { resume_after: 1, ..hello(again) };
        let mut resumed = Attached::open(&bench.link_of(again, &liar), resumed).await.unwrap();
        assert!(resumed.resumed);
        assert_eq!(resumed.revoked().await, [hash(&eve)]);
    }

    /// A client can put anything into a request; no record may block those behind it for ever.
    async fn a_record_is_stored_whatever_text_is_in_it(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, key) = bench.key("edge").await;
        let (_, token) = bench.user("ada", "member").await;
        bench.link(&key).authorize(hash(&token)).await.unwrap();
        let mut odd = record(db, &token);
        odd.model = "m\0\u{7f}\u{1b}".to_owned();
        odd.user_agent = "\0".to_owned();
        odd.prompts[0].prompt = "before\0after\u{202e}".into();
        odd.tool_usages[0].input = "\0".repeat(3).into();
        odd.model_thoughts[0].content = "\0".into();
        odd.token_usages[0].provider_response_id = "\0".to_owned();
        odd.error_message = Some("\0".to_owned());
        let receipt = bench.link(&key).deliver(bench.ambient.new_id(), vec![sent(&odd)]).await.unwrap();
        assert_eq!(receipt.rejected, []);
        assert_eq!(all(&bench).await.len(), 1);
    }
}
