//! `/api/v1/audit-entries`

use crate::bench::{Bench, masked, problem};
use lychgate_testkit::both_engines;

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
}
