//! The control plane goes away and comes back: what is known goes on, what is unknown is told so at once, no record is lost.

use crate::PROGRAM;
use crate::request::Ask;
use lychgate_scripted::{Endpoint, Scenario};
use lychgate_testkit::app::App;
use lychgate_testkit::both_engines;
use lychgate_testkit::wait::eventually;

both_engines! {
    async fn a_replica_bridges_the_control_planes_absence(db: TestDb) {
        let mut app = App::start(PROGRAM, Some(db.url())).await;
        let replica = app.replica("edge-1").await;
        let stranger = app.cli_ok(&["tokens", "create", "--user", "alice"]).await.trim().to_owned();
        let ask = Ask::new(Endpoint::Messages, Scenario::Text, false, "Hello");
        ask.call(&replica.url, &app.token).send().await.expect(200);
        app.newest_interception(1).await;

        app.server.kill().await;
        eventually("the replica notices", async || {
            let (status, text) = replica.readiness().await;
            assert_eq!(status, 200, "it serves those whom it knows: {text}");
            text.contains("control plane can't be reached").then_some(())
        })
        .await;
        for _ in 0..3 {
            ask.call(&replica.url, &app.token).send().await.expect(200);
        }
        let refused = ask.call(&replica.url, &stranger).send().await.expect(503);
        assert_ne!(refused.header("retry-after"), "", "{}", refused.text());

        app.start_again().await;
        app.newest_interception(4).await;
        eventually("the replica is ready again", async || (replica.readiness().await.1 == "ready\n").then_some(())).await;
        ask.call(&replica.url, &stranger).send().await.expect(200);
        app.newest_interception(5).await;
    }
}
