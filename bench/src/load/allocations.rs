//! Runs the program that counts allocations. It is another one, because counting costs a little time at each.

use crate::host::machine::{built, output};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// On the hot path, beyond what starting and the first requests take.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Allocations {
    pub(crate) lychgate: PerRequest,
    pub(crate) bare: PerRequest,
}

/// Means over many requests.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct PerRequest {
    pub(crate) allocations: f64,
    pub(crate) reallocations: f64,
    pub(crate) bytes: f64,
}

/// The program, built where it is missing or old.
pub(crate) fn binary() -> anyhow::Result<PathBuf> {
    built("lychgate-bench", "lychgate-bench-allocations")
}

/// What it counts.
pub(crate) fn count(binary: &Path) -> anyhow::Result<Allocations> {
    let text = binary.to_str().and_then(|binary| output(binary, &[]));
    let text = text.context("allocations could not be counted")?;
    serde_json::from_str(&text).context("counted allocations do not read")
}
