//! What a control plane configures its replicas with.
//!
//! Not here: how it is encoded ([`crate::convert`]).

use lychgate_types::policy::ProviderPolicy;
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::ProviderSecret;
use lychgate_types::settings::ProviderSettings;
use lychgate_types::{Name, ProviderId, ProviderKeyId, RouteId};

/// Everything a replica needs in order to serve.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Configuration {
    /// Grows with every change.
    pub version: u64,
    /// Whether prompts, tool arguments and thoughts are recorded; counts always are.
    pub capture_content: bool,
    /// The providers that this replica may use, including disabled ones (requests to those get a clear error).
    pub providers: Vec<ProviderConfig>,
    /// Where requests for certain models go instead; the first match counts.
    pub routes: Vec<RouteConfig>,
}

/// Where requests to one provider for certain models go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteConfig {
    /// Its id.
    pub id: RouteId,
    /// The provider that the client addressed.
    pub provider: ProviderId,
    /// The requested model: its exact name, or a prefix followed by `*`.
    pub model: String,
    /// One of these is drawn by weight; the others are tried after it, heaviest first.
    pub targets: Vec<RouteTarget>,
    /// Tried in this order when every target has failed.
    pub fallbacks: Vec<RouteTarget>,
}

/// One place where a request may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTarget {
    /// A provider of the same wire family.
    pub provider: ProviderId,
    /// The model to request there; `None` keeps the client's.
    pub model: Option<String>,
    /// Its share among the targets, at least 1; ignored among fallbacks.
    pub weight: u32,
}

/// One provider.
#[derive(Debug, Clone)]
pub struct ProviderConfig {
    /// Its id.
    pub id: ProviderId,
    /// The path segment after `/ai/`.
    pub name: Name,
    /// Its wire family.
    pub provider_type: ProviderType,
    /// Absolute `http` or `https` URL without query; its path is kept in front of the API's own.
    pub base_url: String,
    /// Whether requests may go there.
    pub enabled: bool,
    /// Whether it may be at a loopback, private or link-local address.
    pub allow_private: bool,
    /// What its address does not say of it, and what its keys are.
    pub settings: ProviderSettings,
    /// Retries, deadlines, circuit breaker.
    pub policy: ProviderPolicy,
    /// The central keys, in the operator's order.
    pub keys: Vec<ProviderKeyConfig>,
}

/// One central key of a provider.
#[derive(Debug, Clone)]
pub struct ProviderKeyConfig {
    /// Its id, for logs and metrics.
    pub id: ProviderKeyId,
    /// The secret.
    pub secret: ProviderSecret,
}

impl PartialEq for ProviderKeyConfig {
    fn eq(&self, other: &Self) -> bool {
        self.id == other.id && self.secret.expose() == other.secret.expose()
    }
}
impl Eq for ProviderKeyConfig {}

impl PartialEq for ProviderConfig {
    fn eq(&self, other: &Self) -> bool {
        (self.id, &self.name, self.provider_type, &self.base_url)
            == (other.id, &other.name, other.provider_type, &other.base_url)
            && (self.enabled, self.allow_private, &self.settings)
                == (other.enabled, other.allow_private, &other.settings)
            && (&self.policy, &self.keys) == (&other.policy, &other.keys)
    }
}
impl Eq for ProviderConfig {}
