//! One endpoint, one file: request, response, handler, docs. What endpoints of one noun share stands with the noun.

pub(crate) mod audit_entries;
pub(crate) mod health;
pub(crate) mod interceptions;
pub(crate) mod keys;
pub(crate) mod model_routes;
pub(crate) mod openapi;
mod problems;
pub(crate) mod providers;
pub(crate) mod replicas;
pub(crate) mod tokens;
pub(crate) mod users;
pub(crate) mod whoami;
