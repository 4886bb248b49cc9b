//! The control plane's half of the control link: accepting replicas, sending them changes, and answering their calls.
//!
//! Not here: the protocol on the wire (crate `link`).

pub(crate) mod announce;
pub(crate) mod authenticator;
pub(crate) mod authorization;
pub(crate) mod configuration;
mod errors;
pub(crate) mod feed;
pub(crate) mod handshake;
pub(crate) mod key_check;
pub(crate) mod service;
