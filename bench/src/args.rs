//! What may be typed.

use crate::link::LinkArgs;
use clap::{Parser, Subcommand, ValueEnum, builder::RangedU64ValueParser};
use serde::{Deserialize, Serialize};
use std::net::SocketAddr;
use std::path::PathBuf;

/// Measure what Lychgate costs, beside nginx, a bare relay and nothing at all.
#[derive(Debug, Parser)]
#[command(name = "lychgate-bench")]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) role: Option<Role>,
    /// A look instead of a measurement: one short round, fewer idle streams
    #[arg(long)]
    pub(crate) quick: bool,
    /// What to measure, in this order
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["direct", "nginx", "bare", "lychgate"])]
    pub(crate) targets: Vec<Kind>,
    /// Only these loads, by the names in the table
    #[arg(long, value_delimiter = ',', value_name = "NAMES")]
    pub(crate) only: Vec<String>,
    /// Rounds; of each number the median is shown [default: 3, quick: 1]
    #[arg(long, value_parser = RangedU64ValueParser::<u32>::new().range(1..=15))]
    pub(crate) rounds: Option<u32>,
    /// Seconds of each measurement [default: 2, quick: 1]
    #[arg(long, value_parser = RangedU64ValueParser::<u64>::new().range(1..=30))]
    pub(crate) seconds: Option<u64>,
    /// Streams held open for the look at memory; 0 leaves it out [default: 5000, quick: 1000]
    #[arg(long, value_parser = RangedU64ValueParser::<usize>::new().range(0..=8000))]
    pub(crate) streams: Option<usize>,
    /// Let the control plane use SQLite, even where there is PostgreSQL
    #[arg(long)]
    pub(crate) sqlite: bool,
    /// The lychgate binary to measure [default: this tree's, built for release]
    #[arg(long, value_name = "FILE")]
    pub(crate) lychgate: Option<PathBuf>,
    /// Also write RESULTS.md beside this crate
    #[arg(long)]
    pub(crate) write: bool,
}

impl Args {
    pub(crate) fn rounds(&self) -> u32 {
        self.rounds.unwrap_or(if self.quick { 1 } else { 3 })
    }

    pub(crate) fn seconds(&self) -> u64 {
        self.seconds.unwrap_or(if self.quick { 1 } else { 2 })
    }

    pub(crate) fn streams(&self) -> usize {
        self.streams.unwrap_or(if self.quick { 1000 } else { 5000 })
    }

    pub(crate) fn wants(&self, kind: Kind) -> bool {
        self.targets.contains(&kind)
    }
}

/// What else this program measures, and what it also is, when it starts itself.
#[derive(Debug, Subcommand)]
pub(crate) enum Role {
    /// Measure the control link instead: revocation, replay, restart, volume
    Link(LinkArgs),
    /// The scripted provider in a process of its own.
    #[command(hide = true)]
    Provider,
    /// A relay of the gateway's own parts, without governance.
    #[command(hide = true)]
    Bare {
        /// Where it relays to.
        provider: SocketAddr,
    },
}

/// What is between the load and the provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    /// Nothing.
    Direct,
    /// nginx with `proxy_pass`.
    Nginx,
    /// The gateway's own parts without governance.
    Bare,
    /// A Lychgate replica.
    Lychgate,
}

impl Kind {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Direct => "direct",
            Self::Nginx => "nginx",
            Self::Bare => "bare",
            Self::Lychgate => "lychgate",
        }
    }
}
