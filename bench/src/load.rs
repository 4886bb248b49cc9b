//! The load: its kinds, the connections that carry it, and what one target costs under it.

pub(crate) mod allocations;
pub(crate) mod drive;
pub(crate) mod exchange;
pub(crate) mod loads;
pub(crate) mod measure;
pub(crate) mod streams;
