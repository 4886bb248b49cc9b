//! Families of endpoints about what providers store: files, batches, vector stores, containers, skills. Relayed, recorded and owned.

use crate::support::{CENTRAL_KEY, Client, World, config};
use lychgate_types::policy::{RelayPolicy, StoredObjects};
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::UserTokenSecret;

/// A path below the provider's name, a method on it, and whether that is recorded.
type Use = (&'static str, String, bool);

/// What is asked below one object of each family: first of OpenAI, then of Anthropic. What changes nothing is not recorded.
fn uses(provider: &str, id: &str) -> Vec<Use> {
    let of = |method, rest: &str| {
        (
            method,
            format!("/{provider}/v1{}", rest.replace("ID", id)),
            method != "GET",
        )
    };
    let openai = [
        of("GET", "/files/ID"),
        of("GET", "/files/ID/content"),
        of("DELETE", "/files/ID"),
        of("POST", "/uploads/ID/parts"),
        of("POST", "/uploads/ID/complete"),
        of("GET", "/batches/ID"),
        of("POST", "/batches/ID/cancel"),
        of("POST", "/vector_stores/ID"),
        of("POST", "/vector_stores/ID/search"),
        of("GET", "/vector_stores/ID/files"),
        of("DELETE", "/vector_stores/ID/files/file_1"),
        of("POST", "/vector_stores/ID/file_batches/b/cancel"),
        of("GET", "/containers/ID/files/f/content"),
        of("DELETE", "/containers/ID"),
        of("GET", "/skills/ID/content"),
        of("POST", "/skills/ID/versions"),
    ];
    let anthropic = [
        of("GET", "/files/ID/content"),
        of("DELETE", "/files/ID"),
        of("GET", "/messages/batches/ID/results"),
        of("POST", "/messages/batches/ID/cancel"),
        of("DELETE", "/messages/batches/ID"),
        of("GET", "/skills/ID/versions/1"),
    ];
    match provider {
        "anthropic" => anthropic.into(),
        _ => openai.into(),
    }
}

/// Where objects are made.
fn makers(provider: &str) -> &'static [&'static str] {
    match provider {
        "anthropic" => &["/files", "/messages/batches", "/skills"],
        _ => &[
            "/files",
            "/uploads",
            "/batches",
            "/vector_stores",
            "/containers",
            "/skills",
        ],
    }
}

fn bearer(token: &UserTokenSecret) -> String {
    format!("authorization: Bearer {}\r\n", token.expose())
}

async fn send(world: &World, headers: &str, method: &str, path: &str, body: &str) -> Client {
    let mut client = world.client().await;
    client
        .send(&format!("{method} /ai{path}"), headers, body.as_bytes())
        .await;
    client
}

/// The status of a request that the provider gets to see.
async fn relayed(world: &World, headers: &str, (method, path): (&str, &str), body: &str, answer: &str) -> u16 {
    let mut client = send(world, headers, method, path, body).await;
    let mut exchange = world.provider.next().await;
    assert_eq!(exchange.body, body.as_bytes(), "as it came");
    exchange.json("200 OK", "", answer).await;
    let (head, got) = client.answer().await;
    exchange.done();
    assert_eq!(got, answer.as_bytes());
    head.status
}

/// Status and text of a request that the provider does not get to see.
async fn refused(world: &World, headers: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let (head, body) = send(world, headers, method, path, body).await.answer().await;
    (head.status, String::from_utf8(body).unwrap())
}

/// A world with a provider of each family, and this for their policy.
async fn world(change: impl Fn(&mut RelayPolicy)) -> World {
    let world = World::new().await;
    let mut providers = vec![
        config("openai", ProviderType::OpenAi, &world.provider.url("/v1")),
        config("anthropic", ProviderType::Anthropic, &world.provider.url("")),
    ];
    for provider in &mut providers {
        let relay = &mut provider.policy.relay;
        (relay.files, relay.batches) = (true, true);
        (relay.vector_stores, relay.containers, relay.skills) = (true, true, true);
        change(&mut provider.policy.relay);
    }
    world.control.configure(providers);
    world.control.until_in_force().await;
    world
}

#[tokio::test]
async fn what_is_made_is_recorded_and_its_makers() {
    for provider in ["openai", "anthropic"] {
        let world = world(|_| {}).await;
        let (alice, bob) = (bearer(&world.token), bearer(&world.control.valid_token()));
        let mut records = 0;
        for maker in makers(provider) {
            let path = format!("/{provider}/v1{maker}");
            let status = relayed(&world, &alice, ("POST", &path), "--form", r#"{"id":"made_a"}"#).await;
            records += 1;
            assert_eq!(status, 200, "{path}");
        }
        for record in world.control.delivered(records).await {
            assert_eq!(record.api.as_str(), format!("{provider}_objects"));
            assert_eq!(
                (record.stored_object.as_deref(), record.outcome.as_str()),
                (Some("made_a"), "completed")
            );
            assert!(
                record.token_usages.is_empty() && record.provider == provider,
                "{record:?}"
            );
        }
        for (method, path, is_recorded) in uses(provider, "made_a") {
            let (status, text) = refused(&world, &bob, method, &path, "").await;
            assert!(
                status == 404 && !text.contains("made_a"),
                "{method} {path}: {status} {text}"
            );
            assert_eq!(
                relayed(&world, &alice, (method, &path), "", "{}").await,
                200,
                "{method} {path}"
            );
            records += usize::from(is_recorded);
        }
        assert!(
            world
                .control
                .delivered(records)
                .await
                .iter()
                .all(|record| record.token_usages.is_empty())
        );
    }
}

#[tokio::test]
async fn who_names_anothers_object_in_a_body_is_refused() {
    let world = world(|_| {}).await;
    let (alice, bob) = (bearer(&world.token), bearer(&world.control.valid_token()));
    for path in ["/openai/v1/files", "/anthropic/v1/files"] {
        relayed(&world, &alice, ("POST", path), "", r#"{"id":"file_a"}"#).await;
    }
    world.control.delivered(2).await;
    let messages = r#"{"model":"m","messages":[{"role":"user","content":[{"type":"document","source":{"type":"file","file_id":"file_a"}}]}]}"#;
    for (path, body) in [
        (
            "/openai/v1/responses",
            r#"{"model":"m","input":[{"role":"user","content":[{"type":"input_file","file_id":"file_a"}]}]}"#,
        ),
        (
            "/openai/v1/chat/completions",
            r#"{"model":"m","messages":[{"role":"user","content":[{"type":"file","file":{"file_id":"file_a"}}]}]}"#,
        ),
        (
            "/openai/v1/responses/input_tokens",
            r#"{"input":[{"role":"user","content":[{"type":"input_file","file_id":"file_a"}]}]}"#,
        ),
        ("/openai/v1/vector_stores", r#"{"file_ids":["file_a"]}"#),
        ("/openai/v1/batches", "\u{feff}{\"input_file_id\":\"file_a\"}"),
        ("/anthropic/v1/messages", messages),
        ("/anthropic/v1/messages/count_tokens", messages),
        (
            "/anthropic/v1/messages/batches",
            r#"{"requests":[{"custom_id":"c","params":{"container":{"id":"file_a"}}}]}"#,
        ),
    ] {
        assert_eq!(refused(&world, &bob, "POST", path, body).await.0, 404, "{path}");
        assert_eq!(relayed(&world, &alice, ("POST", path), body, "{}").await, 200, "{path}");
    }
}

/// It is on record as unfinished, as a response that is made in the background.
#[tokio::test]
async fn the_files_that_a_batch_has_made_are_its_makers() {
    for (state, more, outcome, files) in [
        (
            "completed",
            r#","output_file_id":"file_o","error_file_id":"file_e""#,
            "completed",
            &["file_o", "file_e"][..],
        ),
        (
            "expired",
            r#","output_file_id":"file_o","error_file_id":null"#,
            "completed",
            &["file_o"],
        ),
        (
            "cancelled",
            r#","output_file_id":"file_o""#,
            "client_aborted",
            &["file_o"],
        ),
        (
            "failed",
            r#","errors":{"object":"list","data":[{"code":"bad_line","message":"Line 1"}]}"#,
            "failed",
            &[],
        ),
    ] {
        let world = world(|_| {}).await;
        let alice = bearer(&world.token);
        let batch =
            |state: &str, more: &str| format!(r#"{{"id":"batch_a","object":"batch","status":"{state}"{more}}}"#);
        let made = r#"{"input_file_id":"file_i"}"#;
        relayed(
            &world,
            &alice,
            ("POST", "/openai/v1/batches"),
            made,
            &batch("validating", ""),
        )
        .await;
        let made = world.control.delivered(1).await.remove(0);
        assert_eq!(
            (made.outcome.as_str(), made.stored_object.as_deref()),
            ("unfinished", Some("batch_a"))
        );
        assert!(made.token_usages.is_empty() && made.stored_items.is_empty());
        let path = "/openai/v1/batches/batch_a";
        relayed(
            &world,
            &alice,
            ("GET", path),
            "",
            &batch("in_progress", r#","output_file_id":null"#),
        )
        .await;
        for _ in 0..2 {
            relayed(&world, &alice, ("GET", path), "", &batch(state, more)).await;
        }
        // Behind which nothing more can come.
        relayed(&world, &alice, ("POST", "/openai/v1/batches"), "{}", "{}").await;
        let records = world.control.delivered(3).await;
        assert_eq!(records.len(), 3, "its end is told once");
        let end = &records[1];
        assert!(end.completes && end.id == made.id && end.stored_object.as_deref() == Some("batch_a"));
        assert_eq!(
            (end.outcome.as_str(), &end.stored_items[..]),
            (
                outcome,
                &files.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>()[..]
            )
        );
        assert_eq!(end.error_type.as_deref(), (state == "failed").then_some("bad_line"));
    }
}

const PART: &str = r#"{"type":"input_file","file_id":"file_a"}"#;

#[tokio::test]
async fn an_object_is_found_in_whatever_a_server_may_read() {
    let world = world(|_| {}).await;
    let (alice, bob) = (bearer(&world.token), bearer(&world.control.valid_token()));
    relayed(&world, &alice, ("POST", "/openai/v1/files"), "", r#"{"id":"file_a"}"#).await;
    relayed(
        &world,
        &bob,
        ("POST", "/openai/v1/vector_stores"),
        "",
        r#"{"id":"vs_b"}"#,
    )
    .await;
    world.control.delivered(2).await;
    let (responses, files) = ("/openai/v1/responses", "/openai/v1/vector_stores/vs_b/files");
    let conversations = "/openai/v1/conversations";
    let variables = format!(r#""prompt":{{"id":"pmpt_1","variables":{{"input":{PART},"file_id":"x"}}}}"#);
    let input = format!(r#""input":[{{"role":"user","content":[{{"type":"input_text","text":"\ud800"}},{PART}]}}]"#);
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let form = "content-type: multipart/form-data; boundary=x\r\n";
    let field = |name: &str| format!("--x\r\ncontent-disposition: form-data; name={name}\r\n\r\nfile_a\r\n--x--\r\n");
    for (path, header, body, status) in [
        (responses, "", format!(r#"{{"model":"m",{input}}}"#), 404),
        (responses, "", format!(r#"{{"model":"m","z":1e999,{input}}}"#), 404),
        (responses, "", format!(r#"{{"model":"m","z":{deep},{input}}}"#), 404),
        (responses, "", format!(r#"{{"model":"m","\udc00":1,{input}}}"#), 404),
        (responses, "", format!(r#"{{"model":"m",{variables}}}"#), 404),
        (responses, "", format!(r#"{{"model":"m","z":NaN,{input}}}"#), 400),
        (files, "", r#"{"File_Id":"file_a"}"#.into(), 404),
        (files, "", r#"{"x":NaN,"file_id":"file_a"}"#.into(), 400),
        (files, "", r#"{"x":NaN,"f\u0069le_id":"file_a"}"#.into(), 400),
        (files, "", "f%69le_id=file_a".into(), 400),
        (files, "", "{\0\"\0f\0i\0l\0e\0".into(), 400),
        (files, form, field("file_id"), 404),
        (files, form, field("\"files[0][file_id]\""), 404),
        (files, form, field("\"fi\\le_id\""), 400),
        (conversations, form, field("items"), 400),
        (conversations, form, field("\"Items[0][id]\""), 400),
        (conversations, "", "\u{17f}".repeat(1 << 20), 400),
        // Whoever made it: servers take off what is blank.
        (files, "", r#"{"file_id":"file_x "}"#.into(), 404),
        (files, "", r#"{"file_id":"\tfile_x"}"#.into(), 404),
        (files, form, field("file_id").replace("file_a", "\u{a0}file_x"), 404),
    ] {
        let got = refused(&world, &[&bob, header].concat(), "POST", path, &body).await;
        assert_eq!(got.0, status, "{}: {}", &body[..body.len().min(300)], got.1);
    }
    for (header, body) in [
        ("", r#"{"x":NaN}"#.to_owned()),
        ("", "neither JSON nor a form".to_owned()),
        ("", r#"{"x":"\ud800","y":1e999}"#.to_owned()),
        (form, field("file")),
        (form, field("\"attributes[file_id]\"")),
        ("", format!(r#"{{{}}}"#, variables.replace("file_a", "file_x"))),
    ] {
        let headers = [&bob, header].concat();
        assert_eq!(
            relayed(&world, &headers, ("POST", files), &body, "{}").await,
            200,
            "{body}"
        );
    }
}

#[tokio::test]
async fn the_file_that_an_upload_became_is_its_makers() {
    let world = world(|_| {}).await;
    let (alice, bob) = (bearer(&world.token), bearer(&world.control.valid_token()));
    relayed(
        &world,
        &alice,
        ("POST", "/openai/v1/uploads"),
        "{}",
        r#"{"id":"upload_a"}"#,
    )
    .await;
    let answer = r#"{"id":"upload_a","status":"completed","file":{"id":"file_a"}}"#;
    relayed(
        &world,
        &alice,
        ("POST", "/openai/v1/uploads/upload_a/complete"),
        "{}",
        answer,
    )
    .await;
    world.control.delivered(2).await;
    assert_eq!(refused(&world, &bob, "GET", "/openai/v1/files/file_a", "").await.0, 404);
}

#[tokio::test]
async fn a_list_of_what_everybody_made_is_for_those_who_share_it_or_own_it() {
    let lists = |provider| makers(provider).iter().filter(|maker| **maker != "/uploads");
    let private = world(|_| {}).await;
    let shared = world(|relay| relay.stored_objects = StoredObjects::All).await;
    for provider in ["openai", "anthropic"] {
        for list in lists(provider) {
            let path = format!("/{provider}/v1{list}?limit=2");
            let (status, text) = refused(&private, &bearer(&private.token), "GET", &path, "").await;
            assert!(
                status == 403 && text.contains("keep the ids of what you make"),
                "{path}: {text}"
            );
            assert_eq!(
                relayed(&shared, &bearer(&shared.token), ("GET", &path), "", r#"{"data":[]}"#).await,
                200
            );
            let token = private.token.expose();
            let own = format!("x-lychgate-token: {token}\r\nauthorization: Bearer {CENTRAL_KEY}-own\r\n");
            assert_eq!(
                relayed(&private, &own, ("GET", &path), "", r#"{"data":[]}"#).await,
                200,
                "{path}"
            );
        }
    }
    let series = "lychgate_requests_refused_total{reason=\"list_of_all\"}";
    assert_eq!(private.metric(series).await, 8.0);
}

#[tokio::test]
async fn without_a_policy_no_family_is_relayed() {
    let world = world(|relay| *relay = RelayPolicy::default()).await;
    let token = bearer(&world.token);
    for provider in ["openai", "anthropic"] {
        for maker in makers(provider) {
            let (status, text) = refused(&world, &token, "POST", &format!("/{provider}/v1{maker}"), "{}").await;
            let name = maker.rsplit('/').next().unwrap().replace("uploads", "files");
            assert!(
                status == 404 && text.contains(&format!("relay.{name}=false")),
                "{maker}: {text}"
            );
        }
    }
}
