//! Who may do what. Pure: no database, no clock, no HTTP.
//!
//! One table ([`policy`]) decides; a token's [`Scopes`] can only narrow what its user's role allows. The store calls
//! [`authorise`] or [`authorise_list`] on the first line of each public method. The whole policy is rendered in
//! `policy-matrix.md` beside this crate's manifest, and a test holds the two together.

mod decision;
pub mod policy;
mod principal;
mod scope;

pub use decision::{Denial, Target, authorise, authorise_list};
pub use policy::{Action, Reach, Resource};
pub use principal::{Caller, Principal, Role, UserPrincipal};
pub use scope::{Scope, ScopeError, Scopes};
