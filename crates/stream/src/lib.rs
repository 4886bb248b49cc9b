//! Pieces of bodies and streams, each small and tested: a relay that watches a body and fires once at its end
//! ([`RelayBody`]), small pieces that go on together ([`Joined`]), a deadline for silence and for the whole ([`Idle`]),
//! a connection that is cut when its peer takes nothing ([`Paced`]), or sends frames that ask for nothing ([`Framed`]), a bounded read ([`read_bounded`]) and a bounded discard ([`discard`](discard())).
//!
//! Not here: what the bytes mean (crate `wire`) and what is done about an end (crate `gateway`).

mod discard;
mod frames;
mod idle;
mod joined;
mod paced;
mod read;
mod relay;

pub use discard::discard;
pub use frames::{FRAMES_AT_ONCE, FRAMES_PER_SECOND, Framed};
pub use idle::{Idle, Waited};
pub use joined::Joined;
pub use paced::Paced;
pub use read::{ReadError, ReadLimits, read_bounded};
pub use relay::{Failure, Hold, Last, LastWords, RelayBody, Watch};
