//! What the fuzz targets share: ways to cut bytes, the properties, and second opinions to compare with.
//!
//! A property that does not hold is a panic, which the fuzzer reports as a crash with the input that shows it.

pub mod answers;
pub mod bounds;
pub mod clients;
pub mod cuts;
pub mod frames;
pub mod json;
pub mod keys;
pub mod paths;
pub mod prompts;
pub mod providers;
pub mod requests;
pub mod sse;
pub mod tokens;
pub mod usage_filter;

use lychgate_types::provider::Api;

/// Holds one input against everything that is said of an API's reader: as a request, as a blocking answer, as a stream, and
/// as a stream that has each of its lines as an event, which gets fuzzers into the JSON of events sooner.
pub fn wire(api: Api, input: &[u8]) {
    requests::check(api, input);
    answers::check_body(api, input);
    let lines = sse::lines_as_events(input);
    for stream in [input, &lines] {
        answers::check_stream(api, stream);
        if api == Api::OpenAiChatCompletions {
            usage_filter::check(stream);
        }
    }
}

/// Fails with both texts where they differ.
pub fn assert_same(found: &[u8], wanted: &[u8], what: &str) {
    assert!(
        found == wanted,
        "{what}\n found: {}\nwanted: {}",
        found.escape_ascii(),
        wanted.escape_ascii()
    );
}
