//! `/api/v1/audit-entries`

use crate::bench::{Bench, hash, masked, problem, text};
use lychgate_link::ControlLink;
use lychgate_testkit::both_engines;
use lychgate_types::secret::GatewayKeySecret;

both_engines! {
    async fn the_shape_of_an_entry_and_the_filters(db: TestDb) {
        let bench = Bench::start(db).await;
        let (_, auditor) = bench.user("aud", "auditor").await;
        let page = bench.get(&auditor, "/audit-entries?resource_type=user&action=create&actor=admin&limit=1").await.expect(200).value();
        let blots = ["/id", "/actor/id", "/actor/token_id", "/target_id", "/request_id"];
        insta::assert_json_snapshot!(masked(&page["audit_entries"][0], &blots), @r#"
        {
          "action": "create",
          "actor": {
            "id": "[…]",
            "kind": "user",
            "name": "admin",
            "token_id": "[…]"
          },
          "after": {
            "role": "auditor",
            "state": "active",
            "username": "aud"
          },
          "before": {},
          "created_at": "2026-11-24T09:30:00.000000Z",
          "detail": null,
          "id": "[…]",
          "outcome": "ok",
          "request_id": "[…]",
          "resource_type": "user",
          "target_id": "[…]",
          "target_name": "aud",
          "target_prefix": null
        }
        "#);
        assert!(bench.audit("since=2026-11-24T09:30:00.000001Z").await.is_empty());
        assert!(bench.audit("until=2026-11-24T09:30:00Z").await.is_empty());
        for (query, wrong) in [("actor=nobody", "actor"), ("action=craete", "action")] {
            let answer = bench.get(&bench.owner, &format!("/audit-entries?{query}")).await;
            assert_eq!(problem(&answer, 404, "filter_unmatched"), [wrong]);
        }
        assert!(!bench.audit("actor=aud").await.iter().any(|entry| entry["actor"]["name"] != "aud"));
        let answer = bench.get(&bench.owner, "/audit-entries?resource_type=thing&since=x&until=y").await;
        assert_eq!(problem(&answer, 400, "invalid_request"), ["resource_type", "since", "until"]);
        let (_, member) = bench.user("ada", "member").await;
        problem(&bench.get(&member, "/audit-entries").await, 403, "forbidden");
    }

    async fn refusals_that_could_not_be_written_are_written_at_the_end(db: TestDb) {
        let bench = Bench::start(db).await;
        let other = bench.join(db).await;
        let (_, auditor) = bench.user("aud", "auditor").await;
        let stranger = GatewayKeySecret::generate(&db.ambient());
        db.execute("ALTER TABLE audit_entries RENAME TO hidden_entries").await;
        for _ in 0..3 {
            bench.link(&stranger).authorize(hash(&auditor)).await.unwrap_err();
            let answer = bench.delete(&auditor, "/users/admin").await;
            assert_eq!(answer.status, 500, "what can't be audited is not answered: {}", answer.text());
        }
        db.execute("ALTER TABLE hidden_entries RENAME TO audit_entries").await;
        bench.stop().await;
        let details = async |query: &str| -> Vec<String> {
            other.audit(query).await.iter().map(|entry| text(&entry["detail"])).collect()
        };
        assert_eq!(details("action=delete").await, ["3 more within a minute"]);
        let refused = details("action=refuse").await;
        assert!(refused.len() == 1 && refused[0].ends_with(": 3 since the last report"), "{refused:?}");
    }
}
