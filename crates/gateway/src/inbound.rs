//! Where connections and requests come in: the listener, what answers before everything else, and the order of the layers.
//!
//! Not here: who asks (`auth`), and what becomes of a request (`exchange`).

pub(crate) mod front;
pub(crate) mod listener;
pub(crate) mod stack;
