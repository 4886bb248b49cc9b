//! What this replica believes at one moment: its standing with the control plane, and the configuration in force. Swapped
//! as a whole, read without a lock.

use crate::error::Refusal;
use crate::routing::provider::{Provider, State};
use crate::routing::routes::Routes;
use http::StatusCode;
use lychgate_link::Configuration;
use lychgate_telemetry::metrics::labels::{LinkState, LinkTrouble, Refused};
use lychgate_types::ProviderId;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// One moment's beliefs.
#[derive(Debug, Clone)]
pub(crate) struct Snapshot {
    pub(crate) standing: Standing,
    pub(crate) table: Arc<Table>,
}

/// How this replica stands with the control plane.
#[derive(Debug, Clone)]
pub(crate) enum Standing {
    /// Never attached so far; `why` is what the last attempt said.
    Starting { why: Option<Why> },
    /// Attached.
    Attached,
    /// It was attached; the control plane is away for the time being. `why` is what the last attempt said.
    Away { since: Instant, why: Why },
    /// The control plane does not want this replica. `since` is when it was last attached, or started.
    Refused { since: Instant, why: Why },
}

/// Why it is not attached.
#[derive(Debug, Clone)]
pub(crate) struct Why {
    pub(crate) trouble: LinkTrouble,
    pub(crate) words: Arc<str>,
}

/// The configuration, made ready for requests.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) version: u64,
    pub(crate) capture_content: bool,
    pub(crate) routes: Routes,
    providers: HashMap<String, Arc<Provider>>,
}

impl Snapshot {
    pub(crate) fn start() -> Self {
        Self {
            standing: Standing::Starting { why: None },
            table: Arc::default(),
        }
    }
}

impl Table {
    /// Makes a configuration ready. Providers that did not change are taken over from the table before; of those that did,
    /// what was learnt about them.
    pub(crate) fn next(&self, configuration: &Configuration) -> Self {
        let known: HashMap<ProviderId, &Arc<Provider>> = self
            .providers
            .values()
            .map(|provider| (provider.config.id, provider))
            .collect();
        let providers: HashMap<ProviderId, Arc<Provider>> = configuration
            .providers
            .iter()
            .map(|config| {
                let provider = match known.get(&config.id) {
                    Some(same) if same.config == *config => Arc::clone(same),
                    Some(before) => Arc::new(Provider::new(config.clone(), before.state.clone())),
                    None => Arc::new(Provider::new(config.clone(), State::default())),
                };
                (config.id, provider)
            })
            .collect();
        Self {
            version: configuration.version,
            capture_content: configuration.capture_content,
            routes: Routes::new(&configuration.routes, &providers),
            providers: providers
                .into_values()
                .map(|provider| (provider.config.name.as_str().to_owned(), provider))
                .collect(),
        }
    }

    pub(crate) fn providers(&self) -> impl Iterator<Item = &Arc<Provider>> {
        self.providers.values()
    }

    pub(crate) fn provider(&self, name: &str) -> Option<&Arc<Provider>> {
        self.providers.get(name)
    }
}

impl Standing {
    pub(crate) fn is_attached(&self) -> bool {
        matches!(self, Self::Attached)
    }

    pub(crate) fn is_refused(&self) -> bool {
        matches!(self, Self::Refused { .. })
    }

    /// Whether requests may be taken, and if not, why.
    pub(crate) fn admits(&self, max_offline: Duration) -> Result<(), Refusal> {
        match self {
            Self::Attached => Ok(()),
            Self::Away { since, .. } if since.elapsed() < max_offline => Ok(()),
            Self::Starting { .. } => Err(Refusal::unavailable(
                Refused::NotAttached,
                "this gateway has not reached its control plane yet; try again shortly",
                1,
            )),
            Self::Away { .. } => Err(Refusal::unavailable(
                Refused::OfflineTooLong,
                "this gateway has been without its control plane for too long",
                5,
            )),
            Self::Refused { why, .. } => Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                Refused::ReplicaRefused,
                format!("this gateway is not let in by its control plane: {}", why.words),
            )),
        }
    }

    /// The same for `/readyz`: what is worth knowing while ready, or why not.
    pub(crate) fn readiness(&self, max_offline: Duration) -> Result<&'static str, String> {
        match self {
            Self::Attached => Ok("ready"),
            Self::Away { since, .. } if since.elapsed() < max_offline => {
                Ok("ready for tokens already known; the control plane can't be reached")
            }
            Self::Starting { why: None } => Err("not attached to the control plane yet".to_owned()),
            Self::Starting { why: Some(why) } => Err(format!("not attached to the control plane yet: {}", why.words)),
            Self::Away { .. } => Err("the control plane has been away for too long".to_owned()),
            Self::Refused { why, .. } => Err(format!("the control plane does not let this gateway in: {}", why.words)),
        }
    }

    /// The same in a word.
    pub(crate) fn state(&self) -> LinkState {
        match self {
            Self::Starting { .. } => LinkState::Starting,
            Self::Attached => LinkState::Attached,
            Self::Away { .. } => LinkState::Offline,
            Self::Refused { .. } => LinkState::Refused,
        }
    }

    /// Why it is not attached.
    pub(crate) fn trouble(&self) -> Option<LinkTrouble> {
        match self {
            Self::Attached | Self::Starting { why: None } => None,
            Self::Starting { why: Some(why) } | Self::Away { why, .. } | Self::Refused { why, .. } => Some(why.trouble),
        }
    }
}
