//! Listings on the command line: filters as people have them at hand, and what is said of those that name nothing.

use crate::PROGRAM;
use crate::request::Ask;
use lychgate_scripted::{Endpoint, Scenario};
use lychgate_testkit::app::App;
use lychgate_testkit::both_engines;

both_engines! {
    async fn filters_take_what_people_have_and_tell_what_names_nothing(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let mut ask = Ask::new(Endpoint::Messages, Scenario::Text, false, "hello");
        let session = "0b6f3a52-5a5e-4c9e-8f5e-2d7b1c3e4f50";
        ask.body["metadata"]["user_id"] = format!("user_0_account__session_{session}").into();
        ask.call(&app.url, &app.token).send().await.expect(200);
        app.newest_interception(1).await;
        for filters in [
            vec!["--session", session],
            vec!["--since", "24h"],
            vec!["--since", "2026-01-01", "--until", "2999-01-01T00:00:00+02:00"],
            vec!["--user", "ALICE", "--outcome", "completed"],
        ] {
            let page = app.cli_json(&[&["interceptions", "list"], &filters[..]].concat()).await;
            assert_eq!(page["interceptions"].as_array().unwrap().len(), 1, "{filters:?}");
        }
        let told = app.cli(&["interceptions", "list", "--since", "2026-01-01"]).await;
        assert!(told.stderr.contains("since 2026-01-01T00:00:00.000000Z (UTC)"), "{}", told.all());
        for (filters, wrong) in [
            (["interceptions", "list", "--user", "alcie"], "user: no such user"),
            (["interceptions", "list", "--provider", "antropic"], "provider: no such provider"),
            (["interceptions", "list", "--model", "claud"], "model: no record is for such a model"),
            (["interceptions", "list", "--client", "claude"], "client: no record is from such a client"),
            (["interceptions", "list", "--session", "none"], "session: no record is of such a session"),
            (["tokens", "list", "--user", "alcie"], "user: no such user"),
            (["replicas", "list", "--key", "egde"], "key: no such gateway key"),
            (["audit", "list", "--actor", "alcie"], "actor: no such user"),
            (["audit", "list", "--action", "craete"], "action: no entry"),
            (["interceptions", "list", "--since", "yesterday"], "24h, 7d"),
        ] {
            let refused = app.cli(&filters).await;
            assert_eq!(refused.code, 2, "{filters:?}: {}", refused.all());
            assert!(refused.stderr.contains(wrong), "{wrong} is missing in {}", refused.all());
        }
        app.cli_ok(&["users", "delete", "alice", "--yes"]).await;
        let found = app.cli_json(&["interceptions", "list", "--user", "alice"]).await;
        assert_eq!(found["interceptions"][0]["user"]["deleted"], true);
        let gone = app.cli_json(&["users", "list", "--deleted"]).await;
        assert_eq!(gone["users"][0]["username"], "alice");
        assert_eq!(app.server.terminate().await, 0);
    }
}
