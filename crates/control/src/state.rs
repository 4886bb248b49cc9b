//! What one control plane holds in memory and all of its parts share: [`App`], and what it is made of.
//!
//! Not here: whatever calls the store and then changes this state (`link`, `jobs`), so that nothing here imports its users.

mod app;
pub(crate) mod attachments;
pub(crate) mod configuration;
pub(crate) mod counts;
pub(crate) mod existing;
pub(crate) mod failed_auth;
pub(crate) mod feed;
pub(crate) mod key_cache;
pub(crate) mod key_lookups;
pub(crate) mod outbox;

pub(crate) use app::{App, Asker, KeyHome};

/// A gateway key that expires within this time is said to expire soon.
pub(crate) const KEY_EXPIRES_SOON: std::time::Duration = std::time::Duration::from_secs(14 * 24 * 60 * 60);
