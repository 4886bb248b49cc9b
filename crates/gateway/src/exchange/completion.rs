//! The end of a response that its provider made in the background, as an answer on its way to a client shows it: it completes the
//! interception that is on record as unfinished. Several replicas may show the same end; it is booked once.
//!
//! Not here: which interception that is (`objects`), and what is recorded of requests themselves (`recorder`).

use crate::exchange::admit::{Admission, Entered};
use crate::exchange::body_kind::BodyKind;
use crate::exchange::content_coding::answer::Decoding;
use crate::exchange::outcome::{Ending, classify};
use crate::routing::provider::Provider;
use crate::shared::Shared;
use crate::spool::Slot;
use bytes::Bytes;
use http::StatusCode;
use lychgate_stream::{Failure, Hold, Last, LastWords, Watch};
use lychgate_types::interception::{CredentialKind, InterceptionRecord, Outcome, TokenUsage};
use lychgate_types::provider::Api;
use lychgate_types::secret::SecretHash;
use lychgate_types::{InterceptionId, Timestamp, UnfinishedInterception};
use lychgate_wire::estimate::tokens;
use lychgate_wire::{ReaderOptions, ResponseFacts, ResponseReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// An end that may come.
#[derive(Debug)]
pub(crate) struct Completion {
    shared: Arc<Shared>,
    provider: Arc<Provider>,
    slot: Slot,
    of: Arc<UnfinishedInterception>,
    object: Box<str>,
    token: SecretHash,
    credential_kind: CredentialKind,
    capture_content: bool,
    began: Timestamp,
    answer: Option<(StatusCode, Decoding)>,
}

impl Completion {
    /// `None` where the path names no object.
    pub(crate) fn new(
        entered: &Entered,
        admission: &Admission,
        of: Arc<UnfinishedInterception>,
        slot: Slot,
    ) -> Option<Box<Self>> {
        Some(Box::new(Self {
            shared: Arc::clone(&entered.shared),
            provider: Arc::clone(&entered.provider),
            slot,
            of,
            object: admission.object.clone()?,
            token: admission.token,
            credential_kind: admission.credential_kind(),
            capture_content: entered.capture_content,
            began: entered.shared.ambient.now(),
            answer: None,
        }))
    }

    /// The interception that may be completed.
    pub(crate) fn id(&self) -> InterceptionId {
        self.of.id
    }

    /// The answer's head came.
    pub(crate) fn head(&mut self, status: StatusCode, body: BodyKind) {
        let options = ReaderOptions {
            capture_content: self.capture_content,
        };
        let reader = ResponseReader::new(Api::OpenAiResponses, body.is_event_stream, options);
        self.answer = Decoding::new(body.coding, reader).map(|reader| (status, reader));
    }

    /// Bytes of the answer's body were relayed.
    pub(crate) fn data(&mut self, bytes: &[u8]) {
        if let Some((_, reader)) = &mut self.answer
            && catch_unwind(AssertUnwindSafe(|| reader.push(bytes))).is_err()
        {
            self.answer = None;
        }
    }

    /// No more comes. If what came shows the end, that is recorded; gives what the answer has to wait for.
    pub(crate) fn close(self) -> Option<Hold> {
        let (status, reader) = self.answer?;
        let status = Some(status.as_u16()).filter(|status| (200..300).contains(status))?;
        let facts = catch_unwind(AssertUnwindSafe(|| reader.into_reader().finish(status))).ok()?;
        let shows_end = facts.complete && !facts.in_background && facts.stop_reason.is_some();
        if !shows_end || facts.provider_response_id != *self.object {
            return None;
        }
        let now = self.shared.ambient.now();
        let mut record = InterceptionRecord {
            id: self.of.id,
            token_hash: self.token,
            provider: self.of.provider.clone(),
            provider_type: self.provider.config.provider_type,
            api: Api::OpenAiResponses,
            model: String::new(),
            served_model: None,
            streaming: false,
            client: String::new(),
            user_agent: String::new(),
            client_session_id: None,
            thread_parent_tool_call_id: None,
            credential_kind: self.credential_kind,
            credential_hint: String::new(),
            started_at: self.began,
            ended_at: now,
            outcome: Outcome::Completed,
            upstream_status: Some(status),
            error_type: None,
            error_message: None,
            provider_request_id: None,
            stop_reason: None,
            stored_object: Some(self.object.to_string()),
            completes: true,
            thread_parent_response_id: None,
            stored_items: Vec::new(),
            attempts: 1,
            time_to_first_byte_ms: None,
            overhead_us: 0,
            token_usages: Vec::new(),
            prompts: Vec::new(),
            tool_usages: Vec::new(),
            model_thoughts: Vec::new(),
        };
        (record.outcome, record.error_type, record.error_message) = classify(&record, Ending::Complete, Some(&facts));
        if facts.stop_reason.as_deref() == Some("cancelled") {
            record.outcome = Outcome::ClientAborted;
        }
        fill(&mut record, facts);
        if self.shared.objects.has_ended(self.token, &self.object) {
            self.provider.state.counts.count_tokens(&record);
        }
        self.slot.fill(record)
    }
}

/// What the response says of itself.
fn fill(record: &mut InterceptionRecord, facts: ResponseFacts) {
    record.stored_items = facts.item_ids;
    record.token_usages = facts.usages;
    if record.token_usages.is_empty() {
        // Its input was estimated when it was asked for.
        record.token_usages.push(TokenUsage {
            provider_response_id: facts.provider_response_id,
            output_tokens: tokens(&facts.served_model, facts.text_bytes),
            estimated: true,
            ..TokenUsage::default()
        });
    }
    record.served_model = Some(facts.served_model).filter(|model| !model.is_empty());
    record.stop_reason = facts.stop_reason;
    record.tool_usages = facts.tool_usages;
    record.model_thoughts = facts.model_thoughts;
}

/// Lets a body pass, with a look at it where it may show an end, and keeps a value alive until it has passed.
#[derive(Debug)]
pub(crate) struct Watched<T> {
    pub(crate) completion: Option<Box<Completion>>,
    #[expect(dead_code, reason = "it is kept, and given back with the body's end")]
    pub(crate) kept: T,
}

impl<T: Unpin, B> Watch<B> for Watched<T> {
    fn data(&mut self, bytes: Bytes) -> Bytes {
        if let Some(completion) = &mut self.completion {
            completion.data(&bytes);
        }
        bytes
    }

    fn complete(self) -> Last {
        Last::new(Bytes::new(), self.close())
    }

    fn failed(self, _: &Failure) -> LastWords {
        LastWords::Failure(Last::new(Bytes::new(), self.close()))
    }

    fn left(self, _: B) {
        drop(self.close());
    }
}

impl<T> Watched<T> {
    fn close(self) -> Option<Hold> {
        self.completion.and_then(|completion| completion.close())
    }
}
