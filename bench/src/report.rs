//! What comes of a run: all that was measured, the figures with their bars, and how both are printed and saved.

pub(crate) mod figures;
pub(crate) mod publish;
pub(crate) mod results;
