//! Retries, key pools, routes and breakers, from outside.

mod breakers;
mod keys;
mod retries;
mod routes;
pub(crate) mod silence;
mod usage_refusals;

use crate::support::provider::Exchange;
use crate::support::{Provider, World, config};
use lychgate_link::{ProviderConfig, ProviderKeyConfig, RouteConfig, RouteTarget};
use lychgate_types::policy::ProviderPolicy;
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::ProviderSecret;
use lychgate_types::{Ambient, ProviderId, ProviderKeyId};

const MESSAGES: &str = "/ai/anthropic/v1/messages";
const REQUEST: &[u8] = br#"{"model":"m"}"#;
const GOOD: &str = r#"{"id":"msg_1","type":"message","usage":{"input_tokens":1,"output_tokens":2}}"#;
const BUSY: &str = r#"{"type":"error","error":{"type":"overloaded_error","message":"busy"}}"#;

/// Up to three attempts, with hardly any delay.
fn eager(policy: &mut ProviderPolicy) {
    policy.retry.max_attempts = 3;
    policy.retry.base_delay_ms = 1;
}

/// Answers a request and hangs up.
async fn answer(mut exchange: Exchange, status: &str, headers: &str) {
    let body = if status.starts_with('2') { GOOD } else { BUSY };
    exchange
        .json(status, &format!("{headers}connection: close\r\n"), body)
        .await;
}

/// The key that a request came with.
fn key(exchange: &Exchange) -> String {
    exchange.header("x-api-key").expect("it has no key").to_owned()
}

/// Changes the configuration of the provider `anthropic`, and waits until it is in force.
async fn change(world: &World, change: impl FnOnce(&mut ProviderConfig)) {
    let mut providers = world.control.providers();
    change(&mut providers[0]);
    world.control.configure(providers);
    world.control.until_in_force().await;
}

/// Gives the provider `anthropic` these keys.
async fn give_keys(world: &World, keys: &[&str]) {
    let keys = keys.iter().map(|key| ProviderKeyConfig {
        id: Ambient::system().new_id::<ProviderKeyId>(),
        secret: ProviderSecret::new((*key).to_owned()),
    });
    change(world, |provider| provider.keys = keys.collect()).await;
}

/// A second provider, and a route: requests for models `m…` go to the first, then to the second, which is asked for `n`.
async fn with_fallback(first: impl Fn(&mut ProviderPolicy)) -> (World, Provider) {
    let world = World::with_policy(first).await;
    let second = Provider::start().await;
    let mut providers = world.control.providers();
    let mut other = config("second", ProviderType::Anthropic, &second.url("/other"));
    other.keys[0].secret = ProviderSecret::new("sk-second-0123456789".to_owned());
    let route = RouteConfig {
        id: Ambient::system().new_id(),
        provider: providers[0].id,
        model: "m*".into(),
        targets: vec![target(providers[0].id, None)],
        fallbacks: vec![target(other.id, Some("n"))],
    };
    providers.push(other);
    world.control.configure_routes(providers, vec![route]);
    world.control.until_in_force().await;
    (world, second)
}

pub(crate) fn target(provider: ProviderId, model: Option<&str>) -> RouteTarget {
    RouteTarget {
        provider,
        model: model.map(str::to_owned),
        weight: 1,
    }
}
