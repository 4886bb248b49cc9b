//! Whether a message of the client may be relayed. Each is admitted as a request is, by what holds when it comes: the gateway takes
//! requests, the provider is still the one that was dialled, the token is good, the objects that it names are the user's. One that
//! asks for a response also has a place among the requests in flight, and room for its record.

use crate::auth::leases::Verdict;
use crate::body_budget::MessageRoom;
use crate::error::Refusal;
use crate::exchange::admit::{self, Entered};
use crate::exchange::attempt::error_end;
use crate::exchange::objects::{self, Asker};
use crate::exchange::recorder::{Arrival, ExchangeStart, Recorder};
use crate::exchange::selector::AttemptPlan;
use crate::resilience::decision::AttemptEnd;
use crate::routing::provider::Provider;
use crate::shared::{InFlightGuard, Shared};
use crate::spool::Slot;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use lychgate_link::places::Source;
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::Holder;
use lychgate_types::interception::CredentialKind;
use lychgate_types::provider::Api;
use lychgate_types::secret::SecretHash;
use lychgate_wire::socket::{ClientEvent, error_headers};
use lychgate_wire::{RequestFacts, read_request, with_model};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Utf8Bytes;

/// What holds for a WebSocket as long as it is open. Its headers hold credentials, so it is never shown.
pub(super) struct Context {
    pub(super) shared: Arc<Shared>,
    /// As it was when the WebSocket was opened.
    pub(super) provider: Arc<Provider>,
    pub(super) api: Api,
    /// The attempt that opened it, with one credential.
    pub(super) plan: AttemptPlan,
    pub(super) pays: CredentialKind,
    pub(super) token: SecretHash,
    /// Whose the token is.
    pub(super) holder: Holder,
    pub(super) source: Source,
    /// As the client sent them.
    pub(super) headers: HeaderMap,
}

/// A message that may go on.
pub(super) struct Admitted {
    pub(super) text: Utf8Bytes,
    pub(super) room: MessageRoom,
    pub(super) asks: Asks,
}

/// What a message asks for.
pub(super) enum Asks {
    Nothing,
    /// A response, with its record and the client's name of the model.
    Response(Recorder, Model),
    /// That the response of this id goes on otherwise, for which another may follow, with room for the record of that.
    Steers(Option<String>, Reserved),
}

/// A model that is asked for.
#[derive(Debug, Clone, Default)]
pub(super) struct Model {
    /// Its name for the client.
    pub(super) asked: String,
    /// And for the provider.
    pub(super) sent: String,
}

/// Room for the record of a response that may begin by itself, whatever happens to the gateway or its client until then.
#[derive(Debug)]
pub(super) struct Reserved {
    guard: InFlightGuard,
    slot: Slot,
    prompt: Option<String>,
    text_bytes: u64,
    capture_content: bool,
}

impl Context {
    /// The provider as it is now, if a WebSocket to it would be the same.
    pub(super) fn entered(&self) -> Result<Entered, Refusal> {
        let state = self.shared.replica_state.load();
        let entered = Entered::now(&self.shared, &state, self.provider.config.name.as_str())?;
        let (now, then) = (&entered.provider.config, &self.provider.config);
        entered.provider.usable()?;
        let has_key = self
            .plan
            .key_id()
            .is_none_or(|key| now.keys.iter().any(|known| known.id == key));
        let is_same = now.id == then.id && now.base_url == then.base_url && now.policy.relay.websocket;
        if !is_same || !has_key {
            return Err(closing());
        }
        Ok(entered)
    }

    /// Which client it is, as far as its headers tell.
    pub(super) fn client(&self) -> &'static str {
        let header = |name: &str| self.headers.get(name).and_then(|value| value.to_str().ok());
        lychgate_wire::client::identify(header, None).client
    }

    /// Whether the token still works; nothing is said while nobody can be asked.
    pub(super) async fn is_refused(&self) -> Option<Refusal> {
        let refusal = admit::authorize(&self.shared, self.token, self.source).await.err()?;
        is_about_token(&refusal).then_some(refusal)
    }

    /// Admits a message.
    pub(super) async fn admit(
        &self,
        event: &ClientEvent,
        text: Utf8Bytes,
        room: MessageRoom,
    ) -> Result<Admitted, Refusal> {
        let arrival = Arrival {
            at: Instant::now(),
            wall: self.shared.ambient.now(),
        };
        let entered = self.entered()?;
        let holder = match self.shared.leases.known(&self.token) {
            Some(Verdict::Allowed(holder)) => holder,
            _ => Box::pin(admit::authorize(&self.shared, self.token, self.source)).await?,
        }
        .or_of(&self.token);
        let facts = read_request(self.api, None, text.as_bytes()).map_err(|error| unreadable(error.to_string()))?;
        let asker = Asker {
            token: self.token,
            holder,
            pays: self.pays,
        };
        Box::pin(objects::check_references(&entered, asker, &facts)).await?;
        if !event.creates && !event.steers {
            let asks = Asks::Nothing;
            return Ok(Admitted { text, room, asks });
        }
        let guard = self.shared.enter()?;
        let mut slot = admit::reserve(&self.shared, holder)?;
        admit::expect(&mut slot, facts.prompt.as_ref().filter(|_| entered.capture_content))?;
        if event.steers {
            let reserved = Reserved {
                guard,
                slot,
                prompt: facts.prompt,
                text_bytes: facts.text_bytes,
                capture_content: entered.capture_content,
            };
            let asks = Asks::Steers(facts.previous_response_id, reserved);
            return Ok(Admitted { text, room, asks });
        }
        let asked = facts.model.clone();
        let model = self.model(&entered, &facts.model)?;
        let text = match &model {
            None => text,
            Some(model) => renamed(&text, model)?,
        };
        let waited = Duration::ZERO;
        let start = self.start(entered.capture_content, arrival, waited, facts);
        let mut recorder = Recorder::new(start, slot, guard);
        recorder.begin_attempt(&entered.provider, model.as_deref(), self.hint());
        let sent = model.map_or_else(|| asked.clone(), |model| (*model).to_owned());
        let asks = Asks::Response(recorder, Model { asked, sent });
        Ok(Admitted { text, room, asks })
    }

    /// Room for the record of a response that no message asked for in any way.
    pub(super) fn unasked(&self) -> Result<Reserved, Refusal> {
        Ok(Reserved {
            guard: self.shared.enter()?,
            slot: admit::reserve(&self.shared, self.holder)?,
            prompt: None,
            text_bytes: 0,
            capture_content: self.shared.replica_state.load().table.capture_content,
        })
    }

    /// A recorder for a response of this model that begins by itself.
    pub(super) fn begin(&self, reserved: Reserved, model: &str) -> Recorder {
        let arrival = Arrival {
            at: Instant::now(),
            wall: self.shared.ambient.now(),
        };
        let facts = RequestFacts {
            model: model.to_owned(),
            prompt: reserved.prompt,
            text_bytes: reserved.text_bytes,
            ..RequestFacts::default()
        };
        let start = self.start(reserved.capture_content, arrival, Duration::ZERO, facts);
        let mut recorder = Recorder::new(start, reserved.slot, reserved.guard);
        recorder.begin_attempt(&self.provider, None, self.hint());
        recorder
    }

    fn hint(&self) -> &str {
        self.plan.credential.hint()
    }

    /// An error of the provider's about a request for this model counts as that of an answer: for the breaker, and for the key.
    pub(super) fn refused(&self, status: StatusCode, error: &[u8], model: &str) {
        let named = error_headers(error).filter_map(|(name, value)| {
            let value = HeaderValue::from_str(&value).ok()?;
            Some((HeaderName::from_static(name), value))
        });
        let headers: HeaderMap = named.collect();
        self.failed(
            error_end(self.api, status, &headers, error, &self.shared.ambient),
            model,
        );
    }

    /// So does a response that was cut or fell silent.
    pub(super) fn failed(&self, end: AttemptEnd, model: &str) {
        let breakers = &self.shared.breakers;
        self.plan.settle_later(end, self.api, breakers.model(model), breakers);
    }

    fn start(
        &self,
        capture_content: bool,
        arrival: Arrival,
        waited: Duration,
        facts: RequestFacts,
    ) -> ExchangeStart<'_> {
        ExchangeStart {
            id: self.shared.spool.new_id(&self.shared.ambient),
            arrival,
            waited,
            token: self.token,
            provider_type: self.provider.config.provider_type,
            api: self.api,
            facts: RequestFacts {
                streaming: true,
                ..facts
            },
            headers: &self.headers,
            credential_kind: self.pays,
            capture_content,
            makes_object: true,
            completion: None,
        }
    }

    /// The model that a route wants instead of the client's.
    fn model(&self, entered: &Entered, asked: &str) -> Result<Option<Arc<str>>, Refusal> {
        let state = self.shared.replica_state.load();
        let routes = &state.table.routes;
        let drawn = routes.draw(&entered.provider, asked, self.pays, &self.shared.ambient)?;
        match drawn.at(entered.provider.config.id) {
            Some(candidate) => Ok(candidate.model.clone().filter(|model| **model != *asked)),
            None => {
                let message = "the route for this model leads to another provider than that of this WebSocket; send an HTTP request for it";
                Err(Refusal::new(StatusCode::BAD_REQUEST, Refused::RouteUnusable, message))
            }
        }
    }
}

/// Whether no message with this token will do any more.
pub(super) fn is_about_token(refusal: &Refusal) -> bool {
    matches!(refusal.status, StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN)
}

/// For a message that can't be read.
pub(super) fn unreadable(message: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, Refused::BodyUnreadable, message)
}

/// For what comes when another WebSocket has to be opened.
pub(super) fn closing() -> Refusal {
    let message = "this WebSocket is about to be closed; open another one, or use HTTP requests";
    Refusal::unavailable(Refused::WebSocket, message, 1)
}

fn renamed(text: &Utf8Bytes, model: &str) -> Result<Utf8Bytes, Refusal> {
    let renamed = with_model(text.as_bytes(), model).and_then(|text| String::from_utf8(text).ok());
    renamed.map(Into::into).ok_or_else(|| {
        let message =
            "a route names another model for this message, but its own can't be replaced: name it once, as text";
        Refusal::new(StatusCode::BAD_REQUEST, Refused::RouteUnusable, message)
    })
}
