//! Starting: the first owner, the master key, the port; and the probes.

use crate::bench::{Bench, options};
use lychgate_control::{Control, OWNER_TOKEN_FILE, StartError};
use lychgate_testkit::both_engines;
use lychgate_testkit::http::{get, post};
use lychgate_types::secret::{MasterKey, UserTokenSecret};
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(1);

both_engines! {
    async fn the_first_start_leaves_the_owners_token_and_later_ones_do_not(db: TestDb) {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(OWNER_TOKEN_FILE);
        let control = Control::start(options(db, &dir, None), db.ambient()).await.unwrap();
        let text = std::fs::read_to_string(&file).unwrap();
        assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        let whoami = format!("http://{}/api/v1/whoami", control.local_addr());
        let answer = get(whoami).bearer(text.trim()).send().await.expect(200).value();
        assert_eq!((&answer["username"], &answer["role"]), (&"admin".into(), &"owner".into()));
        control.shutdown(LIMIT).await;

        std::fs::remove_file(&file).unwrap();
        let given = UserTokenSecret::generate(&db.ambient());
        let control = Control::start(options(db, &dir, Some(given.clone())), db.ambient()).await.unwrap();
        let left: Vec<_> = std::fs::read_dir(dir.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, ["spool"]);
        let whoami = format!("http://{}/api/v1/whoami", control.local_addr());
        get(&whoami).bearer(given.expose()).send().await.expect(401);
        get(&whoami).bearer(text.trim()).send().await.expect(200);
        control.shutdown(LIMIT).await;
    }

    async fn another_master_key_is_refused(db: TestDb) {
        Bench::start(db).await.stop().await;
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(db, &dir, None);
        options.master_key = MasterKey::generate(&db.ambient());
        let error = Control::start(options, db.ambient()).await.unwrap_err();
        assert!(matches!(error, StartError::WrongMasterKey), "{error:?}");
    }

    async fn a_taken_port_is_reported_before_anything_is_done(db: TestDb) {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut options = options(db, &dir, None);
        options.listen = taken.local_addr().unwrap();
        let error = Control::start(options, db.ambient()).await.unwrap_err();
        assert!(matches!(error, StartError::Listen { .. }), "{error:?}");
        assert!(!dir.path().join(OWNER_TOKEN_FILE).exists());
    }

    async fn the_data_plane_is_on_the_same_port(db: TestDb) {
        let bench = Bench::start(db).await;
        let body = serde_json::json!({"name": "claude", "type": "anthropic", "keys": ["sk-1"]});
        bench.post(&bench.owner, "/ai-gateway/providers", body).await.expect(201);
        let url = format!("{}/ai/claude/v1/messages", bench.url);
        let answer = lychgate_testkit::wait::eventually("the embedded gateway knows the provider", || async {
            let answer = post(&url).text("{}").send().await;
            (answer.status == 401).then_some(answer)
        })
        .await;
        assert_eq!(answer.value()["type"], "error", "the provider's own error shape: {}", answer.text());
    }

    async fn the_probes_need_no_token(db: TestDb) {
        let bench = Bench::start(db).await;
        assert_eq!(get(format!("{}/healthz", bench.url)).send().await.expect(200).text(), "alive\n");
        let url = format!("{}/readyz", bench.url);
        lychgate_testkit::wait::eventually("readiness", || async {
            (get(&url).send().await.status == 200).then_some(())
        })
        .await;
        bench.stop().await;
        assert!(get(&url).try_open().await.is_err());
    }
}
