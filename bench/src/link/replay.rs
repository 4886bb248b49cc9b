//! A replica that comes back with a full spool: how fast its records get to PostgreSQL, and what memory that takes.
//!
//! The records are put into the spool directory beforehand by the gateway's own spool, sealed with the key that the control
//! plane gives to replicas of this gateway key. From there on it is a replica's usual way: disk, link, control plane, commit.

use super::records::Records;
use super::{Bench, Found};
use crate::host::machine::ticks_per_second;
use crate::host::process::{cpu, memory};
use crate::report::figures::{Bar, Figure};
use crate::targets::deployment::Deployment;
use anyhow::{Context as _, bail, ensure};
use futures_util::StreamExt as _;
use lychgate_gateway::SpoolOptions;
use lychgate_gateway::harness::spool::Appender;
use lychgate_link::client::GrpcLink;
use lychgate_link::{ControlLink as _, Heartbeat, Hello, Message, PROTOCOL};
use lychgate_types::secret::{GatewayKeySecret, SecretHash, SpoolKey, UserTokenSecret};
use lychgate_types::{Ambient, InterceptionId};
use serde_json::json;
use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep, timeout};

/// Room for all of them; more than a replica has by default.
const SPOOL_BYTES: u64 = 4 << 30;
/// How often progress and memory are looked at.
const LOOK: Duration = Duration::from_millis(250);
/// How long all of it may take.
const GIVE_UP: Duration = Duration::from_secs(180);

/// Resident memory of the replica and of the control plane, in bytes.
type Memory = (u64, u64);

pub(super) async fn measure(bench: &Bench<'_>) -> anyhow::Result<Found> {
    let count = bench.count(1_000_000, 50_000);
    let (mut deployment, _provider) = bench.deployment().await?;
    let token = UserTokenSecret::parse(deployment.owner()).context("the owner's token does not read")?;
    let key = spool_key(&deployment, token.hash()).await?;
    let records = Records::new(token.hash());
    let spool = deployment.spool_of(0);
    let filling = Instant::now();
    let (middle, last, bytes) = spawn_blocking(move || fill(&spool, &key, records, count)).await??;
    let filling = filling.elapsed().as_secs_f64();

    let ticks = ticks_per_second();
    let server = deployment.server_pid().context("no control plane")?;
    let before = cpu(server, ticks)?;
    let begun = Instant::now();
    let flag = SPOOL_BYTES.to_string();
    deployment.start_replicas(1, &["--spool-max-bytes", &flag]).await?;
    let mut looks = vec![look(&deployment)?];
    let mut half = None;
    while !is_there(&deployment, last).await? {
        ensure!(begun.elapsed() < GIVE_UP, "not delivered after {} s", GIVE_UP.as_secs());
        if half.is_none() && is_there(&deployment, middle).await? {
            half = Some(look(&deployment)?);
        }
        looks.push(look(&deployment)?);
        sleep(LOOK).await;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let end = look(&deployment)?;
    let per_record = |time: Duration| time.as_secs_f64() * 1e6 / count as f64;
    let replica_cpu = per_record(cpu(deployment.replicas().first().context("no replica")?.pid(), ticks)?);
    let server_cpu = per_record(cpu(server, ticks)?.saturating_sub(before));
    let there = deployment.sql(&["SELECT count(*) FROM interceptions"]).await?;
    ensure!(there == count.to_string(), "{count} went in, {there} came out");
    let rate = count as f64 / seconds;
    let start = *looks.first().context("memory was not looked at")?;
    let half = half.unwrap_or(end);
    let most = looks
        .iter()
        .fold((0, 0), |most: Memory, look| (most.0.max(look.0), most.1.max(look.1)));
    let part = |name: &str, of: fn(&Memory) -> u64| {
        let all = [start, half, end, most].map(|look| format!("{:.1}", of(&look) as f64 / f64::from(1 << 20)));
        format!("{name} {}", all.join(", "))
    };
    let figures = vec![
        Figure {
            name: format!("replay of {count} spooled records to PostgreSQL"),
            value: rate.round(),
            unit: "/s".to_owned(),
            bar: Some(Bar::AtLeast(20_000.0)),
            from: format!(
                "{seconds:.1} s, the replica's start counted in; {bytes} bytes a record on disk, put there in {filling:.1} s"
            ),
        },
        Figure {
            name: "memory of the replica meanwhile, end over start".to_owned(),
            value: end.0 as f64 / start.0 as f64,
            unit: "×".to_owned(),
            bar: None,
            from: format!(
                "MiB at start, half, end, most: {}; {}",
                part("replica", |look| look.0),
                part("control plane", |look| look.1)
            ),
        },
    ];
    let numbers = json!({
        "records": count, "seconds": seconds, "per_second": rate, "bytes_per_record": bytes, "fill_seconds": filling,
        "replica_cpu_us": replica_cpu, "control_cpu_us": server_cpu, "memory": looks,
    });
    Ok(Found { figures, numbers })
}

/// What the control plane gives replicas to seal their spools with: attaches as one, asks about the token, so that records of it are
/// taken, and leaves.
async fn spool_key(deployment: &Deployment, token: SecretHash) -> anyhow::Result<SpoolKey> {
    let ambient = Ambient::system();
    let key = GatewayKeySecret::parse(deployment.key()?.trim()).context("the gateway key does not read")?;
    let (_key, key) = watch::channel(key);
    let (_heartbeats, heartbeats) = watch::channel(Heartbeat::default());
    let url = format!("http://{}", deployment.server_address(0)?);
    let link = GrpcLink::new(&[url], key, ambient.clone()).context("not a control plane's address")?;
    let hello = Hello {
        replica_id: ambient.new_id(),
        name: "filler".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        protocol: PROTOCOL,
        address: "127.0.0.1:1".to_owned(),
        labels: BTreeMap::new(),
        resume_after: 0,
    };
    let mut attachment = link
        .attach(hello, heartbeats)
        .await
        .context("the replica was refused")?;
    link.authorize(token).await.context("the token was not looked up")?;
    let first = timeout(Duration::from_secs(10), attachment.events.next())
        .await
        .context("no configuration came")?
        .context("no configuration came")?
        .context("the replica was refused")?;
    match first.message {
        Message::Configuration { spool_keys, .. } => Ok(spool_keys.own),
        other => bail!("it did not begin with a configuration: {other:?}"),
    }
}

/// Puts so many records in. Gives the ids of the middle and the last one, and how many bytes one takes on disk.
fn fill(
    directory: &Path,
    key: &SpoolKey,
    records: Records,
    count: usize,
) -> anyhow::Result<(InterceptionId, InterceptionId, u64)> {
    let options = SpoolOptions {
        max_bytes: SPOOL_BYTES,
        ..SpoolOptions::new(directory)
    };
    let appender = Appender::sealing_with(&options, key).context("the spool can't be made")?;
    let (mut middle, mut last) = (None, None);
    for (at, record) in records.take(count).enumerate() {
        if at == count / 2 {
            middle = Some(record.id);
        }
        last = Some(record.id);
        ensure!(appender.append(record), "the spool did not take record {at}");
    }
    drop(appender);
    let mut bytes = 0;
    for entry in std::fs::read_dir(directory).context("can't read the spool's directory")? {
        bytes += entry?.metadata()?.len();
    }
    Ok((
        middle.context("no records")?,
        last.context("no records")?,
        bytes / count as u64,
    ))
}

fn look(deployment: &Deployment) -> anyhow::Result<Memory> {
    let replica = deployment.replicas().first().context("no replica")?;
    let server = deployment.server_pid().context("no control plane")?;
    Ok((memory(replica.pid())?, memory(server)?))
}

async fn is_there(deployment: &Deployment, id: InterceptionId) -> anyhow::Result<bool> {
    let text = format!("SELECT 1 FROM interceptions WHERE id = '{}'", id.as_uuid());
    Ok(!deployment.sql(&[&text]).await?.is_empty())
}
