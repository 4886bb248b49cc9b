//! The order of things: memory on fresh processes first, then interleaved rounds of load, so that a machine that grows slow or
//! warm does so for all alike.

use crate::args::{Args, Kind};
use crate::host::machine::{Cores, Machine, allow_open_files, pin_self, ticks_per_second};
use crate::host::postgres;
use crate::load::allocations;
use crate::load::exchange::{Connection, Outcome};
use crate::load::loads::{self, Load, Pace};
use crate::load::measure::{Measured, measure, median};
use crate::load::streams::{Memory, look};
use crate::report::figures;
use crate::report::results::{Recorded, Results, Row};
use crate::targets::lychgate::{self, Lychgate};
use crate::targets::target::Target;
use crate::targets::{bare, deployment, nginx, provider};
use anyhow::{Context as _, bail};
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use tokio::time::Instant;

/// What is found and looked at before anything starts.
struct Ground<'a> {
    args: &'a Args,
    cores: Cores,
    dir: &'a Path,
    lychgate: Option<PathBuf>,
    postgres: Option<PathBuf>,
}

/// Measures.
pub(crate) async fn run(args: &Args) -> anyhow::Result<Results> {
    let loads = loads::chosen(args)?;
    let allocations = args.only.is_empty().then(allocations::binary).transpose()?;
    let dir = tempfile::Builder::new()
        .prefix("lychgate-bench-")
        .tempdir()
        .context("can't make a temporary directory")?;
    let ground = Ground {
        args,
        cores: Cores::here(),
        dir: dir.path(),
        lychgate: args
            .wants(Kind::Lychgate)
            .then(|| lychgate::binary(args.lychgate.as_deref()))
            .transpose()?,
        postgres: lychgate_postgres::find().filter(|_| !args.sqlite),
    };
    if ground.lychgate.is_some() && ground.postgres.is_none() && !args.sqlite {
        crate::progress(
            "there is no PostgreSQL here: the control plane takes SQLite (set PG_BIN if there is one after all)",
        );
    }
    // Before this process is put on a core and sees no other any more.
    let machine = Machine::look();
    // A gateway holds two connections a stream.
    allow_open_files(2 * args.streams() + 4096)?;
    pin_self(ground.cores.load)?;
    let allocations = allocations.as_deref().map(allocations::count).transpose()?;
    let memory = memory(&ground).await?;
    let (rows, recorded) = load(&ground, &loads).await?;
    let mut results = Results {
        machine,
        pinned: ground.cores.measured.is_some(),
        quick: args.quick,
        nginx_version: args.wants(Kind::Nginx).then(nginx::version).flatten(),
        database: ground.lychgate.is_some().then(|| match &ground.postgres {
            Some(binaries) => postgres::version(binaries).unwrap_or_else(|| "PostgreSQL".to_owned()),
            None => "SQLite".to_owned(),
        }),
        rounds: args.rounds(),
        seconds: args.seconds(),
        figures: Vec::new(),
        rows,
        memory,
        allocations,
        recorded,
    };
    results.figures = figures::figures(&results);
    Ok(results)
}

/// Starts everything once and puts the loads on it.
async fn load(ground: &Ground<'_>, loads: &[Load]) -> anyhow::Result<(Vec<Row>, Option<Recorded>)> {
    let (_provider, provider) = provider::start(ground.cores.provider, ground.dir).await?;
    let mut targets = Vec::new();
    let (mut others, mut replica) = (Vec::new(), None);
    for kind in &ground.args.targets {
        targets.push(match kind {
            Kind::Direct => Target::direct(provider),
            Kind::Lychgate => {
                let (processes, target) = start_lychgate(ground, provider).await?;
                replica = Some(processes);
                target
            }
            Kind::Nginx | Kind::Bare => {
                let (process, target) = start_other(*kind, ground, provider).await?;
                others.push(process);
                target
            }
        });
    }
    let (rows, answered) = rounds(ground.args, &targets, loads, provider).await?;
    let recorded = match replica {
        Some(replica) => Some(Recorded {
            answered,
            recorded: replica.recorded().await?,
        }),
        None => None,
    };
    Ok((rows, recorded))
}

async fn start_lychgate(ground: &Ground<'_>, provider: SocketAddr) -> anyhow::Result<(Lychgate, Target)> {
    let below = deployment::Ground {
        binary: ground.lychgate.clone().context("no binary was looked for")?,
        postgres: ground.postgres.clone(),
        cores: ground.cores,
        dir: ground.dir.to_owned(),
    };
    Lychgate::start(below, provider).await
}

async fn start_other(
    kind: Kind,
    ground: &Ground<'_>,
    provider: SocketAddr,
) -> anyhow::Result<(crate::host::process::Process, Target)> {
    let core = ground.cores.measured;
    match kind {
        Kind::Bare => bare::start(core, ground.dir, provider).await,
        _ => nginx::start(core, ground.dir, provider).await,
    }
}

/// Answers the rows, and how many requests were answered through Lychgate.
async fn rounds(
    args: &Args,
    targets: &[Target],
    loads: &[Load],
    provider: SocketAddr,
) -> anyhow::Result<(Vec<Row>, u64)> {
    let ticks = ticks_per_second();
    let mut expected = HashMap::new();
    for load in loads {
        expected.insert(load.name, length(load, provider).await?);
    }
    let mut rows: Vec<(&Load, Row)> = Vec::new();
    for load in loads {
        rows.extend(targets.iter().map(|target| (load, row(load, target.kind))));
    }
    let mut through_lychgate = 0;
    for round in 1..=args.rounds() {
        crate::progress(&format!("round {round} of {} …", args.rounds()));
        for at in 0..rows.len() {
            let pace = pace(&rows, at);
            let Some((load, row)) = rows.get_mut(at) else { continue };
            let (Some(target), Some(pace)) = (targets.iter().find(|target| target.kind == row.target), pace) else {
                continue;
            };
            if load.once && round > 1 {
                continue;
            }
            let expected = expected.get(load.name).copied().flatten();
            let (measured, answered) = measure(target, load, pace, expected, ticks).await?;
            row.rounds.push(measured);
            if target.kind == Kind::Lychgate {
                through_lychgate += answered;
            }
        }
    }
    let rows = rows.into_iter().map(|(_, row)| Row {
        median: median(&row.rounds),
        ..row
    });
    Ok((rows.collect(), through_lychgate))
}

fn row(load: &Load, target: Kind) -> Row {
    Row {
        load: load.name.to_owned(),
        title: load.title.to_owned(),
        events: load.answer.events(),
        target,
        median: Measured::default(),
        rounds: Vec::new(),
    }
}

/// The pace of a row's next measurement; a flood's depends on what its target did in this round. `None` if it is not known.
fn pace(rows: &[(&Load, Row)], at: usize) -> Option<Pace> {
    let (load, row) = rows.get(at)?;
    let Pace::Flood { times, time } = load.pace else {
        return Some(load.pace);
    };
    let (_, done) = rows
        .iter()
        .find(|(_, other)| other.load == "small-64" && other.target == row.target)?;
    let rate = times * done.rounds.last()?.requests_per_second;
    Some(Pace::Open { rate, time })
}

/// The length of the response to a load's requests, asked from the provider directly. `None` where measuring it would take long.
async fn length(load: &Load, provider: SocketAddr) -> anyhow::Result<Option<u64>> {
    if load.pace == Pace::Single {
        return Ok(None);
    }
    let target = Target::direct(provider);
    let mut connection = Connection::open(provider, target.request(load.prompt, load.answer)?).await?;
    match connection.exchange(Instant::now()).await {
        Outcome::Answered(answered) => Ok(Some(answered.bytes)),
        other => bail!("the provider does not answer {}: {other:?}", load.name),
    }
}

/// Looks at the memory of each target, on processes started for that.
async fn memory(ground: &Ground<'_>) -> anyhow::Result<Vec<(Kind, Memory)>> {
    let mut found = Vec::new();
    let streams = ground.args.streams();
    if streams == 0 || !ground.args.only.is_empty() {
        return Ok(found);
    }
    crate::progress(&format!("memory with {streams} streams open …"));
    for kind in ground.args.targets.iter().filter(|kind| **kind != Kind::Direct) {
        // Stopped before the target, which would read on for a while where it is a gateway.
        let (stand_in, provider) = provider::start(ground.cores.provider, ground.dir).await?;
        let memory = if *kind == Kind::Lychgate {
            let (_processes, target) = start_lychgate(ground, provider).await?;
            let memory = look(&target, streams).await?;
            drop(stand_in);
            memory
        } else {
            let (_process, target) = start_other(*kind, ground, provider).await?;
            let memory = look(&target, streams).await?;
            drop(stand_in);
            memory
        };
        found.extend(memory.map(|memory| (*kind, memory)));
    }
    Ok(found)
}
