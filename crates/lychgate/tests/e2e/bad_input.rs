//! Wrong flags, files, keys and addresses: a clear message, the right exit code, nothing secret, no backtrace.

use crate::PROGRAM;
use crate::request::Ask;
use lychgate_scripted::{Endpoint, Scenario, ScriptedProvider};
use lychgate_testkit::app::{App, command};
use lychgate_testkit::both_engines;
use lychgate_testkit::process::{Finished, Process, finish};
use lychgate_testkit::wait::eventually;
use lychgate_types::Ambient;
use lychgate_types::secret::{GatewayKeySecret, MasterKey, UserTokenSecret};
use std::path::Path;
use tempfile::TempDir;

async fn run(home: &Path, args: &[&str], environment: &[(&str, &str)]) -> Finished {
    let mut command = command(Path::new(PROGRAM), home);
    command.args(args).envs(environment.iter().copied());
    finish(command, "").await
}

#[track_caller]
fn check(finished: &Finished, code: i32, parts: &[&str], secrets: &[&str]) {
    let message = finished.all();
    assert_eq!(finished.code, code, "{message}");
    assert!(
        finished.stderr.lines().any(|line| line.starts_with("error: ")),
        "{message}"
    );
    for part in parts {
        assert!(message.contains(part), "{part:?} is missing in: {message}");
    }
    for secret in secrets {
        assert!(!message.contains(secret), "{secret:?} is shown: {message}");
    }
    assert!(
        !message.contains("panicked") && !message.contains("RUST_BACKTRACE") && !message.contains("stack backtrace"),
        "{message}"
    );
    assert!(message.lines().count() < 25, "too many words: {message}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_would_be_ignored_or_exposed_in_silence_is_told() {
    let home = TempDir::new().unwrap();
    let finished = run(
        home.path(),
        &["server", "--listen", "127.0.0.1:0", "--log", "blah"],
        &[],
    )
    .await;
    check(&finished, 2, &["LYCHGATE_LOG", "`blah` is not a level"], &[]);

    let mut server = command(Path::new(PROGRAM), home.path());
    server.args(["server", "--listen", "0.0.0.0:0", "--log-format", "json"]);
    server.envs([("LYCHGATE_LISTN", "canary"), ("LYCHGATE_PORT_80_TCP_ADDR", "10.0.0.1")]);
    let server = Process::start(&mut server);
    let address = server.line("listening on http://").await;
    eventually("warnings", async || {
        let log = server.stderr();
        (log.contains("did you mean LYCHGATE_LISTEN?") && log.contains("without encryption")).then_some(())
    })
    .await;
    let log = server.stderr();
    assert!(!log.contains("canary") && !log.contains("PORT_80"), "{log}");

    // TLS where there is none: the client and the replica say so.
    let port = address.rsplit_once(':').unwrap().1;
    let token = home.path().join("lychgate-data/owner-token");
    let url = format!("https://127.0.0.1:{port}");
    let whoami = ["whoami", "--url", &url, "--token-file", token.to_str().unwrap()];
    check(
        &run(home.path(), &whoami, &[]).await,
        1,
        &["does not speak TLS on this port"],
        &[],
    );
    assert_eq!(server.terminate().await, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_configuration_errors_are_reported_together() {
    let home = TempDir::new().unwrap();
    let file = home.path().join("lychgate.toml");
    let path = file.to_str().unwrap();
    let with_file = ["server", "--config", path];

    check(
        &run(home.path(), &["server", "--colour", "red"], &[]).await,
        2,
        &["--colour"],
        &[],
    );
    check(&run(home.path(), &["serve"], &[]).await, 2, &["serve", "server"], &[]);
    check(
        &run(home.path(), &["server", "--config", "/nowhere/x.toml"], &[]).await,
        2,
        &["/nowhere/x.toml"],
        &[],
    );
    std::fs::write(&file, "[server\nlisten = 1").unwrap();
    check(
        &run(home.path(), &with_file, &[]).await,
        2,
        &["lychgate.toml", "line 1"],
        &[],
    );
    std::fs::write(&file, "[server]\nlisten = \"here\"\ncolour = \"red\"\n[sever]\n").unwrap();
    check(
        &run(home.path(), &with_file, &[]).await,
        2,
        &["listen", "`here`", "colour", "sever"],
        &[],
    );
    let urls = ["mysql://u:canary@h/d", "postgres://u:canary@:x/d", "canary", ""];
    for url in urls {
        let finished = run(home.path(), &["server", "--database-url", url], &[]).await;
        check(&finished, 2, &["database-url"], &["canary"]);
    }
    let finished = run(
        home.path(),
        &["server"],
        &[
            ("LYCHGATE_MASTER_KEY", "canary"),
            ("LYCHGATE_BOOTSTRAP_TOKEN", "lgu_canary"),
        ],
    )
    .await;
    check(
        &finished,
        2,
        &[
            "LYCHGATE_MASTER_KEY",
            "64 hexadecimal digits",
            "LYCHGATE_BOOTSTRAP_TOKEN",
        ],
        &["canary"],
    );
    let finished = run(
        home.path(),
        &[
            "gateway",
            "--control-url",
            "ftp://x",
            "--key",
            "lgw_canary",
            "--listen",
            "nowhere",
        ],
        &[],
    )
    .await;
    check(&finished, 2, &["--control-url", "--key", "--listen"], &["canary"]);
    let finished = run(
        home.path(),
        &[
            "gateway",
            "--control-url",
            "http://127.0.0.1:9",
            "--key-file",
            "/nowhere/key",
        ],
        &[],
    )
    .await;
    check(&finished, 2, &["/nowhere/key"], &[]);
    let finished = run(home.path(), &["gateway", "--control-url", "http://127.0.0.1:9"], &[]).await;
    check(&finished, 2, &["no gateway key", "--key-file"], &[]);
    assert_eq!(
        std::fs::read_dir(home.path()).unwrap().count(),
        1,
        "nothing was made but the file of this test"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn keys_of_the_wrong_kind_and_mistyped_keys_are_distinguished() {
    let home = TempDir::new().unwrap();
    let key = GatewayKeySecret::generate(&Ambient::system()).expose().to_owned();
    let token = UserTokenSecret::generate(&Ambient::system()).expose().to_owned();
    let mut typo = key.clone();
    typo.replace_range(20..21, if &key[20..21] == "a" { "b" } else { "a" });
    for (text, reason) in [
        (&typo, "checksum"),
        (&token, "gateway key"),
        (&key[..30].to_owned(), "46"),
    ] {
        let finished = run(
            home.path(),
            &["gateway", "--control-url", "http://127.0.0.1:9"],
            &[("LYCHGATE_KEY", text)],
        )
        .await;
        check(&finished, 2, &["LYCHGATE_KEY", reason], &[text, &text[12..]]);
        let file = home.path().join("key");
        std::fs::write(&file, text).unwrap();
        let finished = run(
            home.path(),
            &[
                "gateway",
                "--control-url",
                "http://127.0.0.1:9",
                "--key-file",
                file.to_str().unwrap(),
            ],
            &[],
        )
        .await;
        check(&finished, 2, &["--key-file", reason], &[text, &text[12..]]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn taken_ports_and_unreachable_databases() {
    let home = TempDir::new().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let key = GatewayKeySecret::generate(&Ambient::system()).expose().to_owned();
    let finished = run(home.path(), &["server", "--listen", &address], &[]).await;
    check(
        &finished,
        1,
        &[&address, "another program already listens there", "--listen"],
        &[],
    );
    let environment = [("LYCHGATE_KEY", key.as_str())];
    let finished = run(
        home.path(),
        &["gateway", "--control-url", "http://127.0.0.1:9", "--listen", &address],
        &environment,
    )
    .await;
    check(
        &finished,
        1,
        &[&address, "another program already listens there", "--listen"],
        &[&key],
    );
    let nobody = "postgres://user:canary@127.0.0.1:1/none";
    let finished = run(
        home.path(),
        &["server", "--listen", "127.0.0.1:0", "--database-url", nobody],
        &[],
    )
    .await;
    check(&finished, 1, &["database"], &["canary"]);
    let finished = run(
        home.path(),
        &[
            "server",
            "--listen",
            "127.0.0.1:0",
            "--database-url",
            "sqlite:///nowhere/x.db",
        ],
        &[],
    )
    .await;
    check(&finished, 1, &["/nowhere"], &[]);
}

both_engines! {
    /// A database is opened only with the master key that it was sealed with.
    async fn another_master_key_is_refused(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        assert_eq!(app.server.terminate().await, 0);
        let other = MasterKey::generate(&Ambient::system()).to_hex().to_string();
        let home = TempDir::new().unwrap();
        let arguments = ["server", "--listen", "127.0.0.1:0"];
        let finished = run(home.path(), &arguments, &[("LYCHGATE_DATABASE_URL", db.url()), ("LYCHGATE_MASTER_KEY", &other)]).await;
        check(&finished, 1, &["master key"], &[&other]);
        let finished = run(home.path(), &arguments, &[("LYCHGATE_DATABASE_URL", db.url())]).await;
        check(&finished, 1, &["master key", "missing"], &[]);
        assert!(!home.path().join("lychgate-data/master-key").exists(), "no false key is left behind");
    }
}

/// Starts a replica that is refused, and waits until it reports that.
async fn shut_out(home: &Path, control_url: &str, key: &str, reason: &str) -> Process {
    let mut command = command(Path::new(PROGRAM), home);
    command
        .args(["gateway", "--listen", "127.0.0.1:0", "--control-url", control_url])
        .env("LYCHGATE_KEY", key);
    let process = Process::start(&mut command);
    let url = process.line("listening on ").await;
    let why = eventually("the replica says why it is not ready", async || {
        let answer = lychgate_testkit::http::get(format!("{url}/readyz")).send().await;
        assert_eq!(answer.status, 503, "{}", answer.text());
        answer.text().contains(reason).then(|| answer.text())
    })
    .await;
    let token = UserTokenSecret::generate(&Ambient::system());
    let refused = Ask::new(Endpoint::Messages, Scenario::Text, false, "Hello")
        .call(&url, token.expose())
        .send()
        .await;
    assert_eq!(refused.status, 503, "{}", refused.text());
    for message in [why, refused.text(), process.stderr()] {
        assert!(
            !message.contains(key) && !message.contains(token.expose()) && !message.contains("panicked"),
            "{message}"
        );
    }
    assert!(process.is_running());
    process
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_refused_replica_says_why_and_goes_on_trying() {
    let home = TempDir::new().unwrap();
    let app = App::start(PROGRAM, None).await;
    let unknown = GatewayKeySecret::generate(&Ambient::system()).expose().to_owned();
    let replica = shut_out(home.path(), &app.url, &unknown, "unknown").await;
    assert!(
        replica.stderr().contains("unknown"),
        "the log says it too: {}",
        replica.stderr()
    );
    assert_eq!(replica.terminate().await, 0);
    // Something that is no control plane, and nothing at all.
    let other = ScriptedProvider::start(([127, 0, 0, 1], 0).into()).await.unwrap();
    shut_out(
        home.path(),
        &format!("http://{}", other.addr()),
        &unknown,
        "control plane",
    )
    .await;
    let nothing = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap();
    shut_out(home.path(), &format!("http://{nothing}"), &unknown, "control plane").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_say_what_is_wrong_with_their_server_or_token() {
    let app = App::start(PROGRAM, None).await;
    let nobody = UserTokenSecret::generate(&Ambient::system()).expose().to_owned();
    let url = ("LYCHGATE_URL", app.url.as_str());
    let finished = run(app.directory(), &["keys", "list"], &[url, ("LYCHGATE_TOKEN", &nobody)]).await;
    check(&finished, 1, &["token"], &[&nobody]);
    let finished = run(
        app.directory(),
        &["keys", "list"],
        &[url, ("LYCHGATE_TOKEN", "lgu_canary")],
    )
    .await;
    check(&finished, 2, &["LYCHGATE_TOKEN"], &["canary"]);
    let finished = run(app.directory(), &["keys", "list"], &[url]).await;
    check(&finished, 2, &["LYCHGATE_TOKEN", "login"], &[]);
    let finished = run(
        app.directory(),
        &["keys", "list"],
        &[url, ("LYCHGATE_TOKEN", &app.token)],
    )
    .await;
    check(&finished, 1, &["do not allow this"], &[&app.token]);
    let token = ("LYCHGATE_TOKEN", app.token.as_str());
    let finished = run(app.directory(), &["tokens", "list"], &[url, token]).await;
    check(
        &finished,
        1,
        &["token:read", "lychgate tokens create --scope"],
        &[&app.token],
    );
    let owner = ("LYCHGATE_TOKEN", app.owner.as_str());
    let finished = run(
        app.directory(),
        &["keys", "list"],
        &[("LYCHGATE_URL", "http://127.0.0.1:1"), owner],
    )
    .await;
    check(&finished, 1, &["http://127.0.0.1:1"], &[&app.owner]);
    for name in ["-a", "a--b", "a_b", "é", ""] {
        let finished = run(app.directory(), &["keys", "create", "--", name], &[url, owner]).await;
        check(&finished, 1, &["single dashes"], &[]);
    }
    app.cli_ok(&["keys", "create", "twice"]).await;
    let finished = run(app.directory(), &["keys", "create", "TWICE"], &[url, owner]).await;
    check(&finished, 1, &["already in use"], &[]);
    let listed = app.cli_json(&["keys", "list"]).await;
    assert_eq!(
        listed["keys"].as_array().unwrap().len(),
        1,
        "nothing was written by what failed: {listed:#}"
    );
}
