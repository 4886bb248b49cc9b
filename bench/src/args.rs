//! What may be typed.

use clap::{Parser, Subcommand, ValueEnum, builder::RangedU64ValueParser};
use serde::{Deserialize, Serialize};
use std::path::PathBuf;

/// Measure what Lychgate costs, beside nginx and nothing at all.
#[derive(Debug, Parser)]
#[command(name = "lychgate-bench")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
    /// What to measure, in this order
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["direct", "nginx", "lychgate"])]
    pub(crate) targets: Vec<Kind>,
    /// Connections, each with one request at a time
    #[arg(long, value_delimiter = ',', default_values = ["1", "16", "64"], value_parser = RangedU64ValueParser::<usize>::new().range(1..=512))]
    pub(crate) connections: Vec<usize>,
    /// Rounds; of each number the median is shown
    #[arg(long, default_value_t = 3, value_parser = RangedU64ValueParser::<u32>::new().range(1..=15))]
    pub(crate) rounds: u32,
    /// Seconds of each measurement
    #[arg(long, default_value_t = 2, value_parser = RangedU64ValueParser::<u64>::new().range(1..=30))]
    pub(crate) seconds: u64,
    /// Events of each streamed answer
    #[arg(long, default_value_t = 50, value_parser = RangedU64ValueParser::<u32>::new().range(1..=10_000))]
    pub(crate) events: u32,
    /// Streams held open for the look at memory; 0 leaves it out
    #[arg(long, default_value_t = 1000, value_parser = RangedU64ValueParser::<usize>::new().range(0..=4000))]
    pub(crate) streams: usize,
    /// The lychgate binary to measure [default: this tree's, built for release]
    #[arg(long, value_name = "FILE")]
    pub(crate) lychgate: Option<PathBuf>,
    /// Also write RESULTS.md beside this crate
    #[arg(long)]
    pub(crate) write: bool,
}

/// What this program also is, when it starts itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// The scripted provider in a process of its own.
    #[command(hide = true)]
    Provider,
}

/// What stands between the load and the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Nothing.
    Direct,
    /// nginx with `proxy_pass`.
    Nginx,
    /// A Lychgate replica.
    Lychgate,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Lychgate => "lychgate",
        }
    }
}
