//! What goes into the database and comes out of it: a type per row, per new row, per change of one and per filter.
//!
//! A file per noun, as in `sql`, which binds and reads them. Not here: any query, and who may make it.

pub(crate) mod ai_gateway_keys;
pub(crate) mod audit;
pub(crate) mod changes;
pub(crate) mod idempotency;
pub(crate) mod interceptions;
pub(crate) mod providers;
pub(crate) mod replicas;
pub(crate) mod routes;
pub(crate) mod tokens;
pub(crate) mod users;
