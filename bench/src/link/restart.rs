//! A control plane is killed under many attached replicas and started again at its address, at once or after an outage. How
//! long until all are attached again, and did anybody whose token is known see anything of it?

use super::attached::attachments;
use super::lanes::{Lane, Seen, Stream};
use super::{Bench, Found, Times};
use crate::report::figures::{Bar, Figure};
use crate::targets::deployment::Deployment;
use crate::targets::target::{Answer, Prompt};
use anyhow::ensure;
use serde_json::json;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Requests to each replica, evenly apart: 1,000 a second to 200 replicas.
const GAP: Duration = Duration::from_millis(200);
/// Started at the same time.
const TOGETHER: usize = 50;
/// Memory of one replica, with room to spare.
const REPLICA_BYTES: u64 = 24 << 20;
/// Attached later than this is worth a look.
const LATE: Duration = Duration::from_secs(5);
/// All are attached by then, or something is wrong.
const GIVE_UP: Duration = Duration::from_secs(60);

/// How long the control plane stays away in each round.
const OUTAGES: [Duration; 5] = [
    Duration::ZERO,
    Duration::ZERO,
    Duration::ZERO,
    Duration::from_secs(5),
    Duration::from_secs(10),
];

/// One kill and restart.
#[derive(Debug, Clone, Copy)]
struct Round {
    outage: Duration,
    /// From the start of the new process until it answered.
    ready: Duration,
    /// From the start of the new process until all were attached.
    attached: Duration,
}

pub(super) async fn measure(bench: &Bench<'_>) -> anyhow::Result<Found> {
    let wanted = bench.count(200, 20);
    let replicas = wanted.min(usize::try_from(memory_available() / 2 / REPLICA_BYTES)?);
    let (mut deployment, _provider) = bench.deployment().await?;
    while deployment.replicas().len() < replicas {
        let missing = replicas - deployment.replicas().len();
        deployment.start_replicas(missing.min(TOGETHER), &[]).await?;
    }
    let stream = stream(&deployment).await?;
    let mut rounds = Vec::new();
    for outage in OUTAGES.into_iter().skip(if bench.quick { 2 } else { 0 }) {
        until_known(&stream, replicas).await;
        rounds.push(round(&mut deployment, replicas, outage).await?);
    }
    until_known(&stream, replicas).await;
    let (_, seen) = stream.stop().await?;
    deployment.kill_replicas();
    let refused: Vec<&Seen> = seen.iter().filter(|one| one.status != 200).collect();
    let figures = vec![
        attached(&rounds, replicas, wanted),
        Figure {
            name: "requests for known tokens refused or failed meanwhile".to_owned(),
            value: refused.len() as f64,
            unit: String::new(),
            bar: Some(Bar::AtMost(0.0)),
            from: format!(
                "{} requests; ms: {}{}",
                seen.len(),
                Times::new(seen.iter().map(|one| one.end - one.start).collect()).summary(),
                refused
                    .first()
                    .map_or_else(String::new, |one| format!("; first: status {}", one.status)),
            ),
        },
    ];
    let rounds: Vec<_> = rounds.iter().map(Round::numbers).collect();
    Ok(Found {
        figures,
        numbers: json!({"replicas": replicas, "rounds": rounds, "requests": seen.len(), "refused": refused.len()}),
    })
}

/// A request of the owner's token every now and then to every replica.
async fn stream(deployment: &Deployment) -> anyhow::Result<Stream> {
    let mut lanes = Vec::new();
    for (at, replica) in deployment.replicas().iter().enumerate() {
        let request = deployment
            .target(at, deployment.owner())?
            .request(Prompt::Small, Answer::Json)?;
        lanes.push((Lane::open(at, replica.address).await?, request));
    }
    Ok(Stream::start(lanes, GAP))
}

/// Waits until every replica has answered once more, so that it knows the token.
async fn until_known(stream: &Stream, replicas: usize) {
    let (begun, end) = (Instant::now(), Instant::now() + GIVE_UP);
    let all = |seen: &[Seen]| {
        let mut answered = vec![false; replicas];
        for one in seen.iter().rev().take_while(|one| one.end > begun) {
            if let Some(place) = answered.get_mut(one.replica) {
                *place = true;
            }
        }
        answered.into_iter().all(|answered| answered)
    };
    while Instant::now() < end && !all(&stream.seen()) {
        sleep(Duration::from_millis(50)).await;
    }
}

async fn round(deployment: &mut Deployment, replicas: usize, outage: Duration) -> anyhow::Result<Round> {
    let before = attachments(deployment).await?;
    ensure!(before.len() == replicas, "{} of {replicas} are attached", before.len());
    deployment.kill_server(0)?;
    sleep(outage).await;
    let started = Instant::now();
    deployment.restart_server(0)?;
    deployment.server_ready(0).await?;
    let ready = started.elapsed();
    loop {
        let attached = started.elapsed();
        let mut now = attachments(deployment).await?;
        now.retain(|name, since| before.get(name).is_some_and(|before| before != since));
        if now.len() == replicas {
            if attached > LATE {
                tell_of_the_last(deployment, &now);
            }
            return Ok(Round {
                outage,
                ready,
                attached,
            });
        }
        ensure!(attached < GIVE_UP, "{} of {replicas} are attached again", now.len());
        sleep(Duration::from_millis(50)).await;
    }
}

/// Shows what the replica that attached last has logged.
fn tell_of_the_last(deployment: &Deployment, attachments: &HashMap<String, String>) {
    let last = (0..)
        .zip(deployment.replicas())
        .max_by_key(|(at, _)| attachments.get(&format!("replica-{at}")));
    if let Some((at, replica)) = last {
        crate::progress(&format!("replica-{at} attached late:\n{}", replica.output()));
    }
}

fn attached(rounds: &[Round], replicas: usize, wanted: usize) -> Figure {
    let worst = rounds.iter().map(|round| round.attached).max().unwrap_or_default();
    let summaries: Vec<String> = rounds
        .iter()
        .map(|round| {
            format!(
                "after {} s {:.2} (ready {:.2})",
                round.outage.as_secs(),
                round.attached.as_secs_f64(),
                round.ready.as_secs_f64()
            )
        })
        .collect();
    let fewer = if replicas < wanted {
        format!("; memory is too small for {wanted}")
    } else {
        String::new()
    };
    Figure {
        name: format!("{replicas} replicas attached again after a restart of the control plane"),
        value: worst.as_secs_f64(),
        unit: "s".to_owned(),
        bar: (replicas == 200).then_some(Bar::AtMost(5.0)),
        from: format!("worst of: {}{fewer}", summaries.join(", ")),
    }
}

impl Round {
    fn numbers(&self) -> serde_json::Value {
        json!({
            "outage_s": self.outage.as_secs_f64(), "ready_s": self.ready.as_secs_f64(),
            "attached_s": self.attached.as_secs_f64(),
        })
    }
}

/// Bytes that processes could take.
fn memory_available() -> u64 {
    let text = std::fs::read_to_string("/proc/meminfo").unwrap_or_default();
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kibibytes = line.and_then(|line| line.trim().trim_end_matches("kB").trim().parse::<u64>().ok());
    // Where nobody says, there is enough: starting too many fails loudly.
    kibibytes.map_or(u64::MAX, |kibibytes| kibibytes * 1024)
}
