//! What the pieces of the hot path cost, each by itself: `cargo bench -p lychgate-bench`.
//!
//! Not here: whole requests, which the bench measures from outside.

#[path = "../src/targets/bare/configuration.rs"]
mod configuration;
#[path = "../allocations/control.rs"]
mod control;
mod parse;
mod samples;
mod spool;
mod tee;
mod token;

fn main() {
    divan::main();
}
