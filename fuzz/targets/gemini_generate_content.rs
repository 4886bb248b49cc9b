//! Gemini's generated content: requests, blocking answers, streams of events and streams that are a list.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lychgate_types::provider::Api;

fuzz_target!(|input: &[u8]| lychgate_fuzz::wire(Api::GeminiGenerateContent, input));
