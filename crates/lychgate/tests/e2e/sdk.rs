//! The providers' official Python SDKs, unmodified but for base URL and key, through a standalone replica. The conversations
//! stand in `tests-sdk/`.

use crate::PROGRAM;
use lychgate_testkit::app::App;
use lychgate_testkit::process::finish;
use std::path::Path;
use std::process::Command;

async fn converse(script: &str, path: &str) {
    let python = std::env::var_os("LYCHGATE_TEST_PYTHON").unwrap_or_else(|| {
        panic!("LYCHGATE_TEST_PYTHON is not set, so there are no SDKs to test with: run `cargo xtask test`, which installs them")
    });
    let app = App::start(PROGRAM, None).await;
    let replica = app.replica("edge-1").await;
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../tests-sdk")
        .join(script);
    let mut command = Command::new(python);
    command.args(["-I", "-W", "error::DeprecationWarning"]).arg(script);
    command.arg(format!("{}{path}", replica.url)).arg(&app.token);
    // Nothing of this machine's own settings for the SDKs.
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("HOME", app.directory());
    let finished = finish(command, "").await;
    assert_eq!(
        finished.code,
        0,
        "{}\n── the replica's log\n{}",
        finished.all(),
        replica.process.stderr()
    );
    assert!(replica.process.is_running());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn anthropic() {
    converse("anthropic_sdk.py", "/ai/anthropic").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn openai() {
    converse("openai_sdk.py", "/ai/openai/v1").await;
}
