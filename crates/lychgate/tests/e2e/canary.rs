//! Secrets of every kind are planted, everything is done with them, and then everything that was written anywhere is searched.

use crate::PROGRAM;
use crate::request::Ask;
use lychgate_scripted::{Endpoint, Scenario};
use lychgate_testkit::app::{App, PROVIDER_KEY};
use lychgate_testkit::both_engines;
use lychgate_testkit::dump;
use lychgate_testkit::http::{Call, get, post};
use lychgate_testkit::process::finish;
use lychgate_testkit::wait::eventually;
use serde_json::json;
use std::collections::BTreeMap;

const BYOK: &str = "sk-canary-0123456789-of-my-own";
const SECOND_PROVIDER_KEY: &str = "sk-canary-0123456789-second";
const CLIENT_SECRET: &str = "sk-canary-0123456789-of-a-client";
/// Requests are signed with it, and its session goes along.
const AWS_SECRET: &str = "sk-canary-0123456789-of/aws";
const AWS_SESSION: &str = "sk-canary-0123456789-session";
/// The first credential that the scripted authority hands out.
const FETCHED: &str = "scripted-credential-0123456789-0-for-a-while";

/// Everything that may be searched, by where it was seen.
#[derive(Default)]
struct Seen(BTreeMap<String, String>);

impl Seen {
    fn add(&mut self, place: impl Into<String>, bytes: impl AsRef<[u8]>) {
        let seen = self.0.entry(place.into()).or_default();
        seen.push_str(&as_text(bytes.as_ref()));
    }

    /// No place may hold the secret, or the second half of it.
    fn check(&self, kind: &str, secret: &[u8]) {
        assert!(
            secret.len() > 20,
            "{kind}: too short to be distinguished from other text"
        );
        let half = as_text(&secret[secret.len() / 2..]);
        for (place, text) in &self.0 {
            if let Some(at) = text.find(&half) {
                let around = |from: usize, count: usize| text.chars().skip(from).take(count).collect::<String>();
                let before = text[..at].chars().count();
                panic!("a {kind} is in {place}: …{}…", around(before.saturating_sub(200), 400));
            }
        }
    }
}

/// Each byte as the character of that number, so that bytes of any kind can be searched as text.
fn as_text(bytes: &[u8]) -> String {
    bytes.iter().copied().map(char::from).collect()
}

both_engines! {
    /// No secret is written anywhere but in the one answer that shows it.
    async fn no_secret_is_found_anywhere(db: TestDb) {
        let app = App::start(PROGRAM, Some(db.url())).await;
        let key_file = app.key_file("edge-1").await;
        let replica = app.replica_on(&key_file, &app.fresh_spool(), &["--metrics-listen", "127.0.0.1:0"]).await;
        eventually("the replica is ready", async || (replica.readiness().await.0 == 200).then_some(())).await;
        let key = std::fs::read_to_string(app.directory().join("edge-1.key")).unwrap().trim().to_owned();
        let master = std::fs::read_to_string(app.directory().join("data/master-key")).unwrap().trim().to_owned();
        let mut seen = Seen::default();
        let rotated = app.directory().join("rotated.key");
        seen.add("a rotation's output", app.cli_ok(&["keys", "rotate", "edge-1", "--out", rotated.to_str().unwrap()]).await);
        let rotated = std::fs::read_to_string(rotated).unwrap().trim().to_owned();
        let revoked = use_the_api(&app, &mut seen).await;
        for base in [&replica.url, &app.url] {
            use_the_gateway(base, &app, &[&key, &rotated, &revoked, BYOK], &mut seen).await;
            use_what_is_fetched(base, &app, &mut seen).await;
            use_what_is_signed(base, &app, &mut seen).await;
        }
        use_the_command_line(&app, &key, &mut seen).await;
        seen.add("the replica's metrics", replica.metrics().await.text);
        seen.add("the server's metrics", app.metrics().await.text);
        app.cli_ok(&["keys", "delete", "edge-1", "-y"]).await;
        seen.add("the replica's last metrics", replica.metrics().await.text);
        seen.add("the replica's last answers", get(format!("{}/readyz", replica.url)).send().await.text());
        read_all(&app, &mut seen).await;
        // As it is while the server runs, and after it has ended.
        seen.add("the database", dump::everything(db).await);
        assert_eq!(replica.process.terminate().await, 0);
        assert_eq!(app.server.terminate().await, 0);
        seen.add("the database", dump::everything(db).await);
        for (name, process) in [("the replica", &replica.process), ("the server", &app.server)] {
            seen.add(format!("{name}'s output"), process.stdout());
            seen.add(format!("{name}'s log"), process.stderr());
        }
        // So that an empty search is not taken for a clean one.
        let database = &seen.0["the database"];
        for known in ["edge-1", "alice", "marker-of-a-prompt", &key[..11], &rotated[..11]] {
            assert!(database.contains(known), "the search would not find {known}");
        }
        for (kind, secret) in [
            ("gateway key", key.as_str()),
            ("rotated gateway key", &rotated),
            ("user token", &app.token),
            ("owner's token", &app.owner),
            ("revoked token", &revoked),
            ("provider key", PROVIDER_KEY),
            ("second provider key", SECOND_PROVIDER_KEY),
            ("user's own provider key", BYOK),
            ("client secret", CLIENT_SECRET),
            ("fetched credential", FETCHED),
            ("secret key of AWS", AWS_SECRET),
            ("session token of AWS", AWS_SESSION),
            ("master key", &master),
        ] {
            seen.check(kind, secret.as_bytes());
            // As PostgreSQL shows bytes.
            let hex: String = secret.bytes().map(|byte| format!("{byte:02x}")).collect();
            seen.check(kind, hex.as_bytes());
        }
        let raw: Vec<u8> = (0..32).map(|n| u8::from_str_radix(&master[2 * n..2 * n + 2], 16).unwrap()).collect();
        seen.check("master key in raw bytes", &raw);
    }
}

/// Good and bad calls of the API. Answers that show a secret once are not kept. Gives a token that is revoked.
async fn use_the_api(app: &App, seen: &mut Seen) -> String {
    let url = |path: &str| format!("{}/api/v1/{path}", app.url);
    let make = post(url("tokens"))
        .bearer(&app.owner)
        .json(&json!({"user": "alice", "name": "second"}));
    let made = make.send().await.expect(201).value();
    let (id, revoked) = (made["id"].as_str().unwrap(), made["token"].as_str().unwrap().to_owned());
    let delete = Call::new(http::Method::DELETE, url(&format!("tokens/{id}")));
    delete.bearer(&app.owner).send().await.expect(204);

    let mut keep = async |what: &str, call: Call| {
        let answer = call.send().await;
        seen.add(format!("the answer to {what}"), &answer.body);
        seen.add(
            format!("the headers of the answer to {what}"),
            format!("{:?}", answer.headers),
        );
        answer.status
    };
    let body = json!({"name": "other", "type": "openai-compatible", "base_url": "http://127.0.0.1:1", "allow_private": true,
        "keys": [PROVIDER_KEY, SECOND_PROVIDER_KEY]});
    let providers = || post(url("ai-gateway/providers")).bearer(&app.owner);
    assert_eq!(keep("a provider's creation", providers().json(&body)).await, 201);
    assert_eq!(keep("a taken name", providers().json(&body)).await, 409);
    for (name, secret) in [("entra", CLIENT_SECRET), ("refused", "wrong")] {
        let url = format!("http://{}", app.scripted.addr());
        let body = json!({"name": name, "type": "azure-openai", "base_url": url, "allow_private": true, "keys": [secret],
            "settings": {"credential": "entra_client_secret", "tenant_id": "lives-60s", "client_id": "c-1", "authority": url}});
        assert_eq!(
            keep("a provider whose credentials are fetched", providers().json(&body)).await,
            201
        );
    }
    let aws = format!("http://{}", app.scripted.addr());
    let signed = json!({"name": "signed", "type": "bedrock", "base_url": aws, "allow_private": true,
        "keys": [format!("AKIA0123456789EXAMPLE:{AWS_SECRET}:{AWS_SESSION}")],
        "settings": {"credential": "aws_static", "region": "us-east-1"}});
    assert_eq!(
        keep("a provider whose requests are signed", providers().json(&signed)).await,
        201
    );
    let mut other = signed.clone();
    other["keys"] = json!([format!("{AWS_SECRET}:{AWS_SESSION}")]);
    assert_eq!(keep("a key that can't sign", providers().json(&other)).await, 409);
    let mut bad = body.clone();
    bad["base_url"] = format!("http://user:{SECOND_PROVIDER_KEY}@h").into();
    assert_eq!(keep("a bad base URL", providers().json(&bad)).await, 400);
    bad["base_url"] = json!([SECOND_PROVIDER_KEY]);
    assert_eq!(keep("a base URL of the wrong type", providers().json(&bad)).await, 400);
    bad = body.clone();
    bad["keys"] = json!({"key": SECOND_PROVIDER_KEY});
    assert_eq!(keep("keys of the wrong type", providers().json(&bad)).await, 400);
    bad["keys"] = json!([]);
    bad["secret"] = json!(SECOND_PROVIDER_KEY);
    assert_eq!(keep("an unknown field", providers().json(&bad)).await, 400);
    let broken = format!("{{\"keys\": [\"{PROVIDER_KEY}\"");
    assert_eq!(keep("broken JSON", providers().text(&broken)).await, 400);
    assert_eq!(keep("a revoked token", get(url("whoami")).bearer(&revoked)).await, 401);
    let typo = format!("{}x", &app.token[..45]);
    assert_eq!(keep("a mistyped token", get(url("whoami")).bearer(&typo)).await, 401);
    assert_eq!(
        keep("a denied call", get(url("ai-gateway/keys")).bearer(&app.token)).await,
        403
    );
    assert_eq!(
        keep(
            "a token in a path",
            get(url(&format!("users/{}", app.token))).bearer(&app.owner)
        )
        .await,
        404
    );
    revoked
}

/// Requests of every kind, good and bad, with every kind of credential in every place where it may come.
async fn use_the_gateway(base: &str, app: &App, others: &[&str], seen: &mut Seen) {
    let mut keep = async |what: String, call: Call| {
        let answer = call.send().await;
        seen.add(format!("the answer to {what}"), &answer.body);
        seen.add(
            format!("the headers of the answer to {what}"),
            format!("{:?}", answer.headers),
        );
        answer.status
    };
    for endpoint in [Endpoint::Messages, Endpoint::ChatCompletions, Endpoint::Responses] {
        for scenario in Scenario::ALL
            .iter()
            .copied()
            .filter(|s| !matches!(s, Scenario::Idle | Scenario::Hang | Scenario::Huge))
        {
            let ask = Ask::new(endpoint, scenario, true, "marker-of-a-prompt");
            keep(
                format!("{} {}", endpoint.name(), scenario.name()),
                ask.call(base, &app.token),
            )
            .await;
        }
        let ask = Ask::new(endpoint, Scenario::Text, false, "marker-of-a-prompt");
        for (nth, wrong) in others.iter().enumerate() {
            let status = keep(
                format!("{} with a wrong token {nth}", endpoint.name()),
                ask.call(base, wrong),
            )
            .await;
            assert_eq!(status, 401);
        }
        // The user's own provider key, with the token beside it.
        for scenario in [Scenario::Text, Scenario::Error401, Scenario::Cut] {
            let ask = Ask::new(endpoint, scenario, false, "marker-of-a-prompt");
            let call = ask.call(base, BYOK).header("x-lychgate-token", &app.token);
            keep(format!("{} byok {}", endpoint.name(), scenario.name()), call).await;
        }
        // Beside them, credentials are fetched.
        let mut requests = app.scripted.requests();
        requests.retain(|request| !request.path.ends_with("/token"));
        let seen_upstream = requests.pop().unwrap();
        let credential = if endpoint == Endpoint::Messages {
            "x-api-key"
        } else {
            "authorization"
        };
        assert_eq!(
            seen_upstream.header(credential).unwrap().trim_start_matches("Bearer "),
            BYOK,
            "it goes to the provider"
        );
        assert!(seen_upstream.header("x-lychgate-token").is_none());
        let mut broken = ask.call(base, &app.token);
        broken = broken.text("{\"model\": ");
        assert_eq!(keep(format!("{} broken JSON", endpoint.name()), broken).await, 400);
    }
    // A provider that can't be reached.
    let dead = post(format!("{base}/ai/other/v1/chat/completions"))
        .bearer(&app.token)
        .json(&json!({"model": "m", "messages": []}));
    let status = keep("a dead provider".to_owned(), dead).await;
    assert!(matches!(status, 404 | 502), "{status}");
}

/// Requests of a provider whose credential is fetched, and of one whose authority refuses.
async fn use_what_is_fetched(base: &str, app: &App, seen: &mut Seen) {
    for (name, status, words) in [("entra", 200, "choices"), ("refused", 503, "invalid_client")] {
        let served = async || {
            let body = json!({"model": "gpt-5", "messages": [{"role": "user", "content": "Hi"}]});
            let path = format!("{base}/ai/{name}/openai/v1/chat/completions");
            let answer = post(path).bearer(&app.token).json(&body).send().await;
            (answer.status == status && answer.text().contains(words)).then_some(answer.body)
        };
        let answer = eventually("the credential is there, or is known not to be", served).await;
        seen.add(format!("the answer of {name}"), answer);
    }
    let requests = app.scripted.requests();
    let sent = requests.iter().filter_map(|request| request.header("authorization"));
    assert!(
        sent.into_iter().any(|sent| sent.ends_with("-for-a-while")),
        "it goes to the provider"
    );
}

/// A request that is signed with a key which its provider refuses.
async fn use_what_is_signed(base: &str, app: &App, seen: &mut Seen) {
    let body = json!({"messages": [{"role": "user", "content": [{"text": "Hi"}]}]});
    let call = post(format!("{base}/ai/signed/model/m/converse")).bearer(&app.token);
    let answer = call.json(&body).send().await.expect(403);
    seen.add("the answer to a signed request", &answer.body);
    seen.add("its headers", format!("{:?}", answer.headers));
    let sent = app.scripted.requests().pop().unwrap();
    assert_eq!(
        sent.header("x-amz-security-token"),
        Some(AWS_SESSION),
        "it goes to the provider"
    );
}

/// Help texts, listings, and commands that fail.
async fn use_the_command_line(app: &App, key: &str, seen: &mut Seen) {
    for command in [
        "",
        "dev",
        "server",
        "gateway",
        "migrate",
        "keys",
        "users",
        "tokens",
        "providers",
        "interceptions",
        "audit",
        "whoami",
        "clients",
        "login",
        "openapi",
        "completions",
        "keys create",
        "users create",
        "tokens create",
        "providers create",
        "providers update",
        "interceptions list",
        "audit list",
        "keys list",
        "keys rotate",
        "keys update",
        "keys disable",
        "keys delete",
    ] {
        let words: Vec<&str> = command.split_whitespace().chain(["--help"]).collect();
        // With the secrets in the environment, where a help text could show them as defaults.
        let mut help = app.command();
        help.args(&words)
            .env("LYCHGATE_KEY", key)
            .env("LYCHGATE_TOKEN", &app.token)
            .env("LYCHGATE_MASTER_KEY", PROVIDER_KEY);
        help.env("LYCHGATE_BOOTSTRAP_TOKEN", &app.owner).env(
            "LYCHGATE_DATABASE_URL",
            format!("postgres://u:{SECOND_PROVIDER_KEY}@h/d"),
        );
        let shown = finish(help, "").await;
        assert_eq!(shown.code, 0, "{command}: {}", shown.all());
        seen.add(format!("the help of {command:?}"), shown.all());
        if matches!(command, "server" | "gateway") {
            let mut wrong = app.command();
            wrong
                .args([command, "--listen", "nowhere"])
                .env("LYCHGATE_KEY", &app.token)
                .env("LYCHGATE_MASTER_KEY", PROVIDER_KEY);
            wrong.env("LYCHGATE_BOOTSTRAP_TOKEN", key).env(
                "LYCHGATE_DATABASE_URL",
                format!("postgres://u:{SECOND_PROVIDER_KEY}@h:x/d"),
            );
            let finished = finish(wrong, "").await;
            assert_eq!(finished.code, 2, "{}", finished.all());
            seen.add(format!("the errors of {command:?}"), finished.all());
        }
    }
    for words in [
        "keys list",
        "keys show edge-1",
        "keys rotate edge-1",
        "keys rotate nobody",
        "keys update edge-1 --description rack --expires-in 1d",
        "keys disable edge-1",
        "keys enable edge-1",
        "users list",
        "tokens list",
        "providers list",
        "providers show other",
        "providers show anthropic",
        "interceptions list",
        "audit list",
        "whoami",
        "keys show nobody",
        "users create alice",
        "openapi",
        "clients",
        "clients claude-code",
    ] {
        let words: Vec<&str> = words.split_whitespace().collect();
        seen.add(format!("the output of {words:?}"), app.cli(&words).await.all());
        let json = [words.as_slice(), &["-o", "json"]].concat();
        seen.add(format!("the output of {json:?}"), app.cli(&json).await.all());
    }
}

/// Every listing and every record that the API has, page by page.
async fn read_all(app: &App, seen: &mut Seen) {
    for (path, list) in [
        ("users", "users"),
        ("tokens", "tokens"),
        ("ai-gateway/keys", "keys"),
        ("ai-gateway/providers", "providers"),
        ("ai-gateway/interceptions", "interceptions"),
        ("audit-entries", "audit_entries"),
    ] {
        let mut after = String::new();
        loop {
            let answer = app.api(&format!("{path}?limit=100{after}")).send().await.expect(200);
            seen.add(format!("the listing of {path}"), &answer.body);
            let page = answer.value();
            let items = page[list]
                .as_array()
                .unwrap_or_else(|| panic!("{path} lists {list}: {page:#}"));
            assert!(
                !items.is_empty() || !after.is_empty() || list == "keys",
                "{path} is empty"
            );
            if !path.starts_with("audit") {
                for item in items {
                    let one = app
                        .api(&format!("{path}/{}", item["id"].as_str().unwrap()))
                        .send()
                        .await
                        .expect(200);
                    seen.add(format!("the records of {path}"), &one.body);
                }
            }
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => break,
            }
        }
    }
}
