//! The three neighbours of a gateway, played by the test: client, provider, control plane.

pub(crate) mod client;
pub(crate) mod control;
pub(crate) mod provider;
pub(crate) mod secure;
pub(crate) mod websocket;

pub(crate) use client::{Answer, Client, End};
pub(crate) use control::Control;
pub(crate) use provider::Provider;

use lychgate_gateway::{Gateway, Options, SpoolOptions};
use lychgate_link::ProviderConfig;
use lychgate_telemetry::metrics::Page;
use lychgate_types::policy::{Models, ProviderPolicy, RelayPolicy, RetryPolicy};
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::{ProviderSecret, UserTokenSecret};
use lychgate_types::{Ambient, Name, ProviderKeyId};
use std::net::SocketAddr;
use std::sync::Arc;

pub(crate) const CENTRAL_KEY: &str = "sk-central-0123456789";

/// A gateway between a provider and a control plane, ready for requests.
pub(crate) struct World {
    pub(crate) gateway: Gateway,
    pub(crate) address: SocketAddr,
    pub(crate) control: Control,
    pub(crate) provider: Provider,
    /// A token that may send requests.
    pub(crate) token: UserTokenSecret,
}

impl World {
    pub(crate) async fn new() -> Self {
        Self::with(|_| {}, Ambient::system()).await
    }

    pub(crate) async fn with_options(change: impl FnOnce(&mut Options)) -> Self {
        Self::with(change, Ambient::system()).await
    }

    /// One whose providers have this policy.
    pub(crate) async fn with_policy(change: impl Fn(&mut ProviderPolicy)) -> Self {
        let world = Self::new().await;
        let mut providers = world.control.providers();
        providers.iter_mut().for_each(|provider| change(&mut provider.policy));
        world.control.configure(providers);
        world.control.until_in_force().await;
        world
    }

    /// `anthropic` and `openai` are both served by one scripted provider.
    pub(crate) async fn with(change: impl FnOnce(&mut Options), ambient: Ambient) -> Self {
        let provider = Provider::start().await;
        let control = Control::new();
        let token = control.valid_token();
        control.configure(vec![
            config("anthropic", ProviderType::Anthropic, &provider.url("")),
            config("openai", ProviderType::OpenAi, &provider.url("/base/v1")),
        ]);
        let (gateway, address) = start(&control, change, ambient).await;
        ready(&gateway).await;
        Self {
            gateway,
            address,
            control,
            provider,
            token,
        }
    }

    /// Waits until everything that the control plane has sent has arrived.
    pub(crate) async fn reconfigure(&self) {
        self.control.configure_again();
        self.control.until_in_force().await;
    }

    pub(crate) async fn client(&self) -> Client {
        Client::connect(self.address).await
    }

    /// Sends a request with the valid token as bearer; `line` is method and target, `extra` whole header lines.
    pub(crate) async fn send(&self, line: &str, extra: &str, body: &[u8]) -> Client {
        let mut client = self.client().await;
        let token = self.token.expose();
        client
            .send(line, &format!("authorization: Bearer {token}\r\n{extra}"), body)
            .await;
        client
    }

    /// The value of a metric series.
    pub(crate) async fn metric(&self, series: &str) -> f64 {
        let page = self.gateway.clone().page(Page::default()).await.into_text();
        let number = page
            .lines()
            .find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        number
            .unwrap_or_else(|| panic!("there is no {series} in {page}"))
            .parse()
            .unwrap()
    }

    pub(crate) async fn post(&self, path: &str, body: &[u8]) -> Client {
        self.send(&format!("POST {path}"), "content-type: application/json\r\n", body)
            .await
    }
}

/// The options of a gateway for tests, with a spool that exists as long as `control`.
pub(crate) fn options(control: &Control) -> Options {
    Options {
        spool: SpoolOptions::new(control.spool_directory()),
        ..Options::new("test", "127.0.0.1:1", "0.0.0")
    }
}

pub(crate) async fn start(
    control: &Control,
    change: impl FnOnce(&mut Options),
    ambient: Ambient,
) -> (Gateway, SocketAddr) {
    let mut options = options(control);
    change(&mut options);
    let gateway = Gateway::start(options, Arc::new(control.clone()), ambient).unwrap();
    // As in the product: a short backlog would lose connections under load.
    let listener = lychgate_gateway::listen(([127, 0, 0, 1], 0).into()).unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(lychgate_gateway::serve(
        listener,
        gateway.front(gateway.standalone_router()),
        std::future::pending(),
    ));
    (gateway, address)
}

/// Waits until the gateway is ready.
pub(crate) async fn ready(gateway: &Gateway) {
    until(|| gateway.readiness().is_ok()).await;
}

/// Lets other tasks run until `condition` holds.
pub(crate) async fn until(condition: impl Fn() -> bool) {
    let patience = std::time::Duration::from_secs(20);
    tokio::time::timeout(patience, async {
        while !condition() {
            tokio::task::yield_now().await;
        }
    })
    .await
    .expect("it never came true");
}

/// A provider that is tried once, so that a test sees what one attempt does, and whose lists of models are relayed, as what passes
/// through.
pub(crate) fn config(name: &str, provider_type: ProviderType, base_url: &str) -> ProviderConfig {
    let ambient = Ambient::system();
    ProviderConfig {
        id: ambient.new_id(),
        name: Name::parse(name).unwrap(),
        provider_type,
        base_url: base_url.to_owned(),
        enabled: true,
        allow_private: true,
        settings: Default::default(),
        policy: ProviderPolicy {
            retry: RetryPolicy {
                max_attempts: 1,
                ..RetryPolicy::default()
            },
            relay: RelayPolicy {
                models: Models::Relay,
                ..RelayPolicy::default()
            },
            ..ProviderPolicy::default()
        },
        keys: vec![lychgate_link::ProviderKeyConfig {
            id: ambient.new_id::<ProviderKeyId>(),
            secret: ProviderSecret::new(CENTRAL_KEY.to_owned()),
        }],
    }
}
