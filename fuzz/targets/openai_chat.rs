//! Chat Completions, with the filter of its streams: requests, blocking answers and streams.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lychgate_types::provider::Api;

fuzz_target!(|input: &[u8]| lychgate_fuzz::wire(Api::OpenAiChatCompletions, input));
