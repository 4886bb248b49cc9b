//! How much of one exchange is held in memory, and kept on record. What is over a limit is relayed all the same.
//!
//! Builds by cargo-fuzz have small limits, so that small inputs get past them.

/// Largest event of a stream that is read whole, in bytes; a larger one is abridged.
pub const EVENT_BYTES: usize = limit(16 * 1024 * 1024, 1024);

/// Largest payload of a frame, in bytes, by the protocol (AWS's event stream); a stream with a larger one is not read on.
pub const FRAME_PAYLOAD_BYTES: usize = limit(24 * 1024 * 1024, 4096);
/// The same of its headers.
pub const FRAME_HEADERS_BYTES: usize = limit(128 * 1024, 1024);
/// Bytes kept of an event that says nothing, to know others like it by; such events are far smaller.
pub const STENCIL_BYTES: usize = limit(4 * 1024, 256);

/// Largest blocking answer that is read whole, in bytes; a larger one is abridged.
pub const BODY_BYTES: usize = limit(16 * 1024 * 1024, 2048);

/// The same for embeddings, where nothing but the usage is wanted.
pub const USAGE_ONLY_BODY_BYTES: usize = limit(1024 * 1024, 1024);

/// What is kept of an answer or event that is abridged, in bytes, about: each value may take half of what the one around it has
/// left.
pub const ABRIDGED_BYTES: usize = limit(4 * 1024 * 1024, 1024);

/// Captured content of one interception, in bytes: prompt and answer together.
pub const CONTENT_BYTES: usize = PROMPT_BYTES + ANSWER_CONTENT_BYTES;

/// Captured text of the prompt, in bytes.
pub const PROMPT_BYTES: usize = limit(256 * 1024, 128);

/// Captured tool arguments and thoughts of one answer, in bytes.
pub const ANSWER_CONTENT_BYTES: usize = limit(768 * 1024, 256);

/// Tool calls and thoughts recorded of one answer.
pub const ITEMS: usize = limit(1024, 64);

/// Stored items that one request refers to: each may have to be looked up.
pub const REFERENCES: usize = limit(64, 8);

/// Usage rows recorded of one answer: passes of a model that are billed one by one.
pub const PASSES: usize = limit(64, 8);

/// Names and ids that a provider or client gives, in bytes.
pub const NAME_BYTES: usize = limit(512, 48);

/// An error message, in bytes.
pub const MESSAGE_BYTES: usize = limit(4 * 1024, 96);

/// Models of one list.
pub const MODELS: usize = limit(2_000, 16);

/// Counters kept of one usage object.
pub const COUNTERS: usize = limit(64, 16);

/// Bytes of one event that [`crate::UsageChunkFilter`] holds back; usage chunks are far smaller.
pub const HELD_BYTES: usize = limit(256 * 1024, 512);

/// The mark at the end of text that was cut.
pub const CUT_MARK: &str = "…[cut]";

/// Parts of a form; a skill has up to 500 files.
pub const FORM_PARTS: usize = 1024;

const fn limit(real: usize, fuzzed: usize) -> usize {
    if cfg!(fuzzing) { fuzzed } else { real }
}
