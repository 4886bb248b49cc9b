//! The configuration that a gateway without a control plane is started with.

use anyhow::Context as _;
use lychgate_link::{Configuration, ProviderConfig, ProviderKeyConfig};
use lychgate_types::policy::ProviderPolicy;
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::ProviderSecret;
use lychgate_types::{Ambient, Name};
use std::net::SocketAddr;

/// The configuration of a replica with this one provider.
pub(crate) fn configuration(provider: SocketAddr) -> anyhow::Result<Configuration> {
    let ambient = Ambient::system();
    Ok(Configuration {
        version: 1,
        capture_content: true,
        providers: vec![ProviderConfig {
            id: ambient.new_id(),
            name: Name::parse("openai").context("a provider's name")?,
            provider_type: ProviderType::OpenAi,
            base_url: format!("http://{provider}/v1"),
            enabled: true,
            allow_private: true,
            settings: Default::default(),
            policy: ProviderPolicy::default(),
            keys: vec![ProviderKeyConfig {
                id: ambient.new_id(),
                secret: ProviderSecret::new("sk-bench-0123456789abcdef0123456789abcdef".to_owned()),
            }],
        }],
        routes: Vec::new(),
    })
}
