//! What providers store belongs to the user who made it.

use crate::support::{CENTRAL_KEY, Client, World, ready, start, until};
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use lychgate_link::LinkError;
use lychgate_types::Ambient;
use lychgate_types::policy::{ProviderPolicy, StoredObjects};
use lychgate_types::secret::UserTokenSecret;

/// A request: its line, and its body.
type Asked = (String, String);

const MADE: &str = r#"{"id":"resp_a","status":"completed","output":[],"usage":{"input_tokens":1,"output_tokens":1}}"#;

async fn send(world: &World, token: &UserTokenSecret, (line, body): &Asked) -> Client {
    let mut client = world.client().await;
    let headers = format!("authorization: Bearer {}\r\n", token.expose());
    client.send(line, &headers, body.as_bytes()).await;
    client
}

/// The status of a request that the provider gets to see, and answers with this.
async fn relayed(world: &World, token: &UserTokenSecret, asked: &Asked, answer: &str) -> u16 {
    let mut client = send(world, token, asked).await;
    let mut exchange = world.provider.next().await;
    exchange.json("200 OK", "", answer).await;
    let (head, _) = client.answer().await;
    exchange.done();
    head.status
}

/// The statuses of requests that the provider does not get to see; all at once, since each takes its time.
async fn refused(world: &World, token: &UserTokenSecret, all: &[Asked]) -> Vec<u16> {
    let statuses = all
        .iter()
        .map(|asked| async move { send(world, token, asked).await.answer().await.0.status });
    join_all(statuses).await
}

fn path(method: &str, rest: &str) -> Asked {
    (format!("{method} /ai/openai/v1{rest}"), String::new())
}

fn body(member: &str) -> Asked {
    let (line, _) = path("POST", "/responses");
    (line, format!(r#"{{"model":"m","input":"x"{member}}}"#))
}

/// Every way to name a response or a conversation: first those by the path, then those in a body.
fn uses(response: &str, conversation: &str) -> Vec<Asked> {
    vec![
        path("GET", &format!("/responses/{response}")),
        path("GET", &format!("/responses/{response}?stream=true&starting_after=5")),
        path("GET", &format!("/responses/{response}/input_items")),
        path("POST", &format!("/responses/{response}/cancel")),
        path("DELETE", &format!("/responses/{response}")),
        path("GET", &format!("/conversations/{conversation}")),
        path("POST", &format!("/conversations/{conversation}")),
        path("GET", &format!("/conversations/{conversation}/items")),
        path("POST", &format!("/conversations/{conversation}/items")),
        path("DELETE", &format!("/conversations/{conversation}/items/msg_1")),
        path("DELETE", &format!("/conversations/{conversation}")),
        body(&format!(r#","previous_response_id":"{response}""#)),
        body(&format!(r#","conversation":"{conversation}""#)),
        body(&format!(r#","conversation":{{"id":"{conversation}"}}"#)),
    ]
}
const BY_PATH: usize = 11;
const OF_THEM_CHANGES: usize = 6;

/// A world in which its token's user has made `resp_a` and `conv_a`; and another user.
async fn made() -> (World, UserTokenSecret) {
    made_with(|_| {}).await
}

/// The same, where the provider has another policy.
async fn made_with(policy: impl Fn(&mut ProviderPolicy)) -> (World, UserTokenSecret) {
    let world = World::with_policy(policy).await;
    let bob = world.control.valid_token();
    assert_eq!(relayed(&world, &world.token, &body(""), MADE).await, 200);
    let conversation = path("POST", "/conversations");
    assert_eq!(
        relayed(&world, &world.token, &conversation, r#"{"id":"conv_a"}"#).await,
        200
    );
    world.control.delivered(2).await;
    (world, bob)
}

#[tokio::test]
async fn only_its_maker_uses_what_is_stored() {
    let (world, bob) = made().await;
    let all = uses("resp_a", "conv_a");
    assert_eq!(refused(&world, &bob, &all).await, vec![404; all.len()]);
    for asked in &all {
        assert_eq!(relayed(&world, &world.token, asked, MADE).await, 200, "{asked:?}");
    }
    let series = "lychgate_requests_refused_total{reason=\"object_unknown\"}";
    assert_eq!(world.metric(series).await, all.len() as f64);
}

const INPUT_TOKENS: &str = "POST /ai/openai/v1/responses/input_tokens";

/// Bodies that name the response or one of its items, and where they go.
fn questions_and_references(response: &str, item: &str) -> Vec<Asked> {
    let (create, _) = body("");
    let reference = format!(r#"{{"type":"item_reference","id":"{item}"}}"#);
    let bare = format!(r#"{{"id":"{item}"}}"#);
    let picture = format!(r#"{{"type":"image_generation_call","id":"{item}"}}"#);
    let escaped = reference.replace("item_reference", "item\\u005freference");
    let with = |line: &str, item: &str| {
        (
            line.to_owned(),
            format!(r#"{{"input":[{item},{{"role":"user","content":"x"}}]}}"#),
        )
    };
    let items = |line: &str| {
        (
            format!("POST /ai/openai/v1{line}"),
            format!(r#"{{"items":[{reference}]}}"#),
        )
    };
    vec![
        with(&create, &reference),
        with(&create, &bare),
        with(&create, &picture),
        with(&create, &escaped),
        with(INPUT_TOKENS, &reference),
        (
            INPUT_TOKENS.to_owned(),
            format!(r#"{{"previous_response_id":"{response}"}}"#),
        ),
        items("/conversations"),
    ]
}

#[tokio::test]
async fn reasoning_that_the_provider_is_to_look_up_is_its_makers() {
    let world = World::new().await;
    let bob = world.control.valid_token();
    let answer = MADE.replace(
        r#""output":[]"#,
        r#""output":[{"type":"reasoning","id":"rs_a","summary":[],"encrypted_content":"gAAA"}]"#,
    );
    assert_eq!(relayed(&world, &world.token, &body(""), &answer).await, 200);
    assert_eq!(world.control.delivered(1).await.remove(0).stored_items, ["rs_a"]);
    let with = |rest: &str| {
        let item = format!(r#"{{"type":"reasoning","id":"rs_a","summary":[]{rest}}}"#);
        (body("").0, format!(r#"{{"input":[{item}]}}"#))
    };
    let named = with("");
    assert_eq!(refused(&world, &bob, std::slice::from_ref(&named)).await, [404]);
    assert_eq!(relayed(&world, &world.token, &named, MADE).await, 200);
    // As clients send it that store nothing.
    assert_eq!(
        relayed(&world, &bob, &with(r#","encrypted_content":"gAAA""#), MADE).await,
        200
    );
}

#[tokio::test]
async fn items_and_questions_about_them_are_their_makers_too() {
    let world = World::new().await;
    let bob = world.control.valid_token();
    let answer = MADE.replace(
        r#""output":[]"#,
        r#""output":[{"type":"message","id":"msg_a","content":[]}]"#,
    );
    assert_eq!(relayed(&world, &world.token, &body(""), &answer).await, 200);
    let made = world.control.delivered(1).await.remove(0);
    assert_eq!(made.stored_items, ["msg_a"]);
    let all = questions_and_references("resp_a", "msg_a");
    assert_eq!(refused(&world, &bob, &all).await, vec![404; all.len()]);
    for asked in &all {
        assert_eq!(relayed(&world, &world.token, asked, MADE).await, 200, "{asked:?}");
    }
    // What nobody is known to have made; and what is no reference.
    for asked in &questions_and_references("resp_x", "msg_x") {
        assert_eq!(relayed(&world, &bob, asked, "{}").await, 200, "{asked:?}");
    }
    let (create, _) = body("");
    let whole = (
        create,
        r#"{"input":[{"type":"message","id":"msg_a","role":"assistant","content":"x"}]}"#.to_owned(),
    );
    assert_eq!(relayed(&world, &bob, &whole, "{}").await, 200);
    let many: Vec<_> = (0..65).map(|n| format!(r#"{{"id":"msg_{n}"}}"#)).collect();
    let many = (INPUT_TOKENS.to_owned(), format!(r#"{{"input":[{}]}}"#, many.join(",")));
    assert_eq!(refused(&world, &bob, &[many]).await, [400]);
}

#[tokio::test]
async fn an_answer_in_sound_is_its_makers() {
    let world = World::new().await;
    let bob = world.control.valid_token();
    let asked = |sound: &str| {
        let (line, _) = path("POST", "/chat/completions");
        let answer = format!(r#"{{"role":"assistant","audio":{{"id":"{sound}"}}}}"#);
        let body =
            format!(r#"{{"model":"m","audio":{{"voice":"v"}},"messages":[{answer},{{"role":"user","content":"x"}}]}}"#);
        (line, body)
    };
    let answer = r#"{"id":"chatcmpl-1","choices":[{"index":0,"message":{"audio":{"id":"audio_a","data":"AA"}},"finish_reason":"stop"}]}"#;
    assert_eq!(relayed(&world, &world.token, &asked("audio_x"), answer).await, 200);
    let made = world.control.delivered(1).await.remove(0);
    assert_eq!(
        (made.stored_object.as_deref(), &made.stored_items[..]),
        (None, &["audio_a".to_owned()][..])
    );
    assert_eq!(refused(&world, &bob, &[asked("audio_a")]).await, [404]);
    assert_eq!(relayed(&world, &world.token, &asked("audio_a"), answer).await, 200);
}

#[tokio::test]
async fn a_coded_question_is_read_and_what_is_not_stored_has_no_items() {
    use std::io::Write as _;
    let (world, bob) = made().await;
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(br#"{"previous_response_id":"resp_a"}"#).unwrap();
    let mut client = world.client().await;
    let headers = format!("authorization: Bearer {}\r\ncontent-encoding: gzip\r\n", bob.expose());
    client.send(INPUT_TOKENS, &headers, &gzip.finish().unwrap()).await;
    assert_eq!(client.answer().await.0.status, 404);
    let answer = r#"{"id":"resp_b","status":"completed","output":[{"type":"message","id":"msg_b"}]}"#;
    let asked = body(r#","store":false,"previous_response_id":"resp_a""#);
    assert_eq!(relayed(&world, &world.token, &asked, answer).await, 200);
    let record = world.control.delivered(3).await.remove(2);
    assert!(record.stored_items.is_empty());
    assert_eq!(record.thread_parent_response_id.as_deref(), Some("resp_a"));
}

#[tokio::test]
async fn what_nobody_is_known_to_have_made_is_everybodys_and_stays_so() {
    let (world, bob) = made().await;
    // Bob's changes come first, and his answers name them: they are not his for it.
    for (token, id) in [(&bob, "resp_old"), (&world.token, "resp_old"), (&bob, "resp_old")] {
        for asked in &uses(id, "conv_old")[..BY_PATH] {
            let answer = format!(r#"{{"id":"{id}","deleted":true}}"#);
            assert_eq!(relayed(&world, token, asked, &answer).await, 200, "{asked:?}");
        }
    }
    let records = world.control.delivered(2 + 3 * OF_THEM_CHANGES).await;
    assert!(records[2..].iter().all(|record| record.stored_object.is_none()));
    for asked in &uses("resp_old", "conv_old")[BY_PATH..] {
        let answer = MADE.replace("resp_a", "resp_new");
        assert_eq!(relayed(&world, &bob, asked, &answer).await, 200, "{asked:?}");
    }
    // What continues it is its maker's.
    let new = path("GET", "/responses/resp_new");
    world.control.delivered(2 + 3 * OF_THEM_CHANGES + 3).await;
    assert_eq!(refused(&world, &world.token, &[new]).await, [404]);
}

#[tokio::test]
async fn what_is_made_here_is_not_everybodys_until_its_record_arrives() {
    let world = World::new().await;
    let bob = world.control.valid_token();
    world.control.hold_deliveries();
    assert_eq!(relayed(&world, &world.token, &body(""), MADE).await, 200);
    let asked = path("GET", "/responses/resp_a");
    assert_eq!(refused(&world, &bob, std::slice::from_ref(&asked)).await, [404]);
    assert_eq!(relayed(&world, &world.token, &asked, "{}").await, 200);
}

#[tokio::test]
async fn a_policy_lets_users_use_only_what_is_known_to_be_theirs() {
    let (world, bob) = made_with(|policy| policy.relay.stored_objects = StoredObjects::Own).await;
    for (token, response, conversation) in [(&bob, "resp_a", "conv_a"), (&world.token, "resp_b", "conv_b")] {
        let all = uses(response, conversation);
        assert_eq!(refused(&world, token, &all).await, vec![404; all.len()]);
    }
    for asked in &uses("resp_a", "conv_a") {
        assert_eq!(relayed(&world, &world.token, asked, MADE).await, 200, "{asked:?}");
    }
}

#[tokio::test]
async fn the_refusal_has_the_providers_shape() {
    let (world, bob) = made().await;
    let (head, body) = send(&world, &bob, &path("GET", "/responses/resp_a"))
        .await
        .answer()
        .await;
    assert_eq!(
        (head.status, head.header("x-lychgate-reason")),
        (404, Some("object_unknown"))
    );
    let text = String::from_utf8(body).unwrap();
    assert!(
        text.contains("invalid_request_error") && !text.contains("resp_a"),
        "{text}"
    );
}

#[tokio::test]
async fn what_changes_it_is_recorded_without_tokens_and_reading_is_not() {
    let (world, _) = made().await;
    let made = world.control.records();
    let facts = |at: usize| (made[at].api.as_str(), made[at].stored_object.as_deref());
    assert_eq!(facts(0), ("openai_responses", Some("resp_a")));
    assert_eq!(facts(1), ("openai_objects", Some("conv_a")));
    for asked in &uses("resp_a", "conv_a")[..BY_PATH] {
        let answer = r#"{"id":"resp_a","deleted":true}"#;
        assert_eq!(relayed(&world, &world.token, asked, answer).await, 200, "{asked:?}");
    }
    let records = world.control.delivered(2 + OF_THEM_CHANGES).await;
    for record in &records[1..] {
        assert_eq!(
            (record.api.as_str(), record.outcome.as_str()),
            ("openai_objects", "completed")
        );
        assert!(
            record.token_usages.is_empty() && record.provider == "openai",
            "{record:?}"
        );
    }
}

#[tokio::test]
async fn another_replica_asks_the_control_plane() {
    let (world, bob) = made().await;
    let options = |options: &mut lychgate_gateway::Options| {
        options.spool.directory = world.control.spool_directory().join("other");
    };
    let (gateway, address) = start(&world.control, options, Ambient::system()).await;
    ready(&gateway).await;
    let other = World {
        gateway,
        address,
        ..world
    };
    let asked = path("GET", "/responses/resp_a");
    assert_eq!(refused(&other, &bob, std::slice::from_ref(&asked)).await, [404]);
    // The maker's, and from then on also while there is nobody to ask.
    assert_eq!(relayed(&other, &other.token, &asked, "{}").await, 200);
    other.control.go_down(LinkError::Unreachable("down".into()));
    assert_eq!(relayed(&other, &other.token, &asked, "{}").await, 200);
    let unknown = path("GET", "/conversations/conv_a");
    assert_eq!(refused(&other, &other.token, &[unknown]).await, [503]);
}

#[tokio::test]
async fn those_who_ask_about_an_object_share_one_question_and_are_bounded() {
    let (world, _) = made().await;
    world.control.hold_questions(true);
    let asked = path("GET", "/responses/resp_a");
    let bobs = [1, 1].map(|user| world.control.valid_token_of(user));
    let all = (0..40).map(|n: usize| {
        let (world, token, asked) = (&world, &bobs[n % 2], &asked);
        async move { send(world, token, asked).await.answer().await.0.status }
    });
    let mut answers: FuturesUnordered<_> = all.collect();
    for _ in 0..8 {
        assert_eq!(answers.next().await, Some(503), "beyond the places of one user");
    }
    // Another's requests have places.
    let conversation = path("GET", "/conversations/conv_x");
    let (alices, ()) = tokio::join!(relayed(&world, &world.token, &conversation, "{}"), async {
        until(|| world.control.questions() == 3).await;
        world.control.hold_questions(false);
    });
    assert_eq!(alices, 200);
    assert_eq!(answers.collect::<Vec<_>>().await, [404; 32]);
    assert_eq!(world.control.questions(), 3, "one for each object and token");
}

#[tokio::test]
async fn the_references_of_a_request_are_one_question() {
    let world = World::new().await;
    world.control.hold_questions(true);
    let items: Vec<_> = (0..64)
        .map(|n| format!(r#"{{"type":"item_reference","id":"msg_{n}"}}"#))
        .collect();
    let asked = body(&format!(
        r#","previous_response_id":null,"tools":[],"input":[{}]"#,
        items.join(",")
    ));
    let asked = (asked.0, asked.1.replace(r#""input":"x","#, ""));
    let (status, ()) = tokio::join!(relayed(&world, &world.token, &asked, MADE), async {
        until(|| world.control.questions() == 1).await;
        world.control.hold_questions(false);
    });
    assert_eq!((status, world.control.questions()), (200, 1));
}

#[tokio::test]
async fn a_policy_shares_everything() {
    let (world, bob) = made_with(|policy| policy.relay.stored_objects = StoredObjects::All).await;
    let asked = path("GET", "/responses/resp_a");
    assert_eq!(relayed(&world, &bob, &asked, "{}").await, 200);
    // Nobody has to be asked for it.
    world.control.go_down(LinkError::Unreachable("down".into()));
    assert_eq!(relayed(&world, &bob, &asked, "{}").await, 200);
}

#[tokio::test]
async fn with_an_own_key_only_what_another_is_known_to_have_made_is_refused() {
    for usable in [StoredObjects::Unclaimed, StoredObjects::Own] {
        let (world, bob) = made_with(|policy| policy.relay.stored_objects = usable).await;
        let token = bob.expose();
        let headers = format!("x-lychgate-token: {token}\r\nauthorization: Bearer {CENTRAL_KEY}-own\r\n");
        for (line, body) in uses("resp_a", "conv_a") {
            let mut client = world.client().await;
            client.send(&line, &headers, body.as_bytes()).await;
            assert_eq!(client.answer().await.0.status, 404, "{line}");
        }
        let mut client = world.client().await;
        client.send(&path("GET", "/responses/resp_own").0, &headers, b"").await;
        let mut exchange = world.provider.next().await;
        exchange.json("200 OK", "", "{}").await;
        assert_eq!(client.answer().await.0.status, 200);
        exchange.done();
    }
}
