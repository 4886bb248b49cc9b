//! All that a run has found, as it is kept.

use crate::args::Kind;
use crate::host::machine::Machine;
use crate::load::allocations::Allocations;
use crate::load::measure::Measured;
use crate::load::streams::Memory;
use crate::report::figures::Figure;
use serde::{Deserialize, Serialize};

/// All that was measured, as it is written to the results' file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) pinned: bool,
    pub(crate) quick: bool,
    pub(crate) nginx_version: Option<String>,
    /// What the control plane keeps its records in.
    pub(crate) database: Option<String>,
    pub(crate) rounds: u32,
    pub(crate) seconds: u64,
    pub(crate) figures: Vec<Figure>,
    pub(crate) rows: Vec<Row>,
    pub(crate) memory: Vec<(Kind, Memory)>,
    pub(crate) allocations: Option<Allocations>,
    pub(crate) recorded: Option<Recorded>,
}

/// One target under one load: the median of each number over the rounds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) load: String,
    pub(crate) title: String,
    /// How many events a stream has.
    pub(crate) events: Option<u32>,
    pub(crate) target: Kind,
    pub(crate) median: Measured,
    pub(crate) rounds: Vec<Measured>,
}

/// Whether what went through was also recorded.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) answered: u64,
    pub(crate) recorded: u64,
}
