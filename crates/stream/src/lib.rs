//! Pieces of bodies and streams, each small and tested: a relay that watches a body and fires once at its end
//! ([`RelayBody`]), an idle deadline ([`Idle`]), a bounded read ([`read_bounded`]) and a bounded discard ([`discard`]).
//!
//! Not here: what the bytes mean (crate `wire`) and what is done about an end (crate `gateway`).

mod discard;
mod idle;
mod read;
mod relay;

pub use discard::discard;
pub use idle::Idle;
pub use read::{ReadError, ReadLimits, read_bounded};
pub use relay::{Failure, LastWords, RelayBody, Watch};
