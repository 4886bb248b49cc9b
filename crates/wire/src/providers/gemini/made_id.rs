//! Ids for tool calls that the provider gave none.
//!
//! Such a call is answered by its name only, so that its id has to be found again in the request which brings the result: both have
//! the signature of the thought that led to the call, which clients must send back as it is.

/// What they begin with; no provider's do.
const PREFIX: &str = "made_";
/// Letters of a signature that tell it from any other.
const LETTERS: usize = 32;

/// The id of the `nth` call, from 0, of an answer whose first signed call has this signature; where none has, it is an id within
/// this answer only.
pub(super) fn made_id(signature: &str, nth: usize) -> String {
    let start = signature.len().saturating_sub(LETTERS);
    let tail = &signature[signature.ceil_char_boundary(start)..];
    match tail {
        "" => format!("{PREFIX}{nth}"),
        tail => format!("{PREFIX}{tail}_{nth}"),
    }
}
