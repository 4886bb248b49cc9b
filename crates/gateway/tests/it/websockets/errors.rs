//! Errors of the provider: which response they are the answer to, and what they mean for others.

use super::{ERROR, completed, create, created, down, output, respond, up};
use crate::support::World;
use lychgate_link::ProviderKeyConfig;
use lychgate_types::secret::ProviderSecret;
use lychgate_types::{Ambient, ProviderKeyId};

fn create_of(model: &str) -> String {
    create("").replace("gpt-x", model)
}

/// The response has begun, made by this model.
fn created_by(id: &str, model: &str) -> String {
    let members = format!(r#","model":"{model}","status":"in_progress""#);
    created(id, "").replace(r#","status":"in_progress""#, &members)
}

fn completed_by(id: &str, model: &str, output: u32) -> String {
    completed(id, output, "").replace("gpt-x-1", model)
}

#[tokio::test]
async fn an_error_that_refuses_one_that_waits_shifts_no_record() {
    // What is asked for behind the first one, which of it is refused, and who makes the rest.
    for (asked, made) in [
        (["gpt-a", "gpt-b"], ("gpt-b-2026", "gpt-b", Some("gpt-b-2026"))),
        (["gpt-a", "gpt-b"], ("gpt-a-2026", "gpt-a", Some("gpt-a-2026"))),
        (
            ["gpt-a", "gpt-a-mini"],
            ("gpt-a-mini-1", "gpt-a-mini", Some("gpt-a-mini-1")),
        ),
        (["gpt-a", "gpt-b"], ("other", "other", None)),
    ] {
        let world = World::new().await;
        let (mut client, mut provider) = world.websocket().await;
        up(&mut client, &mut provider, &create("")).await;
        down(&mut client, &mut provider, &created("resp_1", "")).await;
        for model in asked {
            up(&mut client, &mut provider, &create_of(model)).await;
        }
        down(&mut client, &mut provider, ERROR).await;
        down(&mut client, &mut provider, &completed("resp_1", 5, "")).await;
        let (by, model, served) = made;
        down(&mut client, &mut provider, &created_by("resp_2", by)).await;
        down(&mut client, &mut provider, &completed_by("resp_2", by, 9)).await;
        drop((client, provider));
        let records = world.control.delivered(3).await;
        let of = |tokens: i64| {
            let has = |record: &&std::sync::Arc<lychgate_types::interception::InterceptionRecord>| {
                record
                    .token_usages
                    .first()
                    .is_some_and(|usage| usage.output_tokens == tokens)
            };
            records.iter().find(has).unwrap_or_else(|| panic!("{records:?}"))
        };
        assert_eq!((of(5).model.as_str(), of(5).outcome.as_str()), ("gpt-x", "completed"));
        assert_eq!(
            (of(9).model.as_str(), of(9).served_model.as_deref()),
            (model, served),
            "{asked:?}"
        );
    }
}

#[tokio::test]
async fn as_many_errors_as_wait_refuse_all_and_a_numbered_one_none() {
    let world = World::new().await;
    let (mut client, mut provider) = world.websocket().await;
    up(&mut client, &mut provider, &create("")).await;
    down(&mut client, &mut provider, &created("resp_1", "")).await;
    for _ in 0..2 {
        up(&mut client, &mut provider, &create("")).await;
    }
    let numbered = ERROR.replace(r#""status":400"#, r#""sequence_number":3"#);
    down(&mut client, &mut provider, &numbered).await;
    down(&mut client, &mut provider, &completed("resp_1", 5, "")).await;
    assert_eq!(output(&*world.control.one_record().await), (5, false));
    down(&mut client, &mut provider, ERROR).await;
    assert_eq!(world.gateway.in_flight(), 2, "either may be meant");
    down(&mut client, &mut provider, ERROR).await;
    let records = world.control.delivered(3).await;
    let refused = records.iter().filter(|record| record.upstream_status == Some(400));
    assert_eq!(refused.count(), 2);
}

#[tokio::test]
async fn an_error_cools_its_key_down_and_counts_towards_the_breaker() {
    let world = World::new().await;
    let mut providers = world.control.providers();
    providers[1].policy.breaker.failures = 2;
    providers[1].keys = ["sk-key-aaaa-0123456789", "sk-key-bbbb-0123456789"]
        .map(|key| ProviderKeyConfig {
            id: Ambient::system().new_id::<ProviderKeyId>(),
            secret: ProviderSecret::new(key.to_owned()),
        })
        .into();
    world.control.configure(providers);
    world.control.until_in_force().await;
    let mut client = world.ask_websocket().await;
    let asked = world.provider.next().await;
    let limited = asked.header("authorization").unwrap().to_owned();
    let mut provider = asked.accept("").await;
    let head = client.head().await;
    let mut client = crate::support::websocket::Socket::of_client(client, &head).await;
    let error =
        r#"{"type":"error","status":429,"error":{"type":"requests","message":"slow"},"headers":{"retry-after":"60"}}"#;
    up(&mut client, &mut provider, &create("")).await;
    down(&mut client, &mut provider, error).await;
    // Requests and WebSockets go with the other one.
    for _ in 0..3 {
        let _client = world.ask_websocket().await;
        assert_ne!(world.provider.next().await.header("authorization"), Some(&*limited));
    }
    // The provider's own failures, with this key and model.
    respond(&mut client, &mut provider, "resp_1").await;
    let error = error.replace("429", "500").replace(r#""retry-after":"60""#, "");
    for _ in 0..2 {
        up(&mut client, &mut provider, &create("")).await;
        down(&mut client, &mut provider, &error).await;
    }
    let series = r#"lychgate_upstream_breakers{provider="openai",state="open"}"#;
    assert_eq!(world.metric(series).await, 1.0);
}
