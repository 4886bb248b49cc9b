//! The output items of a response that are recorded: tool calls and thoughts.

use crate::capture::Capture;
use crate::json::{Raw, members};
use crate::limits::ITEMS;
use lychgate_types::interception::{ModelThought, ThoughtSource, ToolUsage};
use std::collections::BTreeSet;

members! {
    struct Item<'de> {
        kind: Raw<'de> = b"type",
        id: Raw<'de> = b"id",
        call_id: Raw<'de> = b"call_id",
        name: Raw<'de> = b"name",
        arguments: Raw<'de> = b"arguments",
        input: Raw<'de> = b"input",
        action: Raw<'de> = b"action",
        actions: Raw<'de> = b"actions",
        code: Raw<'de> = b"code",
        queries: Raw<'de> = b"queries",
        operation: Raw<'de> = b"operation",
        summary: Raw<'de> = b"summary",
        phase: Raw<'de> = b"phase",
        content: Raw<'de> = b"content",
    }
}

members! {
    struct Part<'de> { text: Raw<'de> = b"text", }
}

/// What was recorded so far, each output item once.
#[derive(Debug)]
pub(super) struct Items {
    capture: Capture,
    seen: BTreeSet<i64>,
    /// Ids of the items that were added.
    pub(super) ids: BTreeSet<String>,
    pub(super) tools: Vec<ToolUsage>,
    pub(super) thoughts: Vec<ModelThought>,
}

impl Items {
    pub(super) fn new(capture: Capture) -> Self {
        Self {
            capture,
            seen: BTreeSet::new(),
            ids: BTreeSet::new(),
            tools: Vec::new(),
            thoughts: Vec::new(),
        }
    }

    /// Adds the finished item at that place of the output, unless it is there already: streams tell items one by one, and
    /// most tell all of them again at the end.
    pub(super) fn add(&mut self, place: Option<i64>, item: Raw<'_>) {
        if self.seen.len() >= ITEMS || self.tools.len() >= ITEMS || self.thoughts.len() >= ITEMS {
            return;
        }
        let place = place.unwrap_or_else(|| self.seen.last().map_or(0, |last| last.saturating_add(1)));
        let Some(item) = item.object::<Item<'_>>() else {
            return;
        };
        // At another place it is the same item still, if its id is.
        let id = item.id.name();
        let is_new_id = id.is_empty() || self.ids.insert(id);
        if !self.seen.insert(place) || !is_new_id {
            return;
        }
        match item.kind.text().as_deref() {
            Some("function_call" | "mcp_call") => self.tool(&item, item.name, item.arguments),
            Some("custom_tool_call") => self.tool(&item, item.name, item.input),
            Some("apply_patch_call") => self.tool(&item, item.kind, item.operation),
            Some("code_interpreter_call") => self.tool(&item, item.kind, item.code),
            Some("file_search_call") => self.tool(&item, item.kind, item.queries),
            Some("image_generation_call") => self.tool(&item, item.kind, Raw::default()),
            Some("tool_search_call") => self.tool(&item, item.kind, item.arguments),
            Some("shell_call" | "local_shell_call" | "computer_call" | "web_search_call") => {
                self.tool(
                    &item,
                    item.kind,
                    if item.action.is_some() {
                        item.action
                    } else {
                        item.actions
                    },
                );
            }
            Some("reasoning") => {
                self.parts(item.summary, ThoughtSource::ReasoningSummary);
                // Open models tell the reasoning itself.
                self.parts(item.content, ThoughtSource::Reasoning);
            }
            Some("message") if item.phase.is("commentary") => self.parts(item.content, ThoughtSource::Commentary),
            _ => {}
        }
    }

    fn tool(&mut self, item: &Item<'_>, tool: Raw<'_>, input: Raw<'_>) {
        let call_id = if item.call_id.is_some() { item.call_id } else { item.id };
        self.tools.push(ToolUsage {
            provider_response_id: String::new(),
            tool_call_id: call_id.name(),
            tool: tool.name(),
            input: self.capture.take(&input.text_or_json()).into_string().into(),
        });
    }

    fn parts(&mut self, parts: Raw<'_>, source: ThoughtSource) {
        parts.for_each(|part| {
            let text = part
                .object::<Part<'_>>()
                .unwrap_or_default()
                .text
                .text()
                .unwrap_or_default();
            let text = self.capture.take(&text);
            if !text.is_empty() && self.thoughts.len() < ITEMS {
                self.thoughts.push(ModelThought {
                    content: text.into_string().into(),
                    source,
                });
            }
        });
    }
}
