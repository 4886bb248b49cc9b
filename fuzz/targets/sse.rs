//! Server-sent events: any bytes, cut anywhere, give the events that a plain reader of the whole stream finds.
#![no_main]

use libfuzzer_sys::fuzz_target;
use lychgate_fuzz::cuts::each_split;
use lychgate_fuzz::{sse, usage_filter};
use lychgate_wire::fuzzing::events;

fuzz_target!(|stream: &[u8]| {
    let wanted = sse::events(stream);
    assert_eq!(events(&[stream]), wanted);
    each_split(stream, |pieces| assert_eq!(events(pieces), wanted, "the cuts matter"));
    usage_filter::check(stream);
});
