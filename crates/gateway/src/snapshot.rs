//! What this replica believes at one moment: its standing with the control plane, and the configuration in force. Swapped
//! as a whole, read without a lock.

use crate::error::Refusal;
use crate::provider::Provider;
use http::StatusCode;
use lychgate_link::Configuration;
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
    Starting { why: Option<Arc<str>> },
    /// Attached.
    Attached,
    /// It was attached; the control plane is away for the time being.
    Away { since: Instant },
    /// The control plane does not want this replica.
    Refused { why: Arc<str> },
}

/// The configuration, made ready for requests.
#[derive(Debug, Default)]
pub(crate) struct Table {
    pub(crate) version: u64,
    pub(crate) capture_content: bool,
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
    /// Makes a configuration ready. Providers that did not change are taken over from the table before.
    pub(crate) fn next(&self, configuration: &Configuration) -> Self {
        let providers = configuration.providers.iter().map(|config| {
            let name = config.name.as_str();
            let same = self
                .providers
                .get(name)
                .filter(|known| known.config == *config)
                .cloned();
            (
                name.to_owned(),
                same.unwrap_or_else(|| Arc::new(Provider::new(config.clone()))),
            )
        });
        Self {
            version: configuration.version,
            capture_content: configuration.capture_content,
            providers: providers.collect(),
        }
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
            Self::Away { since } if since.elapsed() < max_offline => Ok(()),
            Self::Starting { .. } => Err(Refusal::unavailable(
                "this gateway has not reached its control plane yet; try again shortly",
                1,
            )),
            Self::Away { .. } => Err(Refusal::unavailable(
                "this gateway has been without its control plane for too long",
                5,
            )),
            Self::Refused { why } => Err(Refusal::new(
                StatusCode::SERVICE_UNAVAILABLE,
                format!("this gateway is not let in by its control plane: {why}"),
            )),
        }
    }

    /// The same for `/readyz`: what is worth knowing while ready, or why not.
    pub(crate) fn readiness(&self, max_offline: Duration) -> Result<&'static str, String> {
        match self {
            Self::Attached => Ok("ready"),
            Self::Away { since } if since.elapsed() < max_offline => {
                Ok("ready for tokens already known; the control plane can't be reached")
            }
            Self::Starting { why: None } => Err("not attached to the control plane yet".to_owned()),
            Self::Starting { why: Some(why) } => Err(format!("not attached to the control plane yet: {why}")),
            Self::Away { .. } => Err("the control plane has been away for too long".to_owned()),
            Self::Refused { why } => Err(format!("the control plane does not let this gateway in: {why}")),
        }
    }
}
