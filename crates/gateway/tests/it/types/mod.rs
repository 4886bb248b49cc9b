//! What single types of provider need: their paths, their credentials, and routes between the types of a family.

mod azure;
mod fetched;
mod foundry;
mod openrouter;
mod signed;
mod vertex;

use crate::support::provider::Exchange;
use crate::support::{Client, Provider, World, config};
use lychgate_link::{ProviderConfig, RouteConfig, RouteTarget};
use lychgate_types::Ambient;
use lychgate_types::provider::ProviderType;

const CHAT: &str = r#"{"id":"c","model":"gpt-x-2026","choices":[{"index":0,"message":{"content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":3,"completion_tokens":5}}"#;

/// A world with one more provider at the address of the others.
async fn world(name: &str, provider_type: ProviderType, path: &str) -> World {
    let world = World::new().await;
    let mut providers = world.control.providers();
    providers.push(config(name, provider_type, &world.provider.url(path)));
    world.control.configure(providers);
    world.control.until_in_force().await;
    world
}

/// Requests to one provider go to another one in its place, which is asked for `model`.
async fn led(world: &World, from: &str, to: ProviderConfig, model: Option<&str>) {
    let mut providers = world.control.providers();
    let addressed = providers.iter().find(|provider| provider.name.as_str() == from);
    let target = RouteTarget {
        provider: to.id,
        model: model.map(str::to_owned),
        weight: 1,
    };
    let route = RouteConfig {
        id: Ambient::system().new_id(),
        provider: addressed.unwrap().id,
        model: "*".into(),
        targets: vec![target],
        fallbacks: Vec::new(),
    };
    providers.push(to);
    world.control.configure_routes(providers, vec![route]);
    world.control.until_in_force().await;
}

/// What a provider gets to see of a request, which it answers.
async fn seen(provider: &Provider, mut client: Client, answer: &str) -> Exchange {
    let mut exchange = provider.next().await;
    exchange.json("200 OK", "connection: close\r\n", answer).await;
    let (head, body) = client.answer().await;
    assert_eq!(
        (head.status, String::from_utf8(body).unwrap()),
        (200, answer.to_owned())
    );
    exchange
}
