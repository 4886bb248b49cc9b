//! What failures mean and what to do about them: one table of decisions, retries and their budget, circuit breakers, and keys
//! that cool down.
//!
//! Not here: making attempts (`exchange`).

pub(crate) mod breaker;
pub(crate) mod decision;
pub(crate) mod failure_log;
pub(crate) mod key_pool;
pub(crate) mod retry;
pub(crate) mod retry_budget;
