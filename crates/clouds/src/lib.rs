//! Credentials that clouds hand out for a while: what an authority is asked, and what its answer says. All of them are grants of
//! OAuth 2.0 (RFC 6749, section 4.4), one form that is posted to a token endpoint.
//!
//! Not here: sending the question, and when it is asked (crate `gateway`), and which provider needs which grant (crate `wire`).
//!
//! *Architecture invariant:* pure. No I/O, no clock, no runtime.

mod answer;
mod grant;

pub use answer::{ANSWER_BYTES, CREDENTIAL_BYTES, Fetched, LONGEST, NotGranted};
pub use grant::{ENTRA_ID, Grant, Question};
