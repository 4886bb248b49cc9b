//! `lychgate dev`, as a newcomer uses it.

use crate::PROGRAM;
use lychgate_testkit::app::command;
use lychgate_testkit::process::{Finished, Process, finish};
use lychgate_testkit::wait::eventually;
use nix::sys::signal::Signal;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

fn start(home: &Path) -> Process {
    let mut command = command(Path::new(PROGRAM), home);
    Process::start(command.args(["dev", "--listen", "127.0.0.1:0", "--gateway-listen", "127.0.0.1:0"]))
}

/// All that it printed, once it has printed all.
async fn printed(dev: &Process) -> String {
    dev.line("Ctrl-C stops").await;
    dev.stdout()
}

async fn shell(home: &Path, line: &str) -> Finished {
    let mut command = Command::new("sh");
    command
        .args(["-c", line])
        .current_dir(home)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", home);
    finish(command, "").await
}

/// Runs the line that shows the record until it shows as many rows.
async fn listing(home: &Path, text: &str, rows: usize) -> String {
    let line = text
        .lines()
        .find(|line| line.ends_with("interceptions list"))
        .expect("the line is printed")
        .to_owned();
    eventually("the record shows the requests", async || {
        let shown = shell(home, &line).await;
        assert_eq!(shown.code, 0, "{line}: {}", shown.all());
        (shown.stdout.matches("What is a lychgate?").count() == rows).then_some(shown.stdout)
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_it_prints_works_and_its_data_stays() {
    let home = TempDir::new().unwrap();
    let dev = start(home.path());
    let text = printed(&dev).await;
    assert!(
        text.contains("\ncontrol plane  http://127.0.0.1:") && text.contains("\ngateway        http://127.0.0.1:"),
        "{text}"
    );
    let lines: Vec<&str> = text.lines().filter(|line| line.starts_with("curl ")).collect();
    assert_eq!(lines.len(), 8, "{text}");
    for line in &lines {
        let ran = shell(home.path(), line).await;
        assert_eq!(ran.code, 0, "{line}: {}", ran.all());
        assert!(
            ran.stdout.contains("lychgate"),
            "it repeats the question: {line}: {}",
            ran.stdout
        );
        if line.starts_with("curl -sN ") {
            let end = if line.contains("chat") {
                "[DONE]"
            } else if line.contains("anthropic") {
                "message_stop"
            } else if line.contains("gemini") {
                "\"finishReason\": \"STOP\""
            } else {
                "response.completed"
            };
            assert!(
                ran.stdout.matches("data: ").count() > 5 && ran.stdout.contains(end),
                "{line}: {}",
                ran.stdout
            );
        } else {
            let _: serde_json::Value =
                serde_json::from_str(&ran.stdout).unwrap_or_else(|why| panic!("{why}: {line}: {}", ran.stdout));
        }
    }
    listing(home.path(), &text, 8).await;
    // The embedded gateway answers the same lines.
    let url = |name: &str| {
        text.lines()
            .find_map(|line| line.strip_prefix(name))
            .unwrap()
            .trim()
            .to_owned()
    };
    let embedded = shell(home.path(), &lines[1].replace(&url("gateway "), &url("control plane "))).await;
    assert!(embedded.stdout.contains("message_stop"), "{}", embedded.all());
    listing(home.path(), &text, 9).await;

    dev.signal_group(Signal::SIGINT);
    assert_eq!(dev.exit_code().await, 0, "{}", dev.stderr());
    let owner = std::fs::read_to_string(home.path().join("lychgate-dev/owner-token")).unwrap();
    for message in [dev.stdout(), dev.stderr()] {
        assert!(!message.contains(owner.trim()), "a token is printed");
    }

    let dev = start(home.path());
    let text = printed(&dev).await;
    listing(home.path(), &text, 9).await;
    let line = text.lines().find(|line| line.starts_with("curl ")).unwrap();
    assert_eq!(shell(home.path(), line).await.code, 0);
    listing(home.path(), &text, 10).await;
    assert_eq!(
        std::fs::read_to_string(home.path().join("lychgate-dev/owner-token")).unwrap(),
        owner
    );
    assert_eq!(dev.terminate().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_taken_port_is_a_clear_error_and_leaves_nothing_behind() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for flags in [
        ["--listen", &address, "--gateway-listen", "127.0.0.1:0"],
        ["--listen", "127.0.0.1:0", "--gateway-listen", &address],
    ] {
        let home = TempDir::new().unwrap();
        let mut command = command(Path::new(PROGRAM), home.path());
        command.arg("dev").args(flags);
        let ended = finish(command, "").await;
        assert_eq!(ended.code, 1, "{}", ended.all());
        assert!(
            ended.stderr.contains(&address) && ended.stderr.contains("another program already listens there"),
            "{}",
            ended.stderr
        );
        assert!(
            !ended.stderr.contains("panicked") && !home.path().join("lychgate-dev").exists(),
            "{}",
            ended.stderr
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_one_on_the_same_data_is_refused() {
    let home = TempDir::new().unwrap();
    let dev = start(home.path());
    printed(&dev).await;
    let second = start(home.path());
    assert_eq!(second.exit_code().await, 1);
    assert!(second.stderr().contains("lychgate-dev"), "{}", second.stderr());
    assert_eq!(dev.terminate().await, 0);
}
