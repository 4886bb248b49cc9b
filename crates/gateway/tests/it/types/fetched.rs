//! Credentials that are fetched with a provider key: ahead of time, in the background, and never in the way of a request.

use crate::support::provider::Exchange;
use crate::support::{CENTRAL_KEY, Provider, World, config, until};
use lychgate_link::{CloseReason, LinkError, Message, ProviderConfig};
use lychgate_types::interception::Outcome;
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::ProviderSecret;
use lychgate_types::{Ambient, KeyRefusal};
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

const PATH: &str = "/ai/azure/openai/v1/chat/completions";
const REQUEST: &[u8] = br#"{"model":"m","messages":[]}"#;
const CLIENT: &str = "0a1b2c3d-client";
const PATIENCE: Duration = Duration::from_secs(20);

fn azure(provider_type: ProviderType, base_url: &str, authority: &Provider) -> ProviderConfig {
    let mut azure = config("azure", provider_type, base_url);
    let authority = authority.url("");
    let settings = [
        ("credential", "entra_client_secret"),
        ("tenant_id", "tenant-1"),
        ("client_id", CLIENT),
        ("authority", authority.as_str()),
    ];
    let settings = settings.map(|(name, value)| (name.to_owned(), value.to_owned()));
    azure.settings = settings.into_iter().collect();
    azure
}

/// A world with an authority that nobody has answered for yet. The provider takes the credentials that `takes` says, and answers with the
/// one that was sent.
async fn world(takes: impl Fn(&str) -> bool + Send + Sync + 'static) -> (Arc<World>, Provider) {
    let (world, authority) = (Arc::new(World::new().await), Provider::start().await);
    let azure = azure(ProviderType::AzureOpenAi, &world.provider.url(""), &authority);
    world.control.configure(vec![azure]);
    world.control.until_in_force().await;
    let serving = Arc::clone(&world);
    tokio::spawn(async move {
        loop {
            let mut exchange = serving.provider.next().await;
            let sent = exchange.header("authorization").unwrap().to_owned();
            assert_eq!(exchange.header("api-key"), None);
            let status = if takes(&sent) { "200 OK" } else { "401 Unauthorized" };
            let body = format!(r#"{{"id":"c","model":"m","sent":"{sent}"}}"#);
            // Its client may be gone at the end of the test.
            let length = body.len();
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
            );
            let _ = exchange.try_raw(answer.as_bytes()).await;
        }
    });
    (world, authority)
}

async fn grant(mut question: Exchange, credential: &str, seconds: u64) {
    let body = format!(r#"{{"token_type":"Bearer","expires_in":{seconds},"access_token":"{credential}"}}"#);
    question.json("200 OK", "", &body).await;
    question.done();
}

async fn ask(world: &World) -> (u16, String) {
    let (head, body) = world.post(PATH, REQUEST).await.answer().await;
    (head.status, String::from_utf8(body).unwrap())
}

/// Asks until the answer has this status and these words in it; until then it may have `before`.
async fn until_told(world: &World, before: u16, status: u16, words: &str) {
    let told = async {
        loop {
            let (got, body) = ask(world).await;
            assert!(got == before || got == status, "{got} {body}");
            assert!(!body.contains(CENTRAL_KEY), "{body}");
            if got == status && body.contains(words) {
                return;
            }
        }
    };
    timeout(PATIENCE, told).await.expect("it never came true");
}

#[tokio::test]
async fn the_authority_is_asked_for_the_provider_types_own_scope() {
    for (provider_type, scope) in [
        (
            ProviderType::AzureOpenAi,
            "https%3A%2F%2Fcognitiveservices.azure.com%2F.default",
        ),
        (ProviderType::AzureFoundry, "https%3A%2F%2Fai.azure.com%2F.default"),
    ] {
        let (world, authority) = (World::new().await, Provider::start().await);
        let azure = azure(provider_type, &world.provider.url(""), &authority);
        world.control.configure(vec![azure]);
        let question = authority.next().await;
        assert_eq!(question.line, "POST /tenant-1/oauth2/v2.0/token HTTP/1.1");
        let wanted =
            format!("grant_type=client_credentials&client_id={CLIENT}&client_secret={CENTRAL_KEY}&scope={scope}");
        assert_eq!(String::from_utf8_lossy(&question.body), wanted);
        assert_eq!(
            question.header("content-type"),
            Some("application/x-www-form-urlencoded")
        );
        assert_eq!(question.header("authorization"), None);
    }
}

#[tokio::test]
async fn a_request_does_not_wait_for_the_authority_and_then_has_its_credential() {
    let (world, authority) = world(|_| true).await;
    let question = authority.next().await;
    let (head, body) = world.post(PATH, REQUEST).await.answer().await;
    let body = String::from_utf8(body).unwrap();
    assert_eq!((head.status, head.header("retry-after")), (503, Some("1")), "{body}");
    assert!(body.contains("has not come yet"), "{body}");
    grant(question, "ey.first-0123456789abcdefghij", 3600).await;
    until_told(&world, 503, 200, r#""Bearer ey.first-0123456789abcdefghij""#).await;
    // The record says whose it is, and nothing of it.
    let served = |world: &World| world.control.records().into_iter().find(|record| record.attempts > 0);
    until(|| served(&world).is_some()).await;
    assert_eq!(served(&world).unwrap().credential_hint, format!("entra {CLIENT}"));
}

#[tokio::test]
async fn an_authority_that_refuses_is_quoted_by_its_code_and_asked_again() {
    let (world, authority) = world(|_| true).await;
    let mut question = authority.next().await;
    let body =
        format!(r#"{{"error":"invalid_client","error_description":"bad {CENTRAL_KEY}","error_codes":[7000215]}}"#);
    question.json("401 Unauthorized", "connection: close\r\n", &body).await;
    until_told(
        &world,
        503,
        503,
        "the authority answered 401 `invalid_client AADSTS7000215`",
    )
    .await;
    let mut again = authority.next().await;
    again
        .json(
            "200 OK",
            "connection: close\r\n",
            r#"{"access_token":"a b","expires_in":60}"#,
        )
        .await;
    until_told(&world, 503, 503, "has no credential in it").await;
    let mut endless = authority.next().await;
    endless
        .json("200 OK", "connection: close\r\n", &" ".repeat((64 << 10) + 1))
        .await;
    until_told(&world, 503, 503, "was too long").await;
    grant(authority.next().await, "ey.late", 3600).await;
    until_told(&world, 503, 200, "ey.late").await;
}

/// What was fetched stays through changes of the configuration that do not concern it; another key is another credential.
#[tokio::test]
async fn a_change_of_the_provider_keeps_what_was_fetched() {
    let (world, authority) = world(|_| true).await;
    grant(authority.next().await, "ey.kept", 3600).await;
    until_told(&world, 503, 200, "ey.kept").await;
    let mut providers = world.control.providers();
    providers[0].policy.key_cooldown_seconds = 9;
    world.control.configure(providers.clone());
    world.control.until_in_force().await;
    assert!(ask(&world).await.1.contains("ey.kept"));
    providers[0].keys[0].id = Ambient::system().new_id();
    providers[0].keys[0].secret = ProviderSecret::new("another-secret".to_owned());
    world.control.configure(providers);
    let question = authority.next().await;
    assert!(String::from_utf8_lossy(&question.body).contains("client_secret=another-secret"));
    grant(question, "ey.other", 3600).await;
    until_told(&world, 503, 200, "ey.other").await;
}

/// The first answer that says more than that there is no credential yet.
async fn first_answer(world: &World) -> (u16, String) {
    loop {
        let answer = ask(world).await;
        if answer.0 != 503 {
            return answer;
        }
    }
}

/// A provider that refuses the only credential before its time has another fetched, and the same request goes up with that.
#[tokio::test]
async fn a_refused_credential_is_replaced_within_the_request() {
    let (world, authority) = world(|sent| sent == "Bearer ey.good").await;
    grant(authority.next().await, "ey.revoked", 3600).await;
    let renew = async { grant(authority.next().await, "ey.good", 3600).await };
    let ((status, body), ()) = tokio::join!(first_answer(&world), renew);
    assert!(status == 200 && body.contains("ey.good"), "{status} {body}");
    let served = |world: &World| world.control.records().into_iter().find(|record| record.attempts > 0);
    until(|| served(&world).is_some()).await;
    let record = served(&world).unwrap();
    assert_eq!((record.attempts, record.outcome), (2, Outcome::Completed));
}

/// Where there is no better one, the provider's refusal is the answer, and the authority is asked once a minute.
#[tokio::test]
async fn a_refused_credential_is_fetched_anew_once() {
    let (world, authority) = world(|sent| sent == "Bearer ey.good").await;
    grant(authority.next().await, "ey.revoked", 3600).await;
    let renew = async { grant(authority.next().await, "ey.bad-again", 3600).await };
    let ((status, body), ()) = tokio::join!(first_answer(&world), renew);
    assert!(status == 401 && body.contains("ey.bad-again"), "{status} {body}");
    for _ in 0..3 {
        let (status, body) = ask(&world).await;
        assert!(status == 401 && body.contains("ey.bad-again"), "{status} {body}");
    }
    let more = timeout(Duration::from_millis(300), authority.next()).await;
    assert!(more.is_err(), "one within a minute");
}

#[tokio::test]
async fn an_authority_that_has_no_other_leaves_the_providers_refusal() {
    let (world, authority) = world(|sent| sent == "Bearer ey.good").await;
    grant(authority.next().await, "ey.revoked", 3600).await;
    let refuse = async {
        let mut question = authority.next().await;
        let body = r#"{"error":"invalid_client"}"#;
        question.json("401 Unauthorized", "connection: close\r\n", body).await;
    };
    let ((status, body), ()) = tokio::join!(first_answer(&world), refuse);
    assert!(status == 401 && body.contains("ey.revoked"), "{status} {body}");
}

/// Credentials live for two seconds, and the provider takes none that has expired. For three of their lives, every request is served.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_credential_that_expires_under_load_is_replaced_without_a_failed_request() {
    const LIFE: Duration = Duration::from_secs(2);
    let begun = Instant::now();
    // A credential says until when it works, in milliseconds from the beginning.
    let takes = move |sent: &str| {
        let until = sent
            .strip_prefix("Bearer until-")
            .and_then(|until| until.parse::<u128>().ok());
        until.is_some_and(|until| begun.elapsed().as_millis() < until)
    };
    let (world, authority) = world(takes).await;
    tokio::spawn(async move {
        loop {
            let question = authority.next().await;
            let until = (begun.elapsed() + LIFE).as_millis();
            grant(question, &format!("until-{until}"), LIFE.as_secs()).await;
        }
    });
    until_told(&world, 503, 200, "until-").await;
    let mut clients = JoinSet::new();
    for _ in 0..4 {
        let world = Arc::clone(&world);
        clients.spawn(async move {
            let mut credentials = Vec::new();
            while begun.elapsed() < 3 * LIFE {
                let (status, body) = ask(&world).await;
                assert_eq!(status, 200, "{body}");
                credentials.push(body);
            }
            credentials.dedup();
            credentials.len()
        });
    }
    for credentials in clients.join_all().await {
        assert!((3..=6).contains(&credentials), "{credentials}");
    }
}

/// An authority that is away takes nothing from what was fetched before.
#[tokio::test]
async fn while_the_authority_is_away_the_old_credential_serves_until_it_expires() {
    let (world, authority) = world(|_| true).await;
    grant(authority.next().await, "ey.old", 3).await;
    until_told(&world, 503, 200, "ey.old").await;
    let late = authority.next().await;
    assert!(ask(&world).await.1.contains("ey.old"), "while another is asked for");
    drop(late);
    until_told(&world, 200, 503, "can't be reached").await;
    let again = async {
        loop {
            let question = authority.next().await;
            grant(question, "ey.new", 3600).await;
        }
    };
    tokio::select! {
        () = again => {}
        () = until_told(&world, 503, 200, "ey.new") => {}
    }
}

/// Where a key is in force no more, its secret goes nowhere any more, whatever was fetched with it.
#[tokio::test]
async fn nothing_is_fetched_for_a_key_that_is_in_force_no_more() {
    type Change = fn(&mut Vec<ProviderConfig>);
    let changes: [(&str, Change); 5] = [
        ("another form", |providers| {
            let other = [("credential".to_owned(), "key".to_owned())];
            providers[0].settings = other.into_iter().collect();
        }),
        ("disabled", |providers| providers[0].enabled = false),
        ("a setting of a later version", |providers| {
            let unknown = ("from_the_future".to_owned(), "1".to_owned());
            let known = std::mem::take(&mut providers[0].settings).into_map();
            providers[0].settings = known.into_iter().chain([unknown]).collect();
        }),
        ("deleted", Vec::clear),
        ("without keys", |providers| providers[0].keys.clear()),
    ];
    let mut cases = JoinSet::new();
    for (what, change) in changes {
        cases.spawn(async move {
            let (world, authority) = world(|_| true).await;
            grant(authority.next().await, "ey.short", 3).await;
            until_told(&world, 503, 200, "ey.short").await;
            let before = world.control.providers();
            let mut providers = before.clone();
            change(&mut providers);
            world.control.configure(providers);
            world.control.until_in_force().await;
            asks_no_more(&authority, what).await;
            // And from the beginning where it is in force again.
            world.control.configure(before);
            grant(authority.next().await, "ey.again", 3600).await;
            until_told(&world, 503, 200, "ey.again").await;
        });
    }
    cases.join_all().await;
}

/// Nothing comes in the time in which a credential of three seconds would be asked for again. One question may have been on the way.
async fn asks_no_more(authority: &Provider, what: &str) {
    let _on_its_way = timeout(Duration::from_millis(500), authority.next()).await;
    let more = timeout(Duration::from_millis(3500), authority.next()).await;
    assert!(more.is_err(), "{what}");
}

/// A replica whose gateway key was revoked keeps no credential fresh; one that is let in again does.
#[tokio::test]
async fn a_replica_that_is_refused_fetches_nothing() {
    let (world, authority) = world(|_| true).await;
    grant(authority.next().await, "ey.short", 3).await;
    until_told(&world, 503, 200, "ey.short").await;
    world
        .control
        .push(&Message::Close(CloseReason::Refused(KeyRefusal::Revoked)));
    world.control.go_down(LinkError::refused(KeyRefusal::Unknown));
    until(|| world.gateway.readiness().is_err()).await;
    asks_no_more(&authority, "refused").await;
    world.control.come_up();
    world.control.renew_key();
    grant(authority.next().await, "ey.again", 3600).await;
    until_told(&world, 503, 200, "ey.again").await;
}
