//! One exchange's record: notified of each attempt, fed by the tee, closed exactly once.
//!
//! Requests that the gateway itself refuses (no token, too large, malformed, no provider that can be tried) never went
//! upstream and are not recorded. From its first attempt on, each exchange is, whatever happens: a recorder that is dropped
//! unclosed closes itself.

mod open;

use crate::auth::credentials::holds_own_secret;
use crate::exchange::body_kind::BodyKind;
use crate::exchange::completion::Completion;
use crate::exchange::content_coding::answer::Decoding;
use crate::exchange::outcome::Ending;
use crate::routing::provider::Provider;
use crate::shared::{InFlightGuard, Shared};
use crate::spool::Slot;
use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, StatusCode};
use lychgate_stream::Hold;
use lychgate_types::interception::{CredentialKind, InterceptionRecord, Outcome, Prompt};
use lychgate_types::provider::{Api, ProviderType, WireFamily};
use lychgate_types::secret::SecretHash;
use lychgate_types::{InterceptionId, Timestamp};
use lychgate_wire::filler::{Filler, filler};
use lychgate_wire::{ReaderOptions, RequestFacts, ResponseReader};
use open::{Open, Recording};
use parking_lot::MappedMutexGuard;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Longest recorded text that a peer chooses freely (user agent, request id), in bytes.
const NAME_BYTES: usize = 512;
/// Where providers put the id of a request.
pub(crate) const REQUEST_IDS: [HeaderName; 3] = [
    HeaderName::from_static("request-id"),
    HeaderName::from_static("x-request-id"),
    HeaderName::from_static("x-amzn-requestid"),
];

/// When a request's head arrived.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival {
    pub(crate) at: Instant,
    pub(crate) wall: Timestamp,
}

/// What is known of an exchange before its first attempt.
pub(crate) struct ExchangeStart<'a> {
    pub(crate) id: InterceptionId,
    pub(crate) arrival: Arrival,
    /// Time spent waiting for the client's body: not the gateway's own.
    pub(crate) waited: Duration,
    pub(crate) token: SecretHash,
    pub(crate) provider_type: ProviderType,
    pub(crate) api: Api,
    pub(crate) facts: RequestFacts,
    /// As the client sent them: those that go upstream no longer identify it.
    pub(crate) headers: &'a HeaderMap,
    pub(crate) credential_kind: CredentialKind,
    pub(crate) capture_content: bool,
    /// What the answer names is made by this request, and stored by the provider.
    pub(crate) makes_object: bool,
    /// The answer may show the end of an earlier exchange.
    pub(crate) completion: Option<Box<Completion>>,
}

/// The record in the making.
#[derive(Debug)]
pub(crate) struct Recorder(Option<Arc<Recording>>);

impl Recorder {
    pub(crate) fn new(start: ExchangeStart<'_>, slot: Slot, guard: InFlightGuard) -> Self {
        let ExchangeStart {
            facts,
            headers,
            arrival,
            waited,
            capture_content,
            makes_object,
            completion,
            ..
        } = start;
        let header = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
        let client = lychgate_wire::client::identify(header, facts.body_session_id.as_deref());
        let prompt = facts.prompt.filter(|_| capture_content);
        let record = InterceptionRecord {
            id: start.id,
            token_hash: start.token,
            provider: String::new(),
            provider_type: start.provider_type,
            api: start.api,
            model: facts.model,
            served_model: None,
            streaming: facts.streaming,
            client: client.client.to_owned(),
            user_agent: user_agent(headers),
            client_session_id: client.session_id.filter(|id| !holds_own_secret(id.as_bytes())),
            thread_parent_tool_call_id: facts.thread_parent_tool_call_id,
            credential_kind: start.credential_kind,
            credential_hint: String::new(),
            started_at: arrival.wall,
            ended_at: arrival.wall,
            outcome: Outcome::Failed,
            upstream_status: None,
            error_type: None,
            error_message: None,
            provider_request_id: None,
            stop_reason: None,
            stored_object: None,
            completes: false,
            thread_parent_response_id: facts.previous_response_id,
            stored_items: Vec::new(),
            attempts: 0,
            time_to_first_byte_ms: None,
            overhead_us: 0,
            token_usages: Vec::new(),
            prompts: prompt
                .map(|prompt| Prompt {
                    provider_response_id: String::new(),
                    prompt: prompt.into(),
                })
                .into_iter()
                .collect(),
            tool_usages: Vec::new(),
            model_thoughts: Vec::new(),
        };
        let open = Open {
            record,
            reader: None,
            asked_bytes: facts.text_bytes,
            asked_answers: facts.answers,
            unstored: facts.unstored,
            arrival: arrival.at,
            waited,
            capture_content,
            makes_object,
            has_cost: false,
            has_content: false,
            completion,
            slot,
            guard,
            counts: None,
            listed: None,
            drafted: None,
        };
        Self(Some(Recording::begin(open)))
    }

    /// An attempt begins. Of those before it, only their number is recorded.
    pub(crate) fn begin_attempt(&mut self, provider: &Provider, served_model: Option<&str>, credential_hint: &str) {
        let Some(mut open) = self.open() else { return };
        let open = &mut *open;
        let record = &mut open.record;
        record.attempts = record.attempts.saturating_add(1);
        record.provider = provider.config.name.as_str().to_owned();
        record.provider_type = provider.config.provider_type;
        record.served_model = served_model.map(str::to_owned);
        record.credential_hint = credential_hint.to_owned();
        record.upstream_status = None;
        record.provider_request_id = None;
        open.reader = None;
        let counts = Arc::clone(&provider.state.counts);
        if record.attempts == 1 {
            let overhead = open.arrival.elapsed().saturating_sub(open.waited);
            record.overhead_us = whole(overhead.as_micros());
            counts.overhead.observe(overhead);
        } else {
            counts.retries.count();
        }
        open.counts = Some(counts);
    }

    /// The answer's head came.
    pub(crate) fn head(&mut self, status: StatusCode, headers: &HeaderMap, body: BodyKind) {
        let Some(mut open) = self.open() else { return };
        open.record.upstream_status = Some(status.as_u16());
        open.record.provider_request_id = REQUEST_IDS
            .iter()
            .find_map(|name| headers.get(name))
            .and_then(|value| value.to_str().ok())
            .map(|id| cut(id, NAME_BYTES).to_owned());
        let options = ReaderOptions {
            capture_content: open.capture_content,
        };
        let mut reader = ResponseReader::new(open.record.api, body.is_event_stream, options);
        reader.expect(open.asked_answers);
        reader.head(|name| headers.get(name)?.to_str().ok().map(str::to_owned));
        open.reader = Decoding::new(body.coding, reader);
        if let Some(completion) = &mut open.completion {
            completion.head(status, body);
        }
    }

    /// Bytes of the answer's body were relayed.
    pub(crate) fn data(&mut self, bytes: &[u8]) {
        self.shown(bytes, Decoding::push);
    }

    /// An event of the answer was relayed that came in a message of its own.
    pub(crate) fn event(&mut self, event: &[u8]) {
        self.shown(event, Decoding::push_event);
    }

    fn shown(&mut self, bytes: &[u8], read: impl FnOnce(&mut Decoding, &[u8])) {
        let Some(mut open) = self.open() else { return };
        let waited = (!open.has_content).then(|| open.arrival.elapsed());
        if let (Some(waited), None, Some(counts)) = (waited, open.record.time_to_first_byte_ms, &open.counts) {
            counts.first_byte.observe(waited);
        }
        if let Some(completion) = &mut open.completion {
            completion.data(bytes);
        }
        if let Some(reader) = &mut open.reader {
            // Reading must never break the relay, not even by a panic.
            if catch_unwind(AssertUnwindSafe(|| read(reader, bytes))).is_err() {
                open.reader = None;
            }
        }
        if let Some(waited) = waited {
            open.waited(waited);
        }
    }

    /// Which of several requests it is the answer to is not known, only which model makes it.
    pub(crate) fn set_model(&mut self, model: &str) {
        if let Some(mut open) = self.open() {
            open.record.model = cut(model, NAME_BYTES).to_owned();
            open.record.served_model = None;
            open.record.prompts.clear();
        }
    }

    /// The model has begun, so that even an answer of which nothing but an error is seen has cost something.
    pub(crate) fn mark_costly(&mut self) {
        if let Some(mut open) = self.open() {
            open.has_cost = true;
        }
    }

    /// Whether the stream's last event has been relayed, so that a client that disconnects now has all it wanted.
    pub(crate) fn has_last_event(&self) -> bool {
        self.reader_says(ResponseReader::is_complete)
    }

    /// Whether the model is known to have stopped, so that what is missing of the stream says nothing of the answer.
    pub(crate) fn has_finished(&self) -> bool {
        self.reader_says(ResponseReader::has_finished)
    }

    /// Whether a filler may go to the client while more of the stream is to come; false where that is not known.
    pub(crate) fn takes_filler(&self) -> bool {
        self.reader_says(ResponseReader::takes_filler)
    }

    /// What may be put into the stream while the provider is silent.
    pub(crate) fn filler(&self) -> Option<Filler> {
        let open = self.open()?;
        filler(open.record.api, &open.record.client)
    }

    /// Whether the stream stopped within an event.
    pub(crate) fn is_inside_event(&self) -> bool {
        self.reader_says(ResponseReader::is_inside_event)
    }

    /// The state of this gateway; `None` once closed.
    pub(crate) fn shared(&self) -> Option<&Arc<Shared>> {
        self.0.as_ref().map(|recording| &recording.shared)
    }

    /// `None` once closed.
    pub(crate) fn api(&self) -> Option<Api> {
        self.open().map(|open| open.record.api)
    }

    /// Whether a byte of the answer's body has been relayed. Once closed nobody knows; it is nothing to complain of then.
    pub(crate) fn has_data(&self) -> bool {
        self.open()
            .is_none_or(|open| open.record.time_to_first_byte_ms.is_some())
    }

    /// The wire family of the answer; `None` once closed.
    pub(crate) fn wire_family(&self) -> Option<WireFamily> {
        self.open().map(|open| open.record.provider_type.wire_family())
    }

    /// Takes the recorder, and leaves a closed one in its place.
    pub(crate) fn take(&mut self) -> Self {
        Self(self.0.take())
    }

    /// Completes the record and puts it into the spool; an exchange without an attempt has none. Returns what the end of the
    /// answer has to wait for, if anything.
    pub(crate) fn close(mut self, ending: Ending) -> Option<Hold> {
        self.end(ending)
    }

    fn open(&self) -> Option<MappedMutexGuard<'_, Open>> {
        self.0.as_ref()?.open()
    }

    fn reader_says(&self, question: impl FnOnce(&ResponseReader) -> bool) -> bool {
        self.open()
            .is_some_and(|open| open.reader.as_ref().map(Decoding::reader).is_some_and(question))
    }

    fn end(&mut self, ending: Ending) -> Option<Hold> {
        self.0.take()?.close(ending)
    }
}

impl Drop for Recorder {
    fn drop(&mut self) {
        self.end(Ending::Broken);
    }
}

fn user_agent(headers: &HeaderMap) -> String {
    let text = headers
        .get(USER_AGENT)
        // Somebody's token in the wrong header is not for the record.
        .filter(|value| !holds_own_secret(value.as_bytes()))
        .map(|value| String::from_utf8_lossy(value.as_bytes()))
        .unwrap_or_default();
    cut(&text, NAME_BYTES).to_owned()
}

/// The text, cut between characters.
pub(crate) fn cut(text: &str, most: usize) -> &str {
    &text[..text.floor_char_boundary(most)]
}

fn whole(count: u128) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;
