//! The end of a response or batch that its provider made in the background, as an answer on its way to a client shows it: it completes the
//! interception that is on record as unfinished. Several replicas may show the same end; it is booked once. An answer that breaks off
//! before the end raises what is estimated of that interception. Where its record is still on its way here, it is asked for again.
//!
//! Not here: which interception that is (`objects`), and what is recorded of requests themselves (`recorder`).

use crate::exchange::admit::{Entered, Received};
use crate::exchange::body_kind::BodyKind;
use crate::exchange::content_coding::answer::Decoding;
use crate::exchange::drain::drain_watched;
use crate::exchange::keep_alive::KeepAlive;
use crate::exchange::models::learning::Lesson;
use crate::exchange::objects::{self, Maker};
use crate::exchange::outcome::{Ending, classify};
use crate::routing::provider::Provider;
use crate::shared::{InFlightGuard, Shared};
use crate::spool::Slot;
use bytes::Bytes;
use http::StatusCode;
use http_body::Body;
use lychgate_stream::{Failure, Hold, Last, LastWords, Watch};
use lychgate_types::interception::{CredentialKind, InterceptionRecord, Outcome, TokenUsage};
use lychgate_types::provider::Api;
use lychgate_types::secret::SecretHash;
use lychgate_types::{InterceptionId, Timestamp, UnfinishedInterception};
use lychgate_wire::client::identify;
use lychgate_wire::estimate::tokens;
use lychgate_wire::filler::{Filler, filler};
use lychgate_wire::{ReaderOptions, ResponseFacts, ResponseReader};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

/// An end that may come.
#[derive(Debug)]
pub(crate) struct Completion {
    shared: Arc<Shared>,
    provider: Arc<Provider>,
    slot: Slot,
    of: Maker,
    object: Box<str>,
    /// The API as which answers show it.
    api: Api,
    token: SecretHash,
    credential_kind: CredentialKind,
    capture_content: bool,
    /// The name of the client that asks.
    client: &'static str,
    began: Timestamp,
    answer: Option<(StatusCode, Decoding)>,
}

impl Completion {
    /// `None` where the path names no object, or shows none.
    pub(crate) fn new(entered: &Entered, received: &Received, of: Maker, slot: Slot) -> Option<Box<Self>> {
        let admission = &received.admission;
        let header = |name: &str| received.head.headers.get(name)?.to_str().ok();
        Some(Box::new(Self {
            shared: Arc::clone(&entered.shared),
            provider: Arc::clone(&entered.provider),
            slot,
            of,
            object: admission.object.clone()?,
            api: admission.path.shows?,
            token: admission.token,
            credential_kind: admission.credential_kind(),
            capture_content: entered.capture_content,
            client: identify(header, None).client,
            began: entered.shared.ambient.now(),
            answer: None,
        }))
    }

    /// The interception that may be completed, if it is known.
    pub(crate) fn id(&self) -> Option<InterceptionId> {
        match &self.of {
            Maker::Unfinished(of) => Some(of.id),
            Maker::Unknown => None,
        }
    }

    /// Whether more of the answer can tell more than what came of it.
    fn awaits_more(&self) -> bool {
        self.answer
            .as_ref()
            .is_some_and(|(status, reader)| status.is_success() && !reader.reader().is_complete())
    }

    /// What may be put into the answer while the provider is silent.
    pub(crate) fn filler(&self) -> Option<Filler> {
        filler(Api::OpenAiResponses, self.client)
    }

    /// Whether a filler may go to the client while more of the answer is to come; false where that is not known.
    fn takes_filler(&self) -> bool {
        let answer = self.answer.as_ref();
        answer.is_some_and(|(_, reader)| reader.reader().takes_filler())
    }

    /// The answer's head came.
    pub(crate) fn head(&mut self, status: StatusCode, body: BodyKind) {
        let options = ReaderOptions {
            capture_content: self.capture_content,
        };
        let reader = ResponseReader::new(self.api, body.is_event_stream, options);
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

    /// No more comes. If what came shows the end, that is recorded, and otherwise what the model is seen to have written; gives what
    /// the answer has to wait for. Whose end it is may have to be asked yet: the answer does not wait for that.
    pub(crate) fn close(mut self, guard: &InFlightGuard) -> Option<Hold> {
        let shown = self.shown()?;
        self.settle(shown, guard)
    }

    /// What the answer shows of the object, to be asked once; `None` where that is nothing.
    pub(crate) fn shown(&mut self) -> Option<Shown> {
        let (status, reader) = self.answer.take()?;
        let status = Some(status.as_u16()).filter(|status| (200..300).contains(status))?;
        let facts = catch_unwind(AssertUnwindSafe(|| reader.into_reader().finish(status))).ok()?;
        let is_end = facts.complete && !facts.in_background && facts.stop_reason.is_some();
        // A stream that is taken up in its middle names its response only at its end.
        let is_unnamed_part = !is_end && facts.provider_response_id.is_empty();
        let is_of_it = facts.provider_response_id == *self.object || (is_unnamed_part && facts.text_bytes > 0);
        is_of_it.then_some(Shown { status, is_end, facts })
    }

    /// Records what was shown, as [`Self::close`] does.
    pub(crate) fn settle(self, shown: Shown, guard: &InFlightGuard) -> Option<Hold> {
        if !shown.is_end && shown.facts.text_bytes == 0 {
            return None;
        }
        if let Maker::Unfinished(of) = &self.of {
            let of = Arc::clone(of);
            return self.book(&of, shown);
        }
        let place = self.shared.late_ends.take(self.slot.holder())?;
        let runtime = tokio::runtime::Handle::try_current().ok()?;
        let guard = guard.another();
        runtime.spawn(async move {
            let provider = self.provider.config.name.clone();
            if let Some(of) = objects::late_maker(&self.shared, self.token, &self.object).await
                && of.provider == provider.as_str()
            {
                // It is in the spool; nobody waits for it to be on the disk.
                drop(self.book(&of, shown));
            }
            drop((place, guard));
        });
        None
    }

    /// Records what was shown.
    fn book(self, of: &UnfinishedInterception, shown: Shown) -> Option<Hold> {
        let Shown { status, is_end, facts } = shown;
        let mut record = InterceptionRecord {
            id: of.id,
            token_hash: self.token,
            provider: of.provider.clone(),
            provider_type: self.provider.config.provider_type,
            api: self.api,
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
            ended_at: self.shared.ambient.now(),
            outcome: Outcome::Unfinished,
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
        if !is_end {
            record.token_usages = vec![estimate(facts)];
            return self.slot.fill(record);
        }
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

/// What an answer showed of a response.
#[derive(Debug)]
pub(crate) struct Shown {
    status: u16,
    is_end: bool,
    facts: ResponseFacts,
}

/// What the response says of itself.
fn fill(record: &mut InterceptionRecord, mut facts: ResponseFacts) {
    record.stored_items = std::mem::take(&mut facts.item_ids);
    record.served_model = Some(facts.served_model.clone()).filter(|model| !model.is_empty());
    record.stop_reason = facts.stop_reason.take();
    record.tool_usages = std::mem::take(&mut facts.tool_usages);
    record.model_thoughts = std::mem::take(&mut facts.model_thoughts);
    record.token_usages = std::mem::take(&mut facts.usages);
    if record.token_usages.is_empty() && !record.api.is_about_objects() {
        record.token_usages.push(estimate(facts));
    }
}

/// What the model has written, about. Its input was estimated when it was asked for.
fn estimate(facts: ResponseFacts) -> TokenUsage {
    TokenUsage {
        provider_response_id: facts.provider_response_id,
        output_tokens: tokens(&facts.served_model, facts.text_bytes),
        estimated: true,
        ..TokenUsage::default()
    }
}

/// Lets a body pass, with a look at it where it may show an end or teach something, and counts its request as in flight until it has passed.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) completion: Option<Box<Completion>>,
    pub(crate) lesson: Option<Lesson>,
    pub(crate) keep_alive: Option<KeepAlive>,
    pub(crate) guard: InFlightGuard,
}

impl<B> Watch<B> for Watched
where
    B: Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Send,
{
    fn data(&mut self, bytes: Bytes) -> Bytes {
        self.see(&bytes);
        if let Some(keep_alive) = &mut self.keep_alive {
            keep_alive.sent(&bytes);
        }
        bytes
    }

    fn filler(&mut self) -> Option<Bytes> {
        let completion = self.completion.as_deref();
        let takes_filler = || completion.is_some_and(Completion::takes_filler);
        self.keep_alive.as_ref()?.due(takes_filler)
    }

    fn complete(self) -> Last {
        Last::new(Bytes::new(), self.close())
    }

    fn failed(self, _: &Failure) -> LastWords {
        LastWords::Failure(Last::new(Bytes::new(), self.close()))
    }

    fn left(self, rest: B) {
        if self
            .completion
            .as_ref()
            .is_some_and(|completion| completion.awaits_more())
        {
            drain_watched(rest, self);
        } else {
            drop(self.close());
        }
    }
}

impl Watched {
    /// Bytes of the answer's body came.
    pub(crate) fn see(&mut self, bytes: &[u8]) {
        if let Some(completion) = &mut self.completion {
            completion.data(bytes);
        }
        if let Some(lesson) = &mut self.lesson {
            lesson.data(bytes);
        }
    }

    /// No more comes.
    pub(crate) fn close(self) -> Option<Hold> {
        let Self { completion, guard, .. } = self;
        completion.and_then(|completion| completion.close(&guard))
    }
}
