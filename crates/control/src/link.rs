//! The control plane's half of the control link: who is attached, what they are told, and what they ask.
//!
//! Not here: the protocol on the wire (crate `link`).

pub(crate) mod announce;
pub(crate) mod authenticator;
pub(crate) mod configuration;
pub(crate) mod feed;
pub(crate) mod handshake;
pub(crate) mod service;
