//! How large what is recorded may be (`lychgate_wire::limits`, which are small in these builds).

use lychgate_wire::limits::{
    ANSWER_CONTENT_BYTES, COUNTERS, CUT_MARK, ITEMS, MESSAGE_BYTES, NAME_BYTES, PASSES, PROMPT_BYTES,
};
use lychgate_wire::{RequestFacts, ResponseFacts};

/// What is recorded of a request.
pub fn request(facts: &RequestFacts) {
    name(&facts.model);
    facts.thread_parent_tool_call_id.iter().for_each(|id| name(id));
    facts.body_session_id.iter().for_each(|id| name(id));
    if let Some(prompt) = &facts.prompt {
        at_most(prompt, PROMPT_BYTES);
        assert!(!prompt.is_empty());
    }
}

/// What is recorded of an answer.
pub fn response(facts: &ResponseFacts) {
    name(&facts.provider_response_id);
    facts.stop_reason.iter().for_each(|reason| name(reason));
    if let Some(error) = &facts.error {
        name(&error.error_type);
        assert!(!error.error_type.is_empty());
        at_most(&error.message, MESSAGE_BYTES);
    }
    name(&facts.served_model);
    assert!(facts.usages.len() <= PASSES);
    for usage in &facts.usages {
        let counts = [
            usage.input_tokens,
            usage.output_tokens,
            usage.cache_read_input_tokens,
            usage.cache_write_input_tokens,
            usage.cache_write_1h_input_tokens,
            usage.reasoning_tokens,
        ];
        assert!(counts.iter().all(|count| *count >= 0));
        assert!(usage.extra.len() <= COUNTERS);
        assert!(usage.extra.keys().all(|name| name.len() <= 3 * NAME_BYTES));
        assert!(usage.attributes.len() <= COUNTERS);
        usage.attributes.values().for_each(|text| name(text));
        name(&usage.provider_response_id);
    }
    assert!(facts.tool_usages.len() <= ITEMS && facts.model_thoughts.len() <= ITEMS);
    for tool in &facts.tool_usages {
        name(&tool.tool_call_id);
        name(&tool.tool);
        assert_eq!(tool.provider_response_id, facts.provider_response_id);
    }
    assert!(facts.model_thoughts.iter().all(|thought| thought.content.held_bytes() > 0));
    // Each item may have a mark where it was cut, beside what the budget gave it.
    let inputs = facts.tool_usages.iter().map(|tool| tool.input.open(usize::MAX));
    let thoughts = facts.model_thoughts.iter().map(|thought| thought.content.open(usize::MAX));
    let content: usize = inputs
        .chain(thoughts)
        .map(|opened| opened.text.trim_end_matches(CUT_MARK).len())
        .sum();
    assert!(content <= ANSWER_CONTENT_BYTES, "{content} bytes of content");
}

fn name(text: &str) {
    at_most(text, NAME_BYTES);
}

fn at_most(text: &str, limit: usize) {
    let kept = text.strip_suffix(CUT_MARK).unwrap_or(text);
    assert!(
        text.len() <= limit || kept.len() <= limit,
        "{} bytes where {limit} are the limit",
        text.len()
    );
}

/// The text as it is recorded where `limit` bytes are kept.
pub fn clipped(text: &str, limit: usize) -> String {
    if text.len() <= limit {
        return text.to_owned();
    }
    let end = (0..=limit).rev().find(|end| text.is_char_boundary(*end)).unwrap_or(0);
    format!("{}{CUT_MARK}", &text[..end])
}
