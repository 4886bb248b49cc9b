//! A provider as the data plane uses it: its configuration made ready, so that a request has nothing to parse.

use crate::auth::credentials::Outgoing;
use crate::counts::ProviderCounts;
use crate::error::Refusal;
use crate::fetched_keys::FetchedKeys;
use crate::model_lists::ModelLists;
use crate::resilience::decision::{AttemptEnd, BreakerReport, Consequences};
use crate::resilience::failure_log::FailureLog;
use crate::resilience::key_pool::{Cooldowns, Key, KeyCredential, Pool};
use crate::resilience::retry_budget::Budget;
use crate::routing::usage_refusals::UsageRefusals;
use crate::signing::Signer;
use crate::upstream::private_address::{PrivateAddress, is_private, literal};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{StatusCode, Uri};
use lychgate_clouds::{ENTRA_ID, Grant};
use lychgate_link::{ProviderConfig, ProviderKeyConfig};
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::policy::{Models, StreamUsage};
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::ProviderSecret;
use lychgate_types::settings::ProviderSettings;
use lychgate_wire::provider::{AllowedPath, AwsKey, GrantForm, KeyUse, REGION, describe};
use parking_lot::Mutex;
use std::borrow::Cow;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// How long a provider that speaks no WebSockets is not asked for one.
const NO_WEBSOCKET: Duration = Duration::from_secs(60);

/// One provider. Lives on through configuration changes that do not concern it.
#[derive(Debug)]
pub(crate) struct Provider {
    pub(crate) config: ProviderConfig,
    /// Its central keys.
    pub(crate) pool: Pool,
    pub(crate) state: State,
    base: Result<Base, String>,
}

/// What a provider is remembered by when its configuration changes.
#[derive(Debug, Clone, Default)]
pub(crate) struct State {
    pub(crate) budget: Arc<Budget>,
    cooldowns: Arc<Cooldowns>,
    fetched: Arc<FetchedKeys>,
    pub(crate) usage_refusals: Arc<UsageRefusals>,
    pub(crate) counts: Arc<ProviderCounts>,
    failures: Arc<FailureLog>,
    pub(crate) models: Arc<ModelLists>,
    /// Until when it is taken not to speak WebSockets.
    no_websocket: Arc<Mutex<Option<Instant>>>,
}

/// A base URL taken apart.
#[derive(Debug)]
struct Base {
    scheme: Scheme,
    authority: Authority,
    /// Without a slash at its end.
    path: String,
}

impl Provider {
    /// Takes a configuration over, with the state of the provider of the same id before it. One that can't be used is kept
    /// with the reason, which its requests then get.
    pub(crate) fn new(config: ProviderConfig, state: State) -> Self {
        let base = Base::parse(&config.base_url, config.allow_private).and_then(|base| know(&config).map(|()| base));
        if let Err(reason) = &base {
            tracing::warn!(provider = %config.name, %reason, "this provider can't be used");
        }
        let keys = keys(&config, base.is_ok(), &state.fetched);
        Self {
            config,
            pool: Pool::new(keys, Arc::clone(&state.cooldowns)),
            state,
            base,
        }
    }

    /// Whether a stream is to tell its usage though its client did not ask for it. `kind` is that of the request, where this provider may
    /// have refused some.
    pub(crate) fn wants_usage(&self, kind: Option<u64>) -> bool {
        match self.config.policy.relay.stream_usage {
            StreamUsage::Never => false,
            StreamUsage::Always => true,
            StreamUsage::Learn => kind.is_none_or(|kind| !self.state.usage_refusals.has(kind)),
        }
    }

    /// The setting for which a client's path, which is this one, names another value than this provider's.
    pub(crate) fn other_setting(&self, path: &AllowedPath, rest: &str) -> Option<&'static str> {
        if self.config.settings.is_empty() {
            return None;
        }
        let mut named = path.settings_in(rest);
        let (name, _) = named.find(|(name, value)| self.config.settings.get(name) != Some(*value))?;
        Some(name)
    }

    /// Whether it may be asked for a WebSocket: its policy says so, and it has not shown lately that it speaks none.
    pub(crate) fn speaks_websocket(&self) -> bool {
        let is_remembered = || {
            self.state
                .no_websocket
                .lock()
                .is_some_and(|until| until > Instant::now())
        };
        self.config.policy.relay.websocket && !is_remembered()
    }

    /// Remembers that it speaks none, for a while.
    pub(crate) fn has_no_websocket(&self) {
        *self.state.no_websocket.lock() = Some(Instant::now() + NO_WEBSOCKET);
    }

    /// Whether lists of its models are served from here to those who use its central keys.
    pub(crate) fn keeps_model_lists(&self) -> bool {
        self.config.policy.relay.models == Models::Cached
    }

    /// It is no longer part of the configuration.
    pub(crate) fn end(&self) {
        self.state.fetched.next(&self.config, std::iter::empty());
    }

    /// Whether requests may go there at all.
    pub(crate) fn usable(&self) -> Result<(), Refusal> {
        if !self.config.enabled {
            return Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                Refused::ProviderDisabled,
                "this provider is disabled",
            ));
        }
        match &self.base {
            Ok(_) => Ok(()),
            Err(reason) => Err(Refusal::new(
                StatusCode::BAD_GATEWAY,
                Refused::ProviderUnusable,
                format!("this provider can't be used: {reason}"),
            )),
        }
    }

    /// Takes a key out of use for a while, since the provider refused or limited it by this status. `credential` is what was sent.
    pub(crate) fn cool_down(&self, key: usize, credential: &Arc<Outgoing>, status: u16, term: Duration) {
        if let Some(key) = self.pool.key(key) {
            if let (Some(fetched), 401) = (key.fetched(), status) {
                fetched.refused(credential);
            }
            let (provider, key) = (&self.config.name, key.id);
            tracing::warn!(%provider, %key, status, ?term, "a provider key was refused or limited and cools down");
        }
        self.pool.cool_down(key, term);
    }

    /// Tells the log how an attempt ended, where that is a failure, and whether it opened or closed a breaker.
    pub(crate) fn log(&self, end: AttemptEnd, consequences: &Consequences, breaker_changed: bool) {
        let provider = &self.config.name;
        if end.is_failure(consequences) {
            self.state.failures.count(provider, end);
        }
        if breaker_changed && consequences.breaker == BreakerReport::Failure {
            let seconds = self.config.policy.breaker.open_seconds;
            tracing::warn!(%provider, seconds, "too many failures: the circuit breaker of this provider is open for one model and credential");
        } else if breaker_changed {
            tracing::info!(%provider, "this provider answers again: its circuit breaker is closed");
        }
    }

    /// How long keys cool down where the provider does not say.
    pub(crate) fn key_cooldown(&self) -> Duration {
        Duration::from_secs(self.config.policy.key_cooldown_seconds.into())
    }

    /// What a request is told that would need a central key where there is none.
    pub(crate) fn without_key(&self) -> Refusal {
        if let Some(fetched) = self.pool.fetched().next() {
            let message = match fetched.trouble() {
                None => Cow::Borrowed("the credential for this provider has not come yet; try again shortly"),
                Some(trouble) => Cow::Owned(format!("there is no credential for this provider: {trouble}")),
            };
            return Refusal::unavailable(Refused::ProviderUnusable, message, 1);
        }
        Refusal::new(
            StatusCode::SERVICE_UNAVAILABLE,
            Refused::ProviderUnusable,
            "this provider has no key: an owner must add one, or send your own key along with x-lychgate-token",
        )
    }

    /// Where a request goes: `tail` (with a leading slash) below the base URL, with the client's query.
    pub(crate) fn url(&self, tail: &str, query: Option<&str>) -> Result<Uri, Refusal> {
        self.usable()?;
        let refuse = || {
            let message = "the request's path or query can't be sent on";
            Refusal::new(StatusCode::BAD_REQUEST, Refused::UnknownPath, message)
        };
        let base = self.base.as_ref().map_err(|_| refuse())?;
        let mut target = String::with_capacity(base.path.len() + tail.len() + query.map_or(0, |query| query.len() + 1));
        target.push_str(&base.path);
        target.push_str(tail);
        if let Some(query) = query {
            target.push('?');
            target.push_str(query);
        }
        let mut parts = http::uri::Parts::default();
        parts.scheme = Some(base.scheme.clone());
        parts.authority = Some(base.authority.clone());
        parts.path_and_query = Some(PathAndQuery::try_from(target).map_err(|_| refuse())?);
        Uri::from_parts(parts).map_err(|_| refuse())
    }
}

impl Base {
    fn parse(url: &str, allow_private: bool) -> Result<Self, String> {
        let uri: Uri = url.parse().map_err(|_| "its base URL is not a URL".to_owned())?;
        let parts = uri.into_parts();
        let (Some(scheme), Some(authority)) = (parts.scheme, parts.authority) else {
            return Err("its base URL is not absolute".into());
        };
        if scheme != Scheme::HTTP && scheme != Scheme::HTTPS {
            return Err("its base URL is neither http nor https".into());
        }
        if authority.as_str().contains('@') {
            return Err("its base URL has a user name in it".into());
        }
        if !allow_private && literal(authority.host()).is_some_and(is_private) {
            return Err(PrivateAddress.to_string());
        }
        let path = match parts.path_and_query {
            Some(path) if path.query().is_some() => return Err("its base URL has a query".into()),
            Some(path) => path.path().trim_end_matches('/').to_owned(),
            None => String::new(),
        };
        Ok(Self {
            scheme,
            authority,
            path,
        })
    }
}

/// A setting that is not known here comes from a newer control plane; without it, requests would go where nobody wants them.
fn know(config: &ProviderConfig) -> Result<(), String> {
    match describe(config.provider_type).misfits(&config.settings).first() {
        None => Ok(()),
        Some(misfit) => Err(format!(
            "this gateway's version can't do with its setting `{}`: it {}",
            misfit.name, misfit.why
        )),
    }
}

/// The keys that can be sent, or with which something can be fetched. Nothing is fetched for a provider that takes no requests.
fn keys(config: &ProviderConfig, is_usable: bool, fetched: &FetchedKeys) -> Vec<Key> {
    let used = describe(config.provider_type)
        .key_form(&config.settings)
        .map_or(KeyUse::Sent, |form| form.used);
    let granted = |key: &ProviderKeyConfig| match used {
        KeyUse::Fetches(form) => Some((key.id, grant(form, &config.settings, &key.secret)?)),
        KeyUse::Sent | KeyUse::SignsFor(_) => None,
    };
    let in_force = config.keys.iter().filter(|_| is_usable && config.enabled);
    // Asked in any case, so that what is in force no more stops.
    let fetched = fetched.next(config, in_force.filter_map(granted));
    let all = config.keys.iter();
    match used {
        KeyUse::Sent => all.filter_map(|key| outgoing(config.provider_type, key)).collect(),
        KeyUse::SignsFor(service) => all.filter_map(|key| signing(service, config, key)).collect(),
        KeyUse::Fetches(_) => {
            let fetched = fetched.into_iter();
            let keys = fetched.map(|(id, key)| Key {
                id,
                credential: KeyCredential::Fetched(key),
            });
            keys.collect()
        }
    }
}

/// `None` where a setting is missing, by which the provider can't be used anyway.
fn grant(form: GrantForm, settings: &ProviderSettings, secret: &ProviderSecret) -> Option<Grant> {
    let text = |name| settings.get(name).map(str::to_owned);
    match form {
        GrantForm::EntraClientSecret { scope } => Some(Grant::EntraClientSecret {
            authority: text("authority").unwrap_or_else(|| ENTRA_ID.to_owned()),
            tenant: text("tenant_id")?,
            client: text("client_id")?,
            secret: secret.clone(),
            scope,
        }),
    }
}

/// `None`, and said, for a key of another form; a missing setting is said elsewhere.
fn signing(service: &'static str, config: &ProviderConfig, key: &ProviderKeyConfig) -> Option<Key> {
    let region = config.settings.get(REGION)?;
    let Some(aws) = AwsKey::parse(key.secret.expose()) else {
        tracing::warn!(key = %key.id, "this provider key is not an AWS key, so it is not used");
        return None;
    };
    let signer = Signer::new(service, region, &aws);
    Some(Key {
        id: key.id,
        credential: KeyCredential::Plain(Arc::new(Outgoing::signing(signer))),
    })
}

fn outgoing(provider_type: ProviderType, key: &ProviderKeyConfig) -> Option<Key> {
    match Outgoing::central(provider_type, &key.secret) {
        Ok(outgoing) => Some(Key {
            id: key.id,
            credential: KeyCredential::Plain(Arc::new(outgoing)),
        }),
        Err(_) => {
            tracing::warn!(key = %key.id, "this provider key has characters that can't be sent; it is left out");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lychgate_types::{Name, ProviderId, ProviderKeyId};

    fn provider(base_url: &str, keys: &[&str]) -> Provider {
        let key = |secret: &&str| ProviderKeyConfig {
            id: ProviderKeyId::from_uuid(Default::default()),
            secret: ProviderSecret::new((*secret).to_owned()),
        };
        let config = ProviderConfig {
            id: ProviderId::from_uuid(Default::default()),
            name: Name::parse("openai").unwrap(),
            provider_type: ProviderType::OpenAi,
            base_url: base_url.to_owned(),
            enabled: true,
            allow_private: false,
            settings: Default::default(),
            policy: Default::default(),
            keys: keys.iter().map(key).collect(),
        };
        Provider::new(config, State::default())
    }

    #[test]
    fn the_base_path_is_kept() {
        for (base, wanted) in [
            ("https://h/api/v1", "https://h/api/v1/models?limit=2&a=%20b"),
            ("https://h:8443/api/v1/", "https://h:8443/api/v1/models?limit=2&a=%20b"),
            ("http://h", "http://h/models?limit=2&a=%20b"),
        ] {
            let url = provider(base, &[]).url("/models", Some("limit=2&a=%20b")).unwrap();
            assert_eq!(url.to_string(), wanted);
        }
        assert_eq!(
            provider("https://h/v1", &[]).url("/models", None).unwrap().to_string(),
            "https://h/v1/models"
        );
    }

    #[test]
    fn a_base_that_cant_be_used_says_why() {
        for (base, says) in [
            ("not a url", "not a URL"),
            ("/v1", "not absolute"),
            ("ftp://h/v1", "neither http nor https"),
            ("https://user:secret@h/v1", "user name"),
            ("https://h/v1?x=1", "query"),
            ("http://127.0.0.1:9/v1", "allow_private"),
            ("http://[::ffff:169.254.169.254]/v1", "allow_private"),
        ] {
            let refusal = provider(base, &["k"]).url("/models", None).unwrap_err();
            assert_eq!(refusal.status, 502);
            assert!(refusal.message.contains(says), "{base}: {}", refusal.message);
            assert!(!refusal.message.contains("secret"));
        }
    }

    #[test]
    fn unsendable_keys_are_left_out() {
        let provider = provider("https://h/v1", &["first-key", "bad\nkey", "second-key"]);
        let sent = |index| Some(provider.pool.key(index)?.outgoing()?.value.clone());
        assert_eq!(sent(0).unwrap(), "Bearer first-key");
        assert_eq!(sent(1).unwrap(), "Bearer second-key");
        assert_eq!(sent(2), None);
        assert!(!format!("{provider:?}").contains("first-key"));
    }
}
