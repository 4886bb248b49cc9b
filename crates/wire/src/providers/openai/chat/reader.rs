//! What a Chat Completions answer says.

use super::chunk::{Choice, Chunk, Message, TEXTS};
use super::tools::Tools;
use crate::capture::{Capture, Captured, name};
use crate::format::ResponseFormat;
use crate::json;
use crate::json::counters::{Counters, openai_usage};
use crate::limits::ITEMS;
use crate::providers::openai::error::ErrorBody;
use crate::sse::{Event, Ignored};
use crate::{ErrorFacts, ResponseFacts};
use lychgate_types::interception::{ModelThought, ThoughtSource};
use std::collections::BTreeSet;

/// Reads an answer.
#[derive(Debug)]
pub(super) struct Reader {
    capture: Capture,
    id: String,
    model: String,
    service_tier: String,
    usage: Option<Counters>,
    usage_is_final: bool,
    stop_reason: Option<String>,
    /// Choices that have begun, and whether they have ended.
    choices: Vec<(i64, bool)>,
    tools: Tools,
    thoughts: Vec<(i64, Captured)>,
    /// Ids of the answers in sound.
    sounds: BTreeSet<String>,
    error: Option<ErrorFacts>,
    done: bool,
    text_bytes: u64,
}

impl Reader {
    pub(crate) fn new(capture: Capture) -> Self {
        Self {
            capture,
            id: String::new(),
            model: String::new(),
            service_tier: String::new(),
            usage: None,
            usage_is_final: false,
            stop_reason: None,
            choices: Vec::new(),
            tools: Tools::default(),
            thoughts: Vec::new(),
            sounds: BTreeSet::new(),
            error: None,
            done: false,
            text_bytes: 0,
        }
    }

    fn chunk(&mut self, chunk: Chunk<'_>, json: &[u8]) {
        if self.id.is_empty() {
            self.id = chunk.id.name();
        }
        if self.model.is_empty() {
            self.model = chunk.model.name();
        }
        // A later chunk may know better which tier served.
        if chunk.service_tier.is_some() {
            self.service_tier = chunk.service_tier.name();
        }
        let mut usage = Counters::read(chunk.usage).or_else(|| Counters::read(chunk.x_groq.0.as_ref()?.usage));
        let no_choices = chunk.choices.0.is_empty();
        let error = ErrorBody::member(chunk.error);
        // Other shapes of error are looked for only where the chunk says nothing else.
        self.error = error
            .or_else(|| {
                if no_choices && usage.is_none() {
                    ErrorBody::read(json)
                } else {
                    None
                }
            })
            .or(self.error.take());
        for choice in chunk.choices.0.into_iter().filter_map(|choice| choice.0) {
            usage = usage.or_else(|| Counters::read(choice.usage));
            self.choice(choice);
        }
        if let Some(usage) = usage {
            // Some servers report with every chunk, or before the first; such counts are final once the model has stopped.
            self.usage_is_final = self.stop_reason.is_some() || (no_choices && !self.choices.is_empty());
            match &mut self.usage {
                Some(known) => known.merge(usage),
                None => self.usage = Some(usage),
            }
        }
    }

    fn choice(&mut self, choice: Choice<'_>) {
        let index = choice.index.integer().unwrap_or(0);
        let reason = choice.finish_reason.text();
        match self.choices.iter().position(|(known, _)| *known == index) {
            Some(at) => self.choices[at].1 |= reason.is_some(),
            None if self.choices.len() < ITEMS => self.choices.push((index, reason.is_some())),
            None => {}
        }
        if let Some(error) = ErrorBody::member(choice.error) {
            self.error = Some(error);
        }
        if let Some(reason) = reason {
            if reason == "error" && self.error.is_none() {
                self.error = Some(ErrorFacts {
                    error_type: "error".to_owned(),
                    message: "the provider stopped the answer with an error that it does not tell".to_owned(),
                });
            }
            self.stop_reason = Some(name(reason));
        }
        let messages = [&choice.delta.0, &choice.message.0].into_iter().flatten();
        for id in messages.filter_map(Message::audio_id) {
            if self.sounds.len() < ITEMS {
                self.sounds.insert(name(id));
            }
        }
        if let Some(delta) = choice.delta.0 {
            self.thought(index, &delta.thought());
            self.tools.add_pieces(index, delta.calls(), &mut self.capture);
        }
        if let Some(message) = choice.message.0 {
            // Some servers repeat in a `message` what they told in deltas.
            if !self.thoughts.iter().any(|(thought_of, _)| *thought_of == index) {
                self.thought(index, &message.thought());
            }
            self.tools.add_whole(index, message.calls(), &mut self.capture);
        }
    }

    fn thought(&mut self, choice: i64, text: &str) {
        if text.is_empty() || !self.capture.is_on() {
            return;
        }
        if let Some((_, thought)) = self.thoughts.iter_mut().find(|(index, _)| *index == choice) {
            self.capture.append(thought, text);
        } else if self.thoughts.len() < ITEMS {
            let thought = self.capture.take(text);
            self.thoughts.push((choice, thought));
        }
    }
}

impl ResponseFormat for Reader {
    fn event(&mut self, event: &Event<'_>) -> Option<Ignored> {
        if event.data.trim_ascii() == b"[DONE]" {
            self.done = true;
            return Some(Ignored::Nothing);
        }
        if self.done {
            return Some(Ignored::Nothing);
        }
        let chunk = json::object::<Chunk<'_>>(&event.data)?;
        let ignored = if chunk.is_plain_text() {
            Ignored::Texts(TEXTS)
        } else {
            self.text_bytes += chunk.text_bytes();
            Ignored::Nothing
        };
        self.chunk(chunk, &event.data);
        Some(ignored)
    }

    fn body(&mut self, body: &[u8]) -> bool {
        let Some(chunk) = json::object::<Chunk<'_>>(body) else {
            return false;
        };
        self.text_bytes = chunk.text_bytes();
        self.chunk(chunk, body);
        self.usage_is_final = true;
        true
    }

    fn is_complete(&self) -> bool {
        self.done
    }

    fn answers(&self) -> usize {
        match self.done {
            true => usize::MAX,
            false => self.choices.len(),
        }
    }

    fn has_failed(&self) -> bool {
        self.error.is_some()
    }

    fn has_finished(&self) -> bool {
        self.done || (!self.choices.is_empty() && self.choices.iter().all(|(_, ended)| *ended))
    }

    fn text_bytes(&self) -> u64 {
        self.text_bytes
    }

    fn facts(self: Box<Self>) -> ResponseFacts {
        let this = *self;
        let estimated = !this.usage_is_final && !this.done;
        let usage = this.usage.map(|mut counters| {
            counters.set_attribute("service_tier", this.service_tier);
            openai_usage(counters, estimated)
        });
        let thought = |(_, text): (i64, Captured)| ModelThought {
            content: text.into_string().into(),
            source: ThoughtSource::Reasoning,
        };
        ResponseFacts {
            provider_response_id: this.id,
            served_model: this.model,
            usages: usage.into_iter().collect(),
            stop_reason: this.stop_reason,
            tool_usages: this.tools.into_usages(),
            model_thoughts: this.thoughts.into_iter().map(thought).collect(),
            item_ids: this.sounds.into_iter().collect(),
            error: this.error,
            complete: this.done,
            ..ResponseFacts::default()
        }
    }
}
