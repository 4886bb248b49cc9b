//! Between the wire's messages and the product's types, one file per kind of message.
//!
//! Not here: interception records, which are encoded once and then passed on as bytes ([`crate::record`]).

pub(crate) mod attach;
pub(crate) mod calls;
mod configuration;
mod policy;
pub(crate) mod status;
