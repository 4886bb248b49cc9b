//! The files in `examples/` work as they are.

use crate::PROGRAM;
use crate::sdk::{isolated, node_in, python_file};
use lychgate_testkit::app::{App, command};
use lychgate_testkit::process::finish;
use lychgate_types::Ambient;
use lychgate_types::secret::GatewayKeySecret;
use std::path::{Path, PathBuf};
use std::process::Command;

fn example(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples").join(path)
}

/// Runs a script against a replica; all its requests must be recorded.
async fn run(script: impl FnOnce(&App) -> Command, requests: usize) -> String {
    let app = App::start(PROGRAM, None).await;
    let replica = app.replica("edge-1").await;
    let mut command = script(&app);
    isolated(&mut command, &app)
        .env("GATEWAY", &replica.url)
        .env("LYCHGATE_USER_TOKEN", &app.token);
    let finished = finish(command, "").await;
    assert_eq!(finished.code, 0, "{}", finished.all());
    app.newest_interception(requests).await;
    finished.stdout
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn curl() {
    let printed = run(|_| Command::new(example("curl.sh")), 3).await;
    assert!(printed.contains("[DONE]"), "{printed}");
    assert!(printed.matches("lychgate").count() >= 2, "{printed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn python() {
    let printed = run(|_| python_file(&example("python/chat.py")), 2).await;
    assert!(printed.lines().count() >= 2, "{printed}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn node() {
    let printed = run(|app| node_in(app, &example("node"), "chat.mjs"), 2).await;
    assert!(printed.lines().count() >= 2, "{printed}");
}

/// Both sections of the configuration file are valid: the only problem is the one that is added here.
#[tokio::test]
async fn the_configuration_file_is_valid() {
    let home = tempfile::TempDir::new().unwrap();
    let key = GatewayKeySecret::generate(&Ambient::system());
    for role in ["server", "gateway"] {
        let mut command = command(Path::new(PROGRAM), home.path());
        command
            .args([role, "--listen", "nowhere", "--config"])
            .arg(example("two-machines/lychgate.toml"));
        if role == "gateway" {
            // The example's key file does not exist; the environment has precedence over it.
            command.env("LYCHGATE_KEY", key.expose());
        }
        let finished = finish(command, "").await;
        assert_eq!(finished.code, 2, "{}", finished.all());
        assert!(
            finished.stderr.starts_with("error: --listen: `nowhere`"),
            "{}",
            finished.all()
        );
    }
}
