//! What to do about failures: retries and their budget, circuit breakers, and keys that have to cool down.
//!
//! Not here: making attempts (`exchange`).

pub(crate) mod breaker;
pub(crate) mod decision;
pub(crate) mod key_pool;
pub(crate) mod retry;
pub(crate) mod retry_budget;
