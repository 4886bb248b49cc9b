//! The store through its public methods, on both engines.

#![expect(clippy::unwrap_used, reason = "these are tests, their helpers too")]

mod audit;
mod changes;
mod checklists;
mod completion;
mod connect;
mod gateway_key_constraints;
mod gateway_key_rotation;
mod gateway_key_updates;
mod gateway_keys;
mod idempotency;
mod ingest;
mod interceptions;
mod master_key;
mod people;
mod providers;
mod replicas;
mod rights;
mod route_constraints;
mod routes;
mod schema;
mod source;
mod stored_objects;
mod threads;
mod token_grants;
mod tokens;
mod users;
