//! The state of a recorder that is not closed yet, as its exchange, the spool's list of what is unfinished, and the end of the
//! gateway share it.

use crate::counts::ProviderCounts;
use crate::exchange::completion::Completion;
use crate::exchange::content_coding::answer::Decoding;
use crate::exchange::outcome::{Ending, classify};
use crate::shared::{InFlightGuard, Shared};
use crate::spool::{Slot, Unfinished};
use lychgate_stream::Hold;
use lychgate_types::UnfinishedInterception;
use lychgate_types::interception::{InterceptionRecord, Outcome, Prompt, TokenUsage};
use lychgate_types::provider::Api;
use lychgate_wire::ResponseReader;
use lychgate_wire::estimate::tokens;
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// A prompt that is longer than this, in bytes, is not noted while its exchange is unfinished.
const DRAFT_PROMPT_BYTES: usize = 2048;
/// A draft is made anew when the text that has passed has grown by this part of itself: a stream that lasts has ever fewer.
const DRAFT_GROWTH: u64 = 16;

/// A record in the making.
#[derive(Debug)]
pub(super) struct Recording {
    pub(super) shared: Arc<Shared>,
    began: Instant,
    /// `None` once closed.
    open: Mutex<Option<Open>>,
}

#[derive(Debug)]
pub(super) struct Open {
    pub(super) record: InterceptionRecord,
    /// `None` before the head, and once the answer turned out to be unreadable.
    pub(super) reader: Option<Decoding>,
    /// Bytes of text in the request.
    pub(super) asked_bytes: u64,
    /// How many answers were asked for at once.
    pub(super) asked_answers: usize,
    pub(super) arrival: Instant,
    pub(super) waited: Duration,
    pub(super) capture_content: bool,
    /// What the answer names is made by this request, and stored by the provider.
    pub(super) makes_object: bool,
    /// The provider was told not to store the answer, so that its items can't be referred to.
    pub(super) unstored: bool,
    /// It has a cost, whatever comes of it.
    pub(super) has_cost: bool,
    /// What the model says has begun to come. Comments, verdicts of filters and the like may come before it.
    pub(super) has_content: bool,
    /// The answer may show the end of an earlier exchange.
    pub(super) completion: Option<Box<Completion>>,
    pub(super) slot: Slot,
    pub(super) guard: InFlightGuard,
    /// Of the provider of the last attempt; `None` before the first.
    pub(super) counts: Option<Arc<ProviderCounts>>,
    /// Its place in the spool's list.
    pub(super) listed: Option<usize>,
    /// What the last draft said: the status, and the bytes of text that had passed.
    pub(super) drafted: Option<(Option<u16>, u64)>,
}

impl Recording {
    /// Lists a record that begins.
    pub(super) fn begin(open: Open) -> Arc<Self> {
        let recording = Arc::new(Self {
            shared: Arc::clone(open.guard.shared()),
            began: open.arrival,
            open: Mutex::new(Some(open)),
        });
        let listed = recording
            .shared
            .spool
            .list(Arc::clone(&recording) as Arc<dyn Unfinished>);
        if let Some(mut open) = recording.open() {
            open.listed = Some(listed);
        }
        recording
    }

    pub(super) fn open(&self) -> Option<MappedMutexGuard<'_, Open>> {
        MutexGuard::try_map(self.open.lock(), Option::as_mut).ok()
    }

    /// Whoever comes first decides about the ending.
    pub(super) fn close(&self, ending: Ending) -> Option<Hold> {
        let open = self.open.lock().take()?;
        let listed = open.listed;
        let (hold, _guard) = open.close(ending);
        // Only now, so that whenever the process ends, the record or its draft is on disk.
        if let Some(listed) = listed {
            self.shared.spool.unlist(listed);
        }
        hold
    }
}

impl Unfinished for Recording {
    fn began(&self) -> Instant {
        self.began
    }

    fn draft(&self) -> Option<InterceptionRecord> {
        self.open()?.draft()
    }

    fn was_not_written(&self) {
        if let Some(mut open) = self.open() {
            open.drafted = None;
        }
    }

    fn stop(&self) {
        // The spool is flushed before the process ends, so nobody has to wait.
        drop(self.close(Ending::GatewayStopped));
    }
}

impl Open {
    /// The record as it is to be if the process ends now; `None` where that is about what it was before.
    fn draft(&mut self) -> Option<InterceptionRecord> {
        self.counts.as_ref()?;
        let reader = self.reader.as_ref().map(Decoding::reader);
        let (status, told) = (
            self.record.upstream_status,
            reader.map_or(0, ResponseReader::text_bytes),
        );
        let is_due = self
            .drafted
            .is_none_or(|(before, bytes)| before != status || told > bytes + bytes / DRAFT_GROWTH);
        if !is_due {
            return None;
        }
        self.drafted = Some((status, told));
        let prompts = std::mem::take(&mut self.record.prompts);
        let mut draft = InterceptionRecord {
            ended_at: self.guard.shared().ambient.now(),
            outcome: Outcome::Interrupted,
            ..self.record.clone()
        };
        let short = |prompt: &&Prompt| prompt.prompt.held_bytes() <= DRAFT_PROMPT_BYTES;
        draft.prompts = prompts.iter().filter(short).cloned().collect();
        self.record.prompts = prompts;
        if status.is_none_or(is_success) {
            draft.token_usages.push(TokenUsage {
                estimated: true,
                ..TokenUsage::default()
            });
            let model = draft.served_model.as_deref().unwrap_or(&draft.model);
            estimate(&mut draft.token_usages, model, self.asked_bytes, told);
        }
        Some(draft)
    }

    /// Takes the time at which bytes came. What counts is the first byte of what the model says; until there is one, the first byte of
    /// all.
    pub(super) fn waited(&mut self, waited: Duration) {
        let reader = self.reader.as_ref().map(Decoding::reader);
        self.has_content = reader.is_none_or(ResponseReader::has_content);
        let known = &mut self.record.time_to_first_byte_ms;
        if self.has_content || known.is_none() {
            *known = Some(super::whole(waited.as_millis()));
        }
    }

    /// The guard is given back, since more is to be done before the exchange has ended.
    fn close(self, ending: Ending) -> (Option<Hold>, InFlightGuard) {
        let Self {
            mut record,
            reader,
            asked_bytes,
            arrival,
            slot,
            makes_object,
            unstored,
            has_cost,
            completion,
            guard,
            counts,
            ..
        } = self;
        let ending = match ending {
            Ending::ClientLeft | Ending::ClientGaveUp if guard.shared().cut_off.load(Ordering::Acquire) => {
                Ending::GatewayStopped
            }
            ending => ending,
        };
        let Some(counts) = counts else { return (None, guard) };
        let status = record.upstream_status;
        let is_broken = reader.as_ref().is_some_and(Decoding::is_broken);
        let facts = reader.map(Decoding::into_reader).map(|reader| {
            catch_unwind(AssertUnwindSafe(|| reader.finish(status.unwrap_or_default()))).unwrap_or_default()
        });
        let good = status.is_some_and(is_success);
        record.ended_at = guard.shared().ambient.now();
        // An answer that began, or that a client requested and did not wait for, has a cost, even if no usage was reported. One
        // that is an error and nothing else has none.
        let only_an_error = facts
            .as_ref()
            .is_some_and(|facts| facts.error.is_some() && facts.usages.is_empty() && facts.text_bytes == 0);
        let has_cost = (good && (has_cost || !only_an_error))
            || (status.is_none() && matches!(ending, Ending::ClientLeft | Ending::GatewayStopped));
        let ended_whole = matches!(ending, Ending::Complete);
        (record.outcome, record.error_type, record.error_message) = {
            // What could not be decoded says nothing of how the answer ended.
            let told = facts.as_ref().filter(|facts| facts.complete || !is_broken);
            classify(&record, ending, told)
        };
        let facts = facts.unwrap_or_default();
        record.stop_reason = facts.stop_reason;
        for prompt in &mut record.prompts {
            prompt.provider_response_id.clone_from(&facts.provider_response_id);
        }
        record.tool_usages = facts.tool_usages;
        record.model_thoughts = facts.model_thoughts;
        let has_cost = has_cost && !record.api.is_about_objects();
        let made =
            Some(facts.provider_response_id.clone()).filter(|id| good && makes_object && !unstored && !id.is_empty());
        let goes_on = made.is_some() && facts.in_background;
        if goes_on {
            (record.outcome, record.error_type, record.error_message) = (Outcome::Unfinished, None, None);
        }
        // The file that an upload became is made by its last request, which names the upload. What Chat Completions stores of an
        // answer is its sound only.
        let stores_items = record.api.is_about_objects() || record.api == Api::OpenAiChatCompletions;
        if made.is_some() || (good && stores_items) {
            record.stored_items = facts.item_ids;
        }
        record.stored_object = made;
        let unknown = TokenUsage {
            provider_response_id: facts.provider_response_id,
            estimated: true,
            ..TokenUsage::default()
        };
        if !facts.served_model.is_empty() {
            record.served_model = Some(facts.served_model).filter(|served| *served != record.model);
        }
        record.token_usages = facts.usages;
        let is_untold = record.token_usages.is_empty() && has_cost;
        if is_untold {
            record.token_usages.push(unknown);
        }
        let was_cancelled = record.stop_reason.as_deref() == Some("cancelled");
        // What was told of an answer that came whole is all that there is to it; one that was cancelled is a part.
        if is_untold || goes_on || was_cancelled || !(ended_whole && facts.complete) {
            let model = record.served_model.as_deref().unwrap_or(&record.model);
            estimate(&mut record.token_usages, model, asked_bytes, facts.text_bytes);
        }
        counts.complete(&record, arrival.elapsed());
        let made = record.stored_object.clone().map(|object| {
            let unfinished = goes_on.then(|| {
                Arc::new(UnfinishedInterception {
                    id: record.id,
                    provider: record.provider.clone(),
                })
            });
            (record.token_hash, object, unfinished)
        });
        let hold = slot.fill(record);
        // Behind its record, and before the client can know it is finished, so that it may go on from there at once.
        if let Some((token, object, unfinished)) = made {
            guard.shared().objects.remember(token, &object, unfinished);
        }
        let end = completion.and_then(|completion| completion.close(&guard));
        (both(end, hold), guard)
    }
}

/// What waits for both.
fn both(one: Option<Hold>, other: Option<Hold>) -> Option<Hold> {
    match (one, other) {
        (Some(one), Some(other)) => Some(Box::pin(async {
            one.await?;
            other.await
        })),
        (one, other) => one.or(other),
    }
}

/// Fills in estimates for counts that never arrived. Counts that did arrive are no less than what was used by then. Text that no row
/// accounts for goes to the last row without a final count.
fn estimate(usages: &mut [TokenUsage], model: &str, asked_bytes: u64, told_bytes: u64) {
    let told = usages
        .iter()
        .fold(0_i64, |told, usage| told.saturating_add(usage.output_tokens));
    let Some(last) = usages.iter_mut().rfind(|usage| usage.estimated) else {
        return;
    };
    let untold = tokens(model, told_bytes).saturating_sub(told).max(0);
    last.output_tokens = last.output_tokens.saturating_add(untold);
    for usage in usages.iter_mut().filter(|usage| usage.estimated) {
        let cached = usage
            .cache_read_input_tokens
            .saturating_add(usage.cache_write_input_tokens)
            .saturating_add(usage.cache_write_1h_input_tokens);
        if usage.input_tokens == 0 && cached == 0 {
            usage.input_tokens = tokens(model, asked_bytes);
        }
    }
}

fn is_success(status: u16) -> bool {
    (200..300).contains(&status)
}
