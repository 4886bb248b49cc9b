//! Gemini's embeddings: requests and answers.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lychgate_types::provider::Api;

fuzz_target!(|input: &[u8]| lychgate_fuzz::wire(Api::GeminiEmbeddings, input));
