//! Doors into the data plane for the bench, the fuzz targets and the simulation. Nothing of the product goes through them.

pub mod baseline;
#[cfg(fuzzing)]
pub mod fuzzing;
pub mod simulated;
pub mod spool;
pub mod token_check;
