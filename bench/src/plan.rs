//! The order of things: memory on fresh processes first, then interleaved rounds of load, so that a machine that grows slow or
//! warm does so for all alike.

use crate::args::{Args, Kind};
use crate::load::{Measured, measure};
use crate::lychgate::{self, Lychgate};
use crate::machine::{Cores, Machine, allow_open_files, pin_self, ticks_per_second};
use crate::streams::{Memory, look};
use crate::target::{Answer, Target};
use crate::{nginx, provider};
use anyhow::Context as _;
use serde::{Deserialize, Serialize};
use std::path::Path;
use std::time::Duration;

/// All that was measured, as it is written to the results' file.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Results {
    pub(crate) machine: Machine,
    pub(crate) pinned: bool,
    pub(crate) nginx_version: Option<String>,
    pub(crate) rounds: u32,
    pub(crate) seconds: u64,
    pub(crate) events: u32,
    pub(crate) rows: Vec<Row>,
    pub(crate) memory: Vec<(Kind, Memory)>,
    pub(crate) recorded: Option<Recorded>,
}

/// One target under one load: the median of each number over the rounds.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) scenario: String,
    pub(crate) connections: usize,
    pub(crate) target: Kind,
    pub(crate) median: Measured,
    pub(crate) rounds: Vec<Measured>,
}

/// Whether what went through was also recorded.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Recorded {
    pub(crate) sent: u64,
    pub(crate) recorded: u64,
}

/// Measures.
pub(crate) async fn run(args: &Args) -> anyhow::Result<Results> {
    let wants = |kind| args.targets.contains(&kind);
    let binary = wants(Kind::Lychgate)
        .then(|| lychgate::binary(args.lychgate.as_deref()))
        .transpose()?;
    let nginx_version = wants(Kind::Nginx).then(nginx::version).flatten();
    let cores = Cores::here();
    // Before this process is put on a core and sees no other any more.
    let machine = Machine::look();
    // A gateway holds two connections a stream.
    allow_open_files(2 * args.streams + 1024)?;
    pin_self(cores.load)?;
    let dir = tempfile::Builder::new()
        .prefix("lychgate-bench-")
        .tempdir()
        .context("can't make a temporary directory")?;
    let memory = memory(args, binary.as_deref(), cores, dir.path()).await?;

    let (_provider, provider) = provider::start(cores.provider, dir.path()).await?;
    let mut targets = Vec::new();
    let (mut _nginx, mut replica) = (None, None);
    for kind in &args.targets {
        targets.push(match (kind, &binary) {
            (Kind::Nginx, _) => {
                let (process, target) = nginx::start(cores.measured, dir.path(), provider).await?;
                _nginx = Some(process);
                target
            }
            (Kind::Lychgate, Some(binary)) => {
                let (processes, target) = Lychgate::start(binary, cores, dir.path(), provider).await?;
                replica = Some(processes);
                target
            }
            _ => direct(provider),
        });
    }
    let (rows, sent) = rounds(args, &targets).await?;
    let recorded = match replica {
        Some(replica) => Some(Recorded {
            sent,
            recorded: replica.recorded().await?,
        }),
        None => None,
    };
    Ok(Results {
        machine,
        pinned: cores.measured.is_some(),
        nginx_version,
        rounds: args.rounds,
        seconds: args.seconds,
        events: args.events,
        rows,
        memory,
        recorded,
    })
}

fn direct(provider: std::net::SocketAddr) -> Target {
    Target {
        kind: Kind::Direct,
        address: provider,
        prefix: "",
        token: "sk-bench".to_owned(),
        measured: None,
        control: None,
    }
}

/// Answers the rows, and how many requests went through Lychgate.
async fn rounds(args: &Args, targets: &[Target]) -> anyhow::Result<(Vec<Row>, u64)> {
    let ticks = ticks_per_second();
    let stream = Answer::Stream {
        events: args.events,
        interval: Duration::ZERO,
    };
    let mut rows: Vec<Row> = Vec::new();
    for (scenario, _) in [("json", Answer::Json), ("stream", stream)] {
        for connections in &args.connections {
            rows.extend(targets.iter().map(|target| Row {
                scenario: scenario.to_owned(),
                connections: *connections,
                target: target.kind,
                median: Measured::default(),
                rounds: Vec::new(),
            }));
        }
    }
    let mut through_lychgate = 0;
    for round in 1..=args.rounds {
        crate::tell(&format!("round {round} of {} …", args.rounds));
        for row in &mut rows {
            let Some(target) = targets.iter().find(|target| target.kind == row.target) else {
                continue;
            };
            let answer = if row.scenario == "json" { Answer::Json } else { stream };
            let time = Duration::from_secs(args.seconds);
            let (measured, sent) = measure(target, answer, row.connections, time, ticks).await?;
            row.rounds.push(measured);
            if target.kind == Kind::Lychgate {
                through_lychgate += sent;
            }
        }
    }
    for row in &mut rows {
        row.median = median(&row.rounds);
    }
    Ok((rows, through_lychgate))
}

/// Looks at the memory of each target, on processes started for that.
async fn memory(args: &Args, binary: Option<&Path>, cores: Cores, dir: &Path) -> anyhow::Result<Vec<(Kind, Memory)>> {
    let mut found = Vec::new();
    if args.streams == 0 {
        return Ok(found);
    }
    crate::tell(&format!("memory with {} streams open …", args.streams));
    // A provider of its own, because it is busy with these streams for a while.
    let (_provider, provider) = provider::start(cores.provider, dir).await?;
    if args.targets.contains(&Kind::Nginx) {
        let (_process, target) = nginx::start(cores.measured, dir, provider).await?;
        found.extend(look(&target, args.streams).await?.map(|memory| (Kind::Nginx, memory)));
    }
    if let Some(binary) = binary {
        let (_processes, target) = Lychgate::start(binary, cores, dir, provider).await?;
        found.extend(
            look(&target, args.streams)
                .await?
                .map(|memory| (Kind::Lychgate, memory)),
        );
    }
    Ok(found)
}

/// Of each number by itself.
fn median(rounds: &[Measured]) -> Measured {
    let of = |number: fn(&Measured) -> Option<f64>| {
        let mut values: Vec<f64> = rounds.iter().filter_map(number).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied()
    };
    Measured {
        requests: rounds.iter().map(|round| round.requests).sum(),
        requests_per_second: of(|round| Some(round.requests_per_second)).unwrap_or_default(),
        cpu_micros: of(|round| round.cpu_micros),
        control_cpu_micros: of(|round| round.control_cpu_micros),
        p50_micros: of(|round| Some(round.p50_micros)).unwrap_or_default(),
        p99_micros: of(|round| Some(round.p99_micros)).unwrap_or_default(),
        first_byte_p50_micros: of(|round| Some(round.first_byte_p50_micros)).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_taken_of_each_number_by_itself() {
        let round = |requests_per_second, p50_micros, cpu_micros| Measured {
            requests: 10,
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
        assert_eq!(median.cpu_micros, Some(5.0));
        assert_eq!(median.control_cpu_micros, None);
    }
}
