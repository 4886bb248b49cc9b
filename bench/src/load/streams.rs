//! Memory with many idle streams open at once.

use crate::host::process::memory;
use crate::targets::target::{Answer, Prompt, Target};
use anyhow::{Context as _, bail};
use http_body_util::BodyExt as _;
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// Resident memory of what is measured, in bytes.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Memory {
    /// Before the first request.
    pub(crate) idle: u64,
    /// With all the streams open and an event gone through each.
    pub(crate) open: u64,
    pub(crate) streams: usize,
}

/// One event at once, the next one when the look is long over.
const IDLE: Answer = Answer::Stream {
    events: 2,
    interval: Duration::from_secs(300),
};
/// Streams that are being opened at the same time: a burst would overflow the queue of those who wait to be accepted.
const OPENING: usize = 64;
/// How long the streams run before memory is read.
const SETTLE: Duration = Duration::from_secs(3);
/// How long all of them may take to open.
const PATIENCE: Duration = Duration::from_secs(30);

/// Opens the streams, looks, closes them.
pub(crate) async fn look(target: &Target, streams: usize) -> anyhow::Result<Option<Memory>> {
    let Some(pid) = target.measured else { return Ok(None) };
    let idle = memory(pid)?;
    let mut opening = JoinSet::new();
    let room = Arc::new(Semaphore::new(OPENING));
    for _ in 0..streams {
        let (address, request) = (target.address, target.request(Prompt::Small, IDLE)?);
        let room = Arc::clone(&room);
        opening.spawn(async move {
            let _place = room.acquire().await?;
            let mut sender = crate::targets::api::connect(address).await?;
            let response = sender.send_request(request).await.context("no answer")?;
            let status = response.status();
            let mut body = response.into_body();
            if !status.is_success() {
                bail!(
                    "{status}: {}",
                    String::from_utf8_lossy(&body.collect().await?.to_bytes())
                );
            }
            body.frame()
                .await
                .context("a stream without an event")?
                .context("a stream broke off")?;
            Ok((sender, body))
        });
    }
    let all = async {
        let mut open = Vec::new();
        while let Some(stream) = opening.join_next().await {
            open.push(stream.context("a stream's task broke")??);
        }
        anyhow::Ok(open)
    };
    let open = timeout(PATIENCE, all)
        .await
        .with_context(|| format!("{streams} streams did not open within {} s", PATIENCE.as_secs()))?
        .with_context(|| format!("streams through {}", target.kind.name()))?;
    // They are read on, as clients do; else full buffers would be measured.
    let mut reading = JoinSet::new();
    for (sender, mut body) in open {
        reading.spawn(async move {
            let _open = sender;
            while let Some(Ok(_)) = body.frame().await {}
        });
    }
    sleep(SETTLE).await;
    let open = memory(pid)?;
    if reading.try_join_next().is_some() {
        bail!("a stream through {} ended early", target.kind.name());
    }
    Ok(Some(Memory { idle, open, streams }))
}
