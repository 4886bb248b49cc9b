//! What an answer with generated content says, whole or in pieces, which have the same shape.

use super::made_id::made_id;
use super::{error, usage};
use crate::capture::{Capture, Captured, name};
use crate::format::ResponseFormat;
use crate::json::counters::Counters;
use crate::json::{self, List, Object, Raw, members};
use crate::limits::ITEMS;
use crate::sse::{Event, Ignored};
use crate::{ErrorFacts, ResponseFacts};
use lychgate_types::interception::{ModelThought, ThoughtSource, TokenUsage, ToolUsage};

members! {
    struct Answer<'de> {
        id: Raw<'de> = b"responseId",
        model: Raw<'de> = b"modelVersion",
        candidates: List<Object<Candidate<'de>>> = b"candidates",
        feedback: Object<Feedback<'de>> = b"promptFeedback",
        usage: Raw<'de> = b"usageMetadata",
        error: Raw<'de> = b"error",
    }
}

members! {
    struct Feedback<'de> { block_reason: Raw<'de> = b"blockReason", }
}

members! {
    struct Candidate<'de> {
        index: Raw<'de> = b"index",
        content: Object<Content<'de>> = b"content",
        finish_reason: Raw<'de> = b"finishReason",
        grounding: Object<Grounding<'de>> = b"groundingMetadata",
    }
}

members! {
    struct Content<'de> { parts: Raw<'de> = b"parts", }
}

members! {
    /// Searches that the provider made, each of which it bills.
    struct Grounding<'de> { queries: List<Raw<'de>> = b"webSearchQueries", }
}

members! {
    struct Part<'de> {
        text: Raw<'de> = b"text",
        thought: Raw<'de> = b"thought",
        signature: Raw<'de> = b"thoughtSignature",
        call: Object<Call<'de>> = b"functionCall",
        code: Raw<'de> = b"executableCode",
    }
}

members! {
    struct Call<'de> {
        id: Raw<'de> = b"id",
        name: Raw<'de> = b"name",
        arguments: Raw<'de> = b"args",
        pieces: Raw<'de> = b"partialArgs",
    }
}

/// Reads an answer.
#[derive(Debug)]
pub(super) struct Reader {
    capture: Capture,
    id: String,
    model: String,
    usage: Option<Counters>,
    usage_is_final: bool,
    block_reason: Option<String>,
    candidates: Vec<Progress>,
    calls: Vec<KeptCall>,
    thoughts: Vec<Captured>,
    error: Option<ErrorFacts>,
    is_whole: bool,
    text_bytes: u64,
}

/// How far one candidate has come.
#[derive(Debug, Default)]
struct Progress {
    index: i64,
    finish_reason: Option<String>,
    /// Which of the thoughts its last part is.
    thought: Option<usize>,
    calls: usize,
    /// That of its first signed call.
    signature: String,
    searches: usize,
}

#[derive(Debug)]
struct KeptCall {
    /// Where in the list of candidates the one is that made it.
    candidate: usize,
    /// Of those that this candidate made.
    nth: usize,
    id: String,
    name: String,
    input: Captured,
}

impl Reader {
    pub(super) fn new(capture: Capture) -> Self {
        Self {
            capture,
            id: String::new(),
            model: String::new(),
            usage: None,
            usage_is_final: false,
            block_reason: None,
            candidates: Vec::new(),
            calls: Vec::new(),
            thoughts: Vec::new(),
            error: None,
            is_whole: false,
            text_bytes: 0,
        }
    }

    fn answer(&mut self, answer: Answer<'_>) {
        if self.id.is_empty() {
            self.id = answer.id.name();
        }
        if self.model.is_empty() {
            self.model = answer.model.name();
        }
        self.error = error::member(answer.error).or(self.error.take());
        let blocked = answer.feedback.0.and_then(|feedback| reason(feedback.block_reason));
        self.block_reason = blocked.or(self.block_reason.take());
        for candidate in answer.candidates.0.into_iter().filter_map(|candidate| candidate.0) {
            self.candidate(candidate);
        }
        if let Some(usage) = usage::read(answer.usage) {
            // Every piece tells the counts so far; the last one, all of them.
            self.usage_is_final = self.has_finished();
            self.usage.get_or_insert_default().replace(usage);
        }
    }

    fn candidate(&mut self, candidate: Candidate<'_>) {
        let index = candidate.index.integer().unwrap_or(0);
        let at = match self.candidates.iter().position(|known| known.index == index) {
            Some(at) => at,
            None if self.candidates.len() < ITEMS => {
                self.candidates.push(Progress {
                    index,
                    ..Progress::default()
                });
                self.candidates.len() - 1
            }
            None => return,
        };
        let content = candidate.content.0.unwrap_or_default();
        content.parts.for_each(|part| {
            if let Some(part) = part.object() {
                self.part(at, &part);
            }
        });
        let progress = &mut self.candidates[at];
        let searches = candidate.grounding.0.map_or(0, |grounding| grounding.queries.0.len());
        progress.searches = progress.searches.max(searches);
        progress.finish_reason = reason(candidate.finish_reason).or(progress.finish_reason.take());
    }

    fn part(&mut self, at: usize, part: &Part<'_>) {
        self.text_bytes += part.text.length();
        if part.thought.is_true() {
            self.thought(at, part.text);
            return;
        }
        if part.text.length() > 0 || part.call.0.is_some() {
            self.candidates[at].thought = None;
        }
        if let Some(call) = &part.call.0 {
            self.call(at, call, part.signature);
        } else if part.code.is_some() {
            let input = self.capture.take(part.code.json());
            self.keep(at, String::new(), "executableCode".to_owned(), input);
        }
    }

    fn thought(&mut self, at: usize, text: Raw<'_>) {
        let text = text.text().unwrap_or_default();
        if text.is_empty() || !self.capture.is_on() {
            return;
        }
        if let Some(known) = self.candidates[at].thought {
            self.capture.append(&mut self.thoughts[known], &text);
        } else if self.thoughts.len() < ITEMS {
            self.candidates[at].thought = Some(self.thoughts.len());
            self.thoughts.push(self.capture.take(&text));
        }
    }

    fn call(&mut self, at: usize, call: &Call<'_>, signature: Raw<'_>) {
        self.text_bytes += call.name.length() + call.arguments.json().len() as u64 + call.pieces.json().len() as u64;
        let progress = &mut self.candidates[at];
        if progress.signature.is_empty() {
            progress.signature = signature.text().map(|text| text.into_owned()).unwrap_or_default();
        }
        let tool = call.name.name();
        // Arguments may come in pieces, of which the first one has the name.
        let last = self.calls.iter_mut().rfind(|kept| kept.candidate == at);
        if let (true, Some(last)) = (tool.is_empty(), last) {
            self.capture.append(&mut last.input, call.pieces.json());
            return;
        }
        let mut input = self.capture.take(call.arguments.json());
        self.capture.append(&mut input, call.pieces.json());
        self.keep(at, call.id.name(), tool, input);
    }

    fn keep(&mut self, candidate: usize, id: String, name: String, input: Captured) {
        let progress = &mut self.candidates[candidate];
        let nth = progress.calls;
        progress.calls += 1;
        if self.calls.len() < ITEMS {
            self.calls.push(KeptCall {
                candidate,
                nth,
                id,
                name,
                input,
            });
        }
    }

    fn stop_reason(&self) -> Option<String> {
        let mut by_index: Vec<_> = self.candidates.iter().collect();
        by_index.sort_by_key(|candidate| candidate.index);
        let mut reasons = by_index
            .into_iter()
            .filter_map(|candidate| candidate.finish_reason.clone());
        reasons.next().or_else(|| self.block_reason.clone())
    }
}

impl ResponseFormat for Reader {
    fn event(&mut self, event: &Event<'_>) -> Option<Ignored> {
        // Each tells the usage so far, so that none is like another.
        let answer = json::object::<Answer<'_>>(&event.data)?;
        self.answer(answer);
        Some(Ignored::Nothing)
    }

    fn body(&mut self, body: &[u8]) -> bool {
        let Some(answer) = json::object::<Answer<'_>>(body) else {
            return false;
        };
        self.answer(answer);
        self.is_whole = true;
        true
    }

    fn is_complete(&self) -> bool {
        self.has_finished() && self.usage_is_final
    }

    fn has_finished(&self) -> bool {
        let has_ended = |candidate: &Progress| candidate.finish_reason.is_some();
        self.block_reason.is_some() || (!self.candidates.is_empty() && self.candidates.iter().all(has_ended))
    }

    fn answers(&self) -> usize {
        match self.block_reason {
            Some(_) => usize::MAX,
            None => self.candidates.len(),
        }
    }

    fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    fn facts(self: Box<Self>) -> ResponseFacts {
        let stop_reason = self.stop_reason();
        let estimated = !self.usage_is_final && !self.is_whole;
        let this = *self;
        let searches: usize = this.candidates.iter().map(|candidate| candidate.searches).sum();
        let row = |mut counters: Counters| -> TokenUsage {
            if searches > 0 {
                counters.add("webSearchQueries".to_owned(), searches as i64);
            }
            usage::row(counters, estimated)
        };
        let candidates = this.candidates;
        let tool = |call: KeptCall| ToolUsage {
            provider_response_id: String::new(),
            tool_call_id: match call.id.is_empty() {
                true => made_id(&candidates[call.candidate].signature, call.nth),
                false => call.id,
            },
            tool: call.name,
            input: call.input.into_string().into(),
        };
        let thought = |text: Captured| ModelThought {
            content: text.into_string().into(),
            source: ThoughtSource::Thinking,
        };
        ResponseFacts {
            provider_response_id: this.id,
            served_model: this.model,
            usages: this.usage.map(row).into_iter().collect(),
            stop_reason,
            tool_usages: this.calls.into_iter().map(tool).collect(),
            model_thoughts: this.thoughts.into_iter().map(thought).collect(),
            error: this.error,
            ..ResponseFacts::default()
        }
    }
}

/// A reason to stop, in the provider's word.
fn reason(word: Raw<'_>) -> Option<String> {
    let unspecified = |word: &str| word.is_empty() || word.ends_with("_UNSPECIFIED");
    word.text().filter(|word| !unspecified(word)).map(name)
}
