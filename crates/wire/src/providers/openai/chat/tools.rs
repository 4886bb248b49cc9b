//! Tool calls, put together from their pieces.

use crate::capture::{Capture, Captured};
use crate::json::{List, Object, Raw, members};
use crate::limits::ITEMS;
use lychgate_types::interception::ToolUsage;

members! {
    /// A tool call, or a piece of one.
    pub(super) struct CallMembers<'de> {
        index: Raw<'de> = b"index",
        id: Raw<'de> = b"id",
        function: Object<Function<'de>> = b"function",
        custom: Object<Function<'de>> = b"custom",
    }
}

members! {
    /// `{"name", "arguments"}` of a function, `{"name", "input"}` of a custom tool.
    pub(super) struct Function<'de> {
        name: Raw<'de> = b"name",
        arguments: Raw<'de> = b"arguments",
        input: Raw<'de> = b"input",
    }
}

/// `tool_calls` as they stand in a message or delta.
pub(super) type Calls<'de> = List<Object<CallMembers<'de>>>;

/// The tool calls of one answer.
#[derive(Debug, Default)]
pub(super) struct Tools(Vec<Call>);

#[derive(Debug)]
struct Call {
    choice: i64,
    index: Option<i64>,
    id: String,
    name: String,
    input: Captured,
}

impl<'de> CallMembers<'de> {
    /// Bytes of name and arguments.
    pub(super) fn text_bytes(&self) -> u64 {
        let functions = [&self.function.0, &self.custom.0];
        let told = functions
            .into_iter()
            .flatten()
            .flat_map(|f| [f.name, f.arguments, f.input]);
        told.map(Raw::length).sum()
    }

    /// A call in the form that came before `tool_calls`.
    pub(super) fn legacy(function: Function<'de>) -> Self {
        Self {
            function: Object(Some(function)),
            ..Self::default()
        }
    }
}

impl Tools {
    /// Adds the pieces that one delta has, of the choice with that index.
    pub(super) fn add_pieces(&mut self, choice: i64, calls: Calls<'_>, capture: &mut Capture) {
        for call in calls.0.into_iter().filter_map(|call| call.0) {
            self.add(choice, call.index.integer(), call, capture);
        }
    }

    /// Adds the whole calls of one message, of the choice with that index, unless deltas told them already.
    pub(super) fn add_whole(&mut self, choice: i64, calls: Calls<'_>, capture: &mut Capture) {
        if self.0.iter().any(|call| call.choice == choice) {
            return;
        }
        for (index, call) in (0..).zip(calls.0.into_iter().filter_map(|call| call.0)) {
            self.add(choice, Some(index), call, capture);
        }
    }

    fn add(&mut self, choice: i64, index: Option<i64>, call: CallMembers<'_>, capture: &mut Capture) {
        let function = call.function.0.or(call.custom.0).unwrap_or_default();
        let name = function.name.name();
        let Some(kept) = self.find(choice, index, call.id.name(), &name) else {
            return;
        };
        if kept.name.is_empty() {
            kept.name = name;
        }
        capture.append(&mut kept.input, &function.arguments.text_or_json());
        capture.append(&mut kept.input, &function.input.text_or_json());
    }

    pub(super) fn into_usages(self) -> Vec<ToolUsage> {
        let usage = |call: Call| ToolUsage {
            provider_response_id: String::new(),
            tool_call_id: call.id,
            tool: call.name,
            input: call.input.into_string().into(),
        };
        self.0.into_iter().map(usage).collect()
    }

    /// The call that a piece belongs to, made where it begins one. Servers differ: indices may begin anywhere, be missing,
    /// or be 0 for every parallel call, and then only the id tells them apart, or (without either) a new name.
    fn find(&mut self, choice: i64, index: Option<i64>, id: String, name: &str) -> Option<&mut Call> {
        let same = |call: &Call| {
            let same_index = call.choice == choice && (index.is_none() || call.index == index);
            let same_id = id.is_empty() || call.id.is_empty() || call.id == id;
            // A call is named once: by its first piece, which may be told again under the same id.
            let begins_another = !name.is_empty() && !call.name.is_empty() && (id.is_empty() || call.id != id);
            // Without a name it goes on with the call of its index, even if the server made up a new id for the piece.
            let goes_on = name.is_empty() && index.is_some();
            same_index && (same_id || goes_on) && !begins_another
        };
        let at = match self.0.iter().rposition(same) {
            Some(at) => at,
            None if self.0.len() < ITEMS => {
                self.0.push(Call {
                    choice,
                    index,
                    id: String::new(),
                    name: String::new(),
                    input: Captured::default(),
                });
                self.0.len() - 1
            }
            None => return None,
        };
        let call = &mut self.0[at];
        if call.id.is_empty() {
            call.id = id;
        }
        Some(call)
    }
}
