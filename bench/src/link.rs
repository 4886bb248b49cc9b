//! `lychgate-bench link`: what the control link does when it matters. Revocations, restarts, full spools and full databases,
//! with real processes on a throw-away PostgreSQL, beside the bars that they have to keep.
//!
//! Not here: what a request costs (the bench without a command).

mod attached;
mod lanes;
mod pieces;
mod records;
mod replay;
mod report;
mod restart;
mod revocation;
mod volume;

use crate::host::machine::{Cores, Machine, allow_open_files};
use crate::host::postgres;
use crate::host::process::Process;
use crate::report::figures::Figure;
use crate::targets::deployment::{Deployment, Ground};
use crate::targets::{lychgate, provider};
use anyhow::Context as _;
use clap::ValueEnum;
use serde::Serialize;
use serde_json::Value;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// No part takes so long; one that does has gone wrong.
const PATIENCE: Duration = Duration::from_secs(240);

/// Measure what the control link does under revocation, restart, replay and volume.
#[derive(Debug, clap::Args)]
pub(crate) struct LinkArgs {
    /// A look instead of a measurement: everything small
    #[arg(long)]
    quick: bool,
    /// Only these parts
    #[arg(long, value_enum, value_delimiter = ',', value_name = "PARTS")]
    only: Vec<Part>,
    /// The lychgate binary to measure [default: this tree's, built for release]
    #[arg(long, value_name = "FILE")]
    lychgate: Option<PathBuf>,
    /// Also write LINK.md beside this crate
    #[arg(long)]
    write: bool,
}

/// What is measured apart from the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Part {
    /// From the API's answer to the last request served anywhere.
    Revocation,
    /// Token check and spool append, each by itself.
    Pieces,
    /// A full spool into PostgreSQL.
    Replay,
    /// A control plane killed and started again under many replicas.
    Restart,
    /// Many tokens and gateway keys in the database.
    Volume,
}

/// What a part has found: figures, and all numbers behind them.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Found {
    pub(crate) figures: Vec<Figure>,
    pub(crate) numbers: Value,
}

/// All that was measured.
#[derive(Debug, Serialize)]
pub(crate) struct LinkResults {
    machine: Machine,
    quick: bool,
    database: String,
    parts: Vec<(Part, f64, Found)>,
}

/// What each part runs on.
pub(crate) struct Bench<'a> {
    pub(crate) quick: bool,
    ground: &'a Ground,
}

impl Bench<'_> {
    /// One of two numbers: of a measurement, or of a look.
    pub(crate) const fn count(&self, measurement: usize, look: usize) -> usize {
        if self.quick { look } else { measurement }
    }

    /// A new database, control plane and provider. Nothing is pinned: there are more processes than cores.
    pub(crate) async fn deployment(&self) -> anyhow::Result<(Deployment, Process)> {
        let (process, address) = provider::start(None, &self.ground.dir).await?;
        Ok((Deployment::start(self.ground.clone(), address).await?, process))
    }

    pub(crate) fn dir(&self) -> &Path {
        &self.ground.dir
    }
}

/// Measures, and publishes.
pub(crate) async fn run(args: &LinkArgs) -> anyhow::Result<()> {
    let dir = tempfile::Builder::new()
        .prefix("lychgate-bench-")
        .tempdir()
        .context("can't make a temporary directory")?;
    let postgres = lychgate_postgres::find().context("this needs PostgreSQL: install it, or set PG_BIN")?;
    let ground = Ground {
        binary: lychgate::binary(args.lychgate.as_deref())?,
        postgres: Some(postgres.clone()),
        cores: Cores::plan(1),
        dir: dir.path().to_owned(),
    };
    allow_open_files(4096)?;
    let bench = Bench {
        quick: args.quick,
        ground: &ground,
    };
    let mut results = LinkResults {
        machine: Machine::look(),
        quick: args.quick,
        database: postgres::version(&postgres).unwrap_or_else(|| "PostgreSQL".to_owned()),
        parts: Vec::new(),
    };
    for part in Part::value_variants() {
        if !args.only.is_empty() && !args.only.contains(part) {
            continue;
        }
        crate::progress(&format!("{part:?} …"));
        let begun = Instant::now();
        let found = timeout(PATIENCE, measure(*part, &bench))
            .await
            .with_context(|| format!("{part:?} took longer than {} s", PATIENCE.as_secs()))?
            .with_context(|| format!("{part:?}"))?;
        results.parts.push((*part, begun.elapsed().as_secs_f64(), found));
    }
    report::publish(&results, args.write)
}

async fn measure(part: Part, bench: &Bench<'_>) -> anyhow::Result<Found> {
    match part {
        Part::Revocation => Box::pin(revocation::measure(bench)).await,
        Part::Pieces => pieces::measure(bench).await,
        Part::Replay => Box::pin(replay::measure(bench)).await,
        Part::Restart => Box::pin(restart::measure(bench)).await,
        Part::Volume => Box::pin(volume::measure(bench)).await,
    }
}

/// Times in order, to be read by percentiles.
#[derive(Debug, Clone, Default)]
pub(crate) struct Times(Vec<Duration>);

impl Times {
    pub(crate) fn new(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// In milliseconds; zero where there are none. The nearest rank: of 100 times, p99 is the last but one.
    pub(crate) fn percentile(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100);
        let time = self.0.get(rank.saturating_sub(1)).copied().unwrap_or_default();
        time.as_secs_f64() * 1e3
    }

    pub(crate) fn worst(&self) -> f64 {
        self.percentile(100)
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// All three in words.
    pub(crate) fn summary(&self) -> String {
        format!(
            "p50 {:.2}, p99 {:.2}, worst {:.2}",
            self.percentile(50),
            self.percentile(99),
            self.worst()
        )
    }

    /// All three for the results' file, in milliseconds.
    pub(crate) fn numbers(&self) -> Value {
        serde_json::json!({
            "count": self.len(), "p50": self.percentile(50), "p99": self.percentile(99), "worst": self.worst(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_nearest_rank() {
        let times = Times::new((1..=100).rev().map(Duration::from_millis).collect());
        let read: Vec<f64> = [50, 99, 100].iter().map(|percent| times.percentile(*percent)).collect();
        assert_eq!(read, [50.0, 99.0, 100.0]);
        assert_eq!((Times::default().percentile(99), Times::default().worst()), (0.0, 0.0));
        assert_eq!(Times::new(vec![Duration::from_millis(7)]).percentile(1), 7.0);
    }
}
