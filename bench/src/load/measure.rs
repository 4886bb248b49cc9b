//! One target under one load: what the load saw, and what it cost in CPU time.

use crate::host::process::cpu;
use crate::load::drive::{Tally, drive};
use crate::load::exchange::Connection;
use crate::load::loads::{Load, Pace};
use crate::targets::target::Target;
use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Load before counting starts: pools and caches are filled.
const WARM_UP: Duration = Duration::from_millis(300);
/// The control plane has taken all records in when it has been quiet for so long.
const QUIET: Duration = Duration::from_millis(300);
/// Longest wait for that.
const PATIENCE: Duration = Duration::from_secs(60);

/// What one measurement says.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct Measured {
    pub(crate) requests: u64,
    pub(crate) requests_per_second: f64,
    /// 503 with `Retry-After`.
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    pub(crate) errors: Vec<String>,
    /// Were due and not sent, because connections were busy to the end.
    pub(crate) unsent: u64,
    /// CPU time of what is measured, per request.
    pub(crate) cpu_micros: Option<f64>,
    /// CPU time of the control plane, per request.
    pub(crate) control_cpu_micros: Option<f64>,
    /// Bytes of bodies per second of CPU time of what is measured.
    pub(crate) bytes_per_cpu_second: Option<f64>,
    pub(crate) p50_micros: f64,
    pub(crate) p99_micros: f64,
    pub(crate) first_byte_p50_micros: f64,
    pub(crate) first_byte_p99_micros: f64,
}

/// Reads CPU times of a target's processes.
struct CpuMeter<'a> {
    target: &'a Target,
    ticks_per_second: u64,
}

impl CpuMeter<'_> {
    fn read(&self, pid: Option<u32>) -> anyhow::Result<Option<Duration>> {
        pid.map(|pid| cpu(pid, self.ticks_per_second)).transpose()
    }

    fn both(&self) -> anyhow::Result<(Option<Duration>, Option<Duration>)> {
        Ok((self.read(self.target.measured)?, self.read(self.target.control)?))
    }

    /// Waits until the control plane has stored what the replica delivered, so that its cost falls into the span that caused it.
    async fn settle(&self) -> anyhow::Result<()> {
        if self.target.control.is_none() {
            return Ok(());
        }
        let end = Instant::now() + PATIENCE;
        let mut last = self.read(self.target.control)?;
        while Instant::now() < end {
            sleep(QUIET).await;
            let now = self.read(self.target.control)?;
            if now == last {
                return Ok(());
            }
            last = now;
        }
        bail!("records were still being delivered after {} s", PATIENCE.as_secs())
    }
}

/// Puts the load on a target for a while; `rate` is that of an open loop without one of its own. Also answers how many
/// requests were answered in all, warm-up included.
pub(crate) async fn measure(
    target: &Target,
    load: &Load,
    pace: Pace,
    expected: Option<u64>,
    ticks_per_second: u64,
) -> anyhow::Result<(Measured, u64)> {
    let meter = CpuMeter {
        target,
        ticks_per_second,
    };
    let mut connections = Vec::with_capacity(load.connections);
    // One after the other: a burst would overflow the queue of those who wait to be accepted.
    for _ in 0..load.connections {
        let request = target.request(load.prompt, load.answer)?;
        connections.push(Connection::open(target.address, request).await?);
    }
    let mut answered = 0;
    if pace != Pace::Single {
        let (warm, tally) = drive(connections, Pace::Closed(WARM_UP), expected).await?;
        answered += tally.answers.len() as u64;
        connections = warm;
        meter.settle().await?;
    }
    let before = meter.both()?;
    let (connections, tally) = drive(connections, pace, expected)
        .await
        .with_context(|| format!("{} on {}", load.name, target.kind.name()))?;
    meter.settle().await?;
    let after = meter.both()?;
    drop(connections);
    answered += tally.answers.len() as u64;
    Ok((summarise(tally, before, after), answered))
}

type Cpu = (Option<Duration>, Option<Duration>);

fn summarise(tally: Tally, before: Cpu, after: Cpu) -> Measured {
    let requests = tally.answers.len();
    let spent = |before: Option<Duration>, after: Option<Duration>| Some(after?.saturating_sub(before?).as_secs_f64());
    let measured = spent(before.0, after.0).filter(|seconds| *seconds > 0.0);
    let per_request = |seconds: Option<f64>| Some(seconds? * 1e6 / requests as f64).filter(|_| requests > 0);
    let bytes: u64 = tally.answers.iter().map(|answer| answer.bytes).sum();
    let mut whole: Vec<Duration> = tally.answers.iter().map(|answer| answer.whole).collect();
    let mut first: Vec<Duration> = tally.answers.iter().map(|answer| answer.first).collect();
    whole.sort_unstable();
    first.sort_unstable();
    Measured {
        requests: requests as u64,
        requests_per_second: tally.in_time as f64 / tally.took.as_secs_f64(),
        refused: tally.refused,
        failed: tally.failed,
        errors: tally.errors,
        unsent: tally.unsent,
        cpu_micros: per_request(measured),
        control_cpu_micros: per_request(spent(before.1, after.1)),
        bytes_per_cpu_second: measured.map(|seconds| bytes as f64 / seconds),
        p50_micros: percentile(&whole, 50),
        p99_micros: percentile(&whole, 99),
        first_byte_p50_micros: percentile(&first, 50),
        first_byte_p99_micros: percentile(&first, 99),
    }
}

/// Of sorted times, in microseconds; zero where there are none.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    let last = sorted.len().saturating_sub(1);
    sorted
        .get(last * percent / 100)
        .map_or(0.0, |time| time.as_nanos() as f64 / 1000.0)
}

/// Of each number separately; counts are added up.
pub(crate) fn median(rounds: &[Measured]) -> Measured {
    let of = |number: fn(&Measured) -> Option<f64>| {
        let mut values: Vec<f64> = rounds.iter().filter_map(number).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    let sum = |count: fn(&Measured) -> u64| rounds.iter().map(count).sum();
    Measured {
        requests: sum(|round| round.requests),
        refused: sum(|round| round.refused),
        failed: sum(|round| round.failed),
        unsent: sum(|round| round.unsent),
        errors: rounds.iter().flat_map(|round| round.errors.clone()).take(3).collect(),
        requests_per_second: of(|round| Some(round.requests_per_second)).unwrap_or_default(),
        cpu_micros: of(|round| round.cpu_micros),
        control_cpu_micros: of(|round| round.control_cpu_micros),
        bytes_per_cpu_second: of(|round| round.bytes_per_cpu_second),
        p50_micros: of(|round| Some(round.p50_micros)).unwrap_or_default(),
        p99_micros: of(|round| Some(round.p99_micros)).unwrap_or_default(),
        first_byte_p50_micros: of(|round| Some(round.first_byte_p50_micros)).unwrap_or_default(),
        first_byte_p99_micros: of(|round| Some(round.first_byte_p99_micros)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let times: Vec<Duration> = (1..=100).map(Duration::from_micros).collect();
        let of = |percent| percentile(&times, percent);
        assert_eq!((of(0), of(50), of(99), of(100)), (1.0, 50.0, 99.0, 100.0));
        assert_eq!(percentile(&[Duration::from_nanos(7500)], 99), 7.5);
        assert_eq!(percentile(&[], 99), 0.0);
    }

    #[test]
    fn the_median_is_taken_of_each_number_by_itself_and_failures_add_up() {
        let round = |requests_per_second, p50_micros, cpu_micros| Measured {
            requests: 10,
            failed: 1,
            requests_per_second,
            p50_micros,
            cpu_micros,
            ..Measured::default()
        };
        let median = median(&[
            round(3.0, 10.0, None),
            round(1.0, 30.0, Some(5.0)),
            round(2.0, 20.0, None),
        ]);
        assert_eq!(
            (median.requests, median.requests_per_second, median.p50_micros),
            (30, 2.0, 20.0)
        );
        assert_eq!((median.cpu_micros, median.failed), (Some(5.0), 3));
        assert_eq!(median.control_cpu_micros, None);
    }
}
