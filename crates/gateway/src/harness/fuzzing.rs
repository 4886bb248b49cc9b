//! Doors for the fuzz targets (folder `fuzz`) into what is otherwise private. Only builds by cargo-fuzz have them.

use crate::auth::credentials::{self, Outgoing};
use crate::auth::target;
use crate::error::Refusal;
use crate::exchange::headers::{self, AnswerBody, StrippedHeaders};
use crate::routing::{allow_list, provider};
use http::{HeaderMap, Method, Uri};
use lychgate_link::ProviderConfig;
use lychgate_types::interception::CredentialKind;
use lychgate_types::provider::Api;
use lychgate_types::secret::SecretHash;

/// A provider, ready for requests.
#[derive(Debug)]
pub struct Provider(provider::Provider);

/// What goes upstream of a request's head, and what was read of it.
#[derive(Debug)]
pub struct Forwarded {
    /// The API whose exchanges are recorded; `None` for what only passes through.
    pub api: Option<Api>,
    /// Where it goes.
    pub url: Uri,
    /// The headers it goes with.
    pub headers: HeaderMap,
    /// Whose token it came with.
    pub token: SecretHash,
    /// It goes with the user's own provider credential.
    pub own: bool,
}

/// The gateway's own answer.
#[derive(Debug)]
pub struct Refused {
    /// HTTP status.
    pub status: u16,
    /// What the client is told.
    pub message: String,
}

impl Provider {
    /// Takes a configuration over.
    pub fn new(config: ProviderConfig) -> Self {
        Self(provider::Provider::new(config, provider::State::default()))
    }

    /// Leads a request's head through everything that decides by it alone: allow-list, credentials, URL, headers.
    ///
    /// # Errors
    /// The first refusal.
    pub fn forward(&self, method: &Method, uri: &Uri, headers: HeaderMap) -> Result<Forwarded, Refused> {
        if allow_list::wants_websocket(&headers) {
            return Err(Refusal::websocket().into());
        }
        let provider_type = self.0.config.provider_type;
        let rest = allow_list::split(uri.path()).map_or("", |(_, rest)| rest);
        target::check(provider_type, uri)?;
        let found = allow_list::find(provider_type, &self.0.config.policy.relay, method, rest)?;
        let read = credentials::read(provider_type, &headers)?;
        let url = self.0.url(allow_list::tail(provider_type, rest), uri.query())?;
        let credential = match &read.own {
            Some(own) => own.clone(),
            None => match self.0.pool.pick(&[], &[]) {
                Some((_, central)) => Outgoing::clone(&central),
                None => return Err(self.0.without_key().into()),
            },
        };
        let kind = match read.own {
            Some(_) => CredentialKind::Byok,
            None => CredentialKind::Centralized,
        };
        let stripped = match found.api {
            Some(_) => StrippedHeaders::of_recorded(headers, kind),
            None => StrippedHeaders::of_unrecorded(headers, kind),
        };
        Ok(Forwarded {
            api: found.api,
            url,
            headers: stripped.with_credential(&credential),
            token: read.token,
            own: read.own.is_some(),
        })
    }
}

/// A provider's headers as they go to the client.
pub fn to_client(mut answer: HeaderMap) -> HeaderMap {
    headers::to_client(&mut answer, AnswerBody::Unchanged);
    answer
}

/// The same where something may be taken out of the body.
pub fn to_client_changed(mut answer: HeaderMap) -> HeaderMap {
    headers::to_client(&mut answer, AnswerBody::Changed);
    answer
}

impl From<Refusal> for Refused {
    fn from(refusal: Refusal) -> Self {
        Self {
            status: refusal.status.as_u16(),
            message: refusal.message.into_owned(),
        }
    }
}
