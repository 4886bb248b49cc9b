//! AWS's event stream, and what Bedrock says in it: any bytes, cut anywhere, give the same frames and the same facts.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lychgate_fuzz::bounds;
use lychgate_fuzz::cuts::each_split;
use lychgate_fuzz::frames::lines_as_frames;
use lychgate_types::provider::Api;
use lychgate_wire::fuzzing::frames;
use lychgate_wire::{ReaderOptions, ResponseFacts, ResponseReader};

fuzz_target!(|input: &[u8]| {
    for stream in [input.to_vec(), lines_as_frames(input)] {
        let wanted = frames(&[&stream]);
        each_split(&stream, |pieces| assert_eq!(frames(pieces), wanted, "the cuts matter"));
        for api in [Api::BedrockInvoke, Api::BedrockConverse] {
            let whole = read(api, &[&stream]);
            bounds::response(&whole);
            each_split(&stream, |pieces| assert_eq!(read(api, pieces), whole, "the cuts matter"));
        }
    }
});

fn read(api: Api, pieces: &[&[u8]]) -> ResponseFacts {
    let mut reader = ResponseReader::new(api, true, ReaderOptions { capture_content: true });
    pieces.iter().for_each(|piece| reader.push(piece));
    let ended = reader.is_complete();
    let facts = reader.finish(200);
    assert!(!ended || facts.complete);
    facts
}
