//! Listings on the command line: filters as people have them at hand, what is said of those that name nothing, all pages as one
//! listing, and tables on terminals.

use crate::PROGRAM;
use crate::request::Ask;
use lychgate_scripted::{Endpoint, Scenario};
use lychgate_testkit::app::App;
use lychgate_testkit::both_engines;
use lychgate_testkit::http::post;
use lychgate_testkit::process::finish;
use serde_json::{Value, json};
use std::os::unix::fs::PermissionsExt;

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
        assert!(told.stderr.contains("since 2026-01-01T00:00:00.000000Z"), "{}", told.all());
        for (filters, wrong) in [
            (["interceptions", "list", "--user", "alcie"], "user: no such user"),
            (["interceptions", "list", "--provider", "antropic"], "provider: no such provider"),
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
        app.cli_ok(&["users", "update", "alice", "--role", "auditor", "--email", "alice@example.com"]).await;
        let told = app.cli_ok(&["audit", "list", "--action", "update"]).await;
        assert!(told.contains("email: alice@example.com; role: member → auditor"), "{told}");
        app.cli_ok(&["users", "create", "bob@example.com"]).await;
        app.cli_ok(&["users", "suspend", "Bob@Example.com"]).await;
        assert_eq!(app.cli(&["users", "update", "alice"]).await.code, 2, "nothing to change");
        app.cli_ok(&["users", "delete", "alice", "--yes"]).await;
        let found = app.cli_json(&["interceptions", "list", "--user", "alice"]).await;
        assert_eq!(found["interceptions"][0]["user"]["deleted"], true);
        let gone = app.cli_json(&["users", "list", "--deleted"]).await;
        assert_eq!(gone["users"][0]["username"], "alice");
        assert_eq!(app.server.terminate().await, 0);
    }
}

both_engines! {
    async fn several_servers_are_tried_in_turn_and_a_login_is_forgotten(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let away = "http://127.0.0.1:9";
        let mut command = app.command();
        command.args(["users", "create", "bob", "--url", away, "--url", &app.url]).env("LYCHGATE_TOKEN", &app.owner);
        let made = finish(command, "").await;
        assert_eq!(made.code, 0, "{}", made.all());
        let mut command = app.command();
        command.args(["users", "list"]).env("LYCHGATE_URL", format!("{away},{}", app.url)).env("LYCHGATE_TOKEN", &app.owner);
        assert!(finish(command, "").await.stdout.contains("bob"));
        let mut command = app.command();
        command.args(["users", "list", "--url", away]).env("LYCHGATE_TOKEN", &app.owner);
        let nobody = finish(command, "").await;
        assert!(nobody.code == 1 && nobody.stderr.contains("can't connect to http://127.0.0.1:9"), "{}", nobody.all());
        let run = async |args: &[&str], input: &str| {
            let mut command = app.command();
            command.args(args);
            finish(command, input).await
        };
        assert_eq!(run(&["login", &app.url], &app.owner).await.code, 0);
        assert_eq!(run(&["whoami"], "").await.code, 0);
        assert_eq!(run(&["logout"], "").await.code, 0);
        assert_eq!(run(&["whoami"], "").await.code, 2);
        assert!(run(&["logout"], "").await.stderr.contains("not logged in"));
        let key = app.directory().join("edge.key");
        let out = key.to_str().unwrap();
        std::fs::write(&key, "old").unwrap();
        assert_eq!(app.cli(&["keys", "create", "edge-9", "--out", out]).await.code, 1, "an existing file stays");
        app.cli_ok(&["keys", "create", "edge-9", "--out", out, "--replace"]).await;
        assert!(std::fs::read_to_string(&key).unwrap().starts_with("lgw_"));
        // A user's token is renewed in the file that clients read; the one that was there works until it is revoked.
        let renewed = ["tokens", "create", "--out", out];
        let kept = app.cli(&renewed).await;
        assert!(kept.code == 1 && kept.stderr.contains("add --replace"), "{}", kept.all());
        app.cli_ok(&[&renewed[..], &["--replace"]].concat()).await;
        assert!(std::fs::read_to_string(&key).unwrap().starts_with("lgu_"));
        assert_eq!(std::fs::metadata(&key).unwrap().permissions().mode() & 0o777, 0o600);
        let provider_key = app.directory().join("provider.key");
        std::fs::write(&provider_key, "sk-something").unwrap();
        std::fs::set_permissions(&provider_key, std::fs::Permissions::from_mode(0o644)).unwrap();
        let file = provider_key.to_str().unwrap();
        let warned = app.cli(&["providers", "create", "second", "--type", "anthropic", "--key-file", file]).await;
        assert!(warned.code == 0 && warned.stderr.contains("other users can read"), "{}", warned.all());
        assert_eq!(app.server.terminate().await, 0);
    }
}

/// More than two pages of 200.
const USERS: usize = 450;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_pages_are_one_listing_in_every_format() {
    let app = App::start(PROGRAM, None).await;
    for at in 0..USERS {
        let user = json!({ "username": format!("user-{at:03}"), "role": "member" });
        post(format!("{}/api/v1/users", app.url))
            .bearer(&app.owner)
            .json(&user)
            .send()
            .await
            .expect(201);
    }
    let page = app.cli_json(&["users", "list"]).await;
    assert_eq!(page["users"].as_array().unwrap().len(), 50);
    let all = app.cli_json(&["users", "list", "--all"]).await;
    let all = (all["users"].as_array().unwrap(), &all["next"]);
    assert_eq!((all.0.len(), all.1), (USERS + 2, &Value::Null));
    let lines = app.cli_ok(&["users", "list", "--all", "-o", "jsonl"]).await;
    let lines: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(&lines, all.0);
    let table = app.cli_ok(&["users", "list", "--all"]).await;
    assert_eq!(table.lines().count(), 1 + USERS + 2, "one line of titles");
    for (user, line) in lines.iter().zip(table.lines().skip(1)) {
        assert!(line.starts_with(user["username"].as_str().unwrap()), "{line}");
    }
    let next = page["next"].as_str().unwrap();
    let rest = app.cli_json(&["users", "list", "--all", "--after", next]).await;
    assert_eq!(rest["users"].as_array().unwrap()[..], all.0[50..]);
    assert_eq!(app.cli(&["users", "list", "--all", "--limit", "7"]).await.code, 2);
    for noun in [
        "keys",
        "replicas",
        "tokens",
        "providers",
        "routes",
        "interceptions",
        "audit",
    ] {
        let listed = app.cli_json(&[noun, "list", "--all"]).await;
        assert_eq!(listed["next"], Value::Null, "{noun}: {listed}");
    }
    assert_eq!(app.server.terminate().await, 0);
}

/// What a command writes to a terminal of this width.
async fn on_a_terminal(app: &App, columns: u16, args: &[&str]) -> String {
    let size = nix::pty::Winsize {
        ws_row: 0,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    };
    let pty = nix::pty::openpty(Some(&size), None).unwrap();
    let mut command = app.command();
    command
        .args(args)
        .env("LYCHGATE_URL", &app.url)
        .env("LYCHGATE_TOKEN", &app.owner);
    command.stdout(std::process::Stdio::from(pty.slave));
    let mut child = command.spawn().unwrap();
    // The last of the slave's handles has to be the child's, so that reading ends with it.
    drop(command);
    let mut master = std::fs::File::from(pty.master);
    let reading = tokio::task::spawn_blocking(move || {
        let mut seen = Vec::new();
        // The end of a terminal is an error.
        let _ = std::io::Read::read_to_end(&mut master, &mut seen);
        String::from_utf8(seen).unwrap().replace('\r', "")
    });
    let ended = tokio::task::spawn_blocking(move || child.wait());
    assert!(ended.await.unwrap().unwrap().success());
    reading.await.unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tables_fit_the_terminal_and_ids_are_whole() {
    let app = App::start(PROGRAM, None).await;
    let ask = Ask::new(Endpoint::Messages, Scenario::Text, false, &"many words ".repeat(20));
    ask.call(&app.url, &app.token).send().await.expect(200);
    let id = app.newest_interception(1).await["id"].as_str().unwrap().to_owned();
    for (told, width) in [(0, 80), (80, 80), (60, 60), (132, 132), (200, 200)] {
        let shown = on_a_terminal(&app, told, &["interceptions", "list"]).await;
        assert_eq!(shown.lines().count(), 2, "{told}: {shown}");
        assert!(shown.contains(&id), "{told}: {shown}");
        assert!(
            shown.lines().all(|line| line.chars().count() <= width),
            "{told}: {shown}"
        );
    }
    let shown = on_a_terminal(&app, 10, &["interceptions", "list"]).await;
    assert_eq!((shown.lines().count(), shown.contains(&id)), (2, true), "{shown}");
    let wide = on_a_terminal(&app, 80, &["interceptions", "list", "--wide"]).await;
    assert!(wide.contains("SESSION") && wide.lines().count() == 2, "{wide}");
    assert_eq!(app.server.terminate().await, 0);
}
