//! Where connections and requests come in: the listener, what it serves, and what surrounds every request.
//!
//! Not here: authentication (`auth`), and relaying (`exchange`).

mod access;
pub(crate) mod front;
mod half_closed;
pub(crate) mod listener;
mod proxies;
pub(crate) mod stack;
