//! The OpenAPI document and the server say the same: Schemathesis makes requests of the document, good ones and bad ones, and holds
//! the answers against it. Its checks, in all its phases, find nothing.

use crate::PROGRAM;
use crate::sdk::{isolated, prepared};
use lychgate_testkit::app::App;
use lychgate_testkit::both_engines;
use std::path::Path;
use std::process::Command;

/// For how many seconds, on each engine. `cargo xtask test` takes few; CONTRIBUTING.md has the command for many.
const SECONDS: &str = "LYCHGATE_SCHEMATHESIS_SECONDS";
/// What the requests are drawn from; a number, where a run is to be repeated.
const SEED: &str = "LYCHGATE_SCHEMATHESIS_SEED";

both_engines! {
    async fn the_document_and_the_server_say_the_same(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let caller = app.api("whoami").send().await.expect(200).value();
        let own = ["username", "user_id", "token_id"].map(|name| caller[name].as_str().unwrap());
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let setting = |variable: &str, default: &str| std::env::var(variable).unwrap_or_else(|_| default.to_owned());
        let mut command = Command::new(prepared("LYCHGATE_TEST_SCHEMATHESIS"));
        command
            .arg("run")
            .arg(root.join("crates/control/openapi.json"))
            .args(["--url", &app.url, "--header", &format!("Authorization: Bearer {}", app.owner)])
            .args(["--checks", "all", "--phases", "examples,coverage,fuzzing,stateful", "--continue-on-failure"])
            // A token that was deleted is revoked, and goes on being shown.
            .args(["--exclude-checks", "use_after_free"])
            .args(["--max-time", &setting(SECONDS, "30"), "--seed", &setting(SEED, "1")])
            // Its warnings are about itself: which ids it could not guess.
            .args(["--warnings", "off", "--no-color"]);
        isolated(&mut command, &app)
            .current_dir(app.directory())
            .env("SCHEMATHESIS_HOOKS", "schemathesis_hooks")
            .env("PYTHONPATH", root.join("tests-sdk"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .env("LYCHGATE_TEST_OWN", own.join(" "));
        let ran = tokio::task::spawn_blocking(move || command.output()).await.unwrap().unwrap();
        let said = String::from_utf8_lossy(&ran.stdout);
        assert!(ran.status.success(), "{said}{}", String::from_utf8_lossy(&ran.stderr));
        assert!(said.contains("No issues found"), "{said}");
        // To the end it was tested with a token that works.
        app.api("whoami").send().await.expect(200);
        assert!(app.server.is_running());
    }
}
