//! The body of a recorded request as each attempt sends it: as the client wrote it, with the model that a route names, or asked
//! for the usage that a stream would not tell.
//!
//! Not here: where in a body what is changed (crate `wire`), and who is asked for usage (`routing::provider`).

use crate::body_budget::{BodyBudget, HeldBody, NoRoom};
use crate::error::Refusal;
use crate::exchange::admit::crowded;
use bytes::Bytes;
use http::StatusCode;
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::Holder;
use lychgate_types::provider::Api;
use lychgate_wire::{RequestFacts, ask_for_usage, may_spell_usage, member_names, with_model};
use std::sync::Arc;

#[derive(Debug)]
pub(crate) struct RequestBody {
    api: Api,
    /// As the client wrote it.
    written: Bytes,
    /// Its stream would not tell its usage unless it is asked to.
    lacks_usage: bool,
    /// The model is named in the client's path, and here none or another.
    model_is_in_path: bool,
    /// Of the last attempt, where that was another.
    changed: Option<Changed>,
    budget: Arc<BodyBudget>,
    holder: Holder,
}

#[derive(Debug)]
struct Changed {
    model: Option<Arc<str>>,
    wants_usage: bool,
    sent: Sent,
}

/// What one attempt sends.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    pub(crate) bytes: Bytes,
    /// The gateway has asked for usage, so that the chunk which tells it is not for the client.
    pub(crate) asks_for_usage: bool,
}

impl RequestBody {
    pub(crate) fn new(
        api: Api,
        facts: &RequestFacts,
        body: HeldBody,
        budget: &Arc<BodyBudget>,
        holder: Holder,
    ) -> Self {
        Self {
            api,
            written: body.into_bytes(),
            lacks_usage: facts.lacks_usage,
            model_is_in_path: facts.model_is_in_path,
            changed: None,
            budget: Arc::clone(budget),
            holder,
        }
    }

    /// The body that asks for `model`, if one has to be put in, and for usage, if that is wanted.
    pub(crate) fn for_attempt(&mut self, model: Option<&Arc<str>>, wants_usage: bool) -> Result<Sent, Refusal> {
        let before = self.changed.as_ref();
        if let Some(changed) =
            before.filter(|changed| changed.model.as_ref() == model && changed.wants_usage == wants_usage)
        {
            return Ok(changed.sent.clone());
        }
        let mut sent = Sent {
            bytes: self.written.clone(),
            asks_for_usage: false,
        };
        if let Some(model) = model {
            let renamed = with_model(&sent.bytes, model).ok_or_else(|| {
                let message = "a route names another model for this request, but the request's own can't be replaced: name it once, as text";
                Refusal::new(StatusCode::BAD_REQUEST, Refused::RouteUnusable, message)
            })?;
            sent.bytes = self.held(renamed)?;
        }
        if wants_usage && let Some(asking) = ask_for_usage(self.api, &sent.bytes) {
            sent.bytes = self.held(asking)?;
            sent.asks_for_usage = true;
        }
        if model.is_some() || wants_usage {
            self.changed = Some(Changed {
                model: model.cloned(),
                wants_usage,
                sent: sent.clone(),
            });
        }
        Ok(sent)
    }

    /// Whether it does not name the model that the client asks for, since the path does.
    pub(crate) fn lacks_model(&self) -> bool {
        self.model_is_in_path
    }

    /// Whether its stream would not tell its usage unless it is asked to.
    pub(crate) fn lacks_usage(&self) -> bool {
        self.lacks_usage
    }

    /// The names of its members, where they can be told.
    pub(crate) fn members(&self) -> Option<Vec<Vec<u8>>> {
        member_names(&self.written)
    }

    /// Whether an answer that quotes it could name what asks for usage.
    pub(crate) fn may_quote_usage(&self) -> bool {
        may_spell_usage(&self.written)
    }

    /// A body that was made here takes its room like one that came.
    fn held(&self, body: Vec<u8>) -> Result<Bytes, Refusal> {
        let mut room = self.budget.room(self.holder);
        room.grow(body.len()).map_err(|no_room: NoRoom| crowded(no_room))?;
        Ok(HeldBody::new(body.into(), room).into_bytes())
    }
}
