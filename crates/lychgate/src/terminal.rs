//! The terminal: what is printed, what is asked, and the signals that end a role.

pub(crate) mod output;
pub(crate) mod plain;
pub(crate) mod prompt;
pub(crate) mod signals;
pub(crate) mod table;
