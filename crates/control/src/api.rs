//! The API: which paths there are, what every request passes, and the one place where errors become HTTP.
//!
//! Not here: who may do what (crate `authz`, asked by the store).

pub(crate) mod authenticate;
pub(crate) mod error;
#[cfg(test)]
mod error_reference;
pub(crate) mod extract;
pub(crate) mod idempotency;
pub(crate) mod layers;
pub(crate) mod openapi;
pub(crate) mod problem_code;
pub(crate) mod router;
pub(crate) mod routes;
pub(crate) mod schemas;
pub(crate) mod validate;
