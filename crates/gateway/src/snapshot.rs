//! What a replica knew when it was last attached, sealed on disk, so that it can begin while no control plane can be reached.
//!
//! The file is written when something of it changes, at most once a second, and while attached at least every half minute,
//! since it also says when that was. A replica that reaches a control plane goes by that; one that is refused deletes the file.
//!
//! Not here: how long what is known is good (`snapshot` for the whole, `lease` for a token).

mod contents;
mod file;
#[cfg(test)]
mod tests;

use contents::Known;

use crate::metrics::counts::Moment;
use crate::replica_state::Snapshot;
use crate::shared::Shared;
use crate::spool::Spool;
use lychgate_link::Configuration;
use lychgate_types::Ambient;
use lychgate_types::secret::{GatewayKeySecret, SpoolKey};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

const NAME: &str = "snapshot";
/// How often it is looked whether something changed.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long the time of the last attachment may be out of date.
const WRITE_EVERY: Duration = Duration::from_secs(30);

/// What a start without a control plane takes.
#[derive(Debug, Clone)]
pub struct OfflineStart {
    /// The gateway key, whose secret seals what is known: another one can't open it.
    pub key: watch::Receiver<GatewayKeySecret>,
}

/// The snapshot of one replica; without [`OfflineStart`] it does nothing.
#[derive(Debug)]
pub(crate) struct Offline {
    path: PathBuf,
    start: Option<OfflineStart>,
    told: Mutex<Option<Told>>,
    /// When an earlier process was last attached, if that is not too long ago.
    attached: OnceLock<Instant>,
    /// When the file was last written by this process.
    pub(crate) written: Moment,
}

/// What the control plane said last.
#[derive(Debug, Clone)]
struct Told {
    configuration: Arc<Configuration>,
    spool_key: SpoolKey,
}

impl Offline {
    /// In the directory of the spool.
    pub(crate) fn new(directory: &Path, start: Option<OfflineStart>) -> Self {
        Self {
            path: directory.join(NAME),
            start,
            told: Mutex::default(),
            attached: OnceLock::new(),
            written: Moment::default(),
        }
    }

    /// What an earlier process knew, unless it is too old or can't be opened; and how long ago it was last attached.
    fn load(&self, ambient: &Ambient, max_offline: Duration) -> Option<(Known, Duration)> {
        let start = self.start.as_ref()?;
        let known = match file::read(&self.path, &start.key.borrow()) {
            Ok(known) => known?,
            Err(why) => {
                tracing::warn!(%why, path = %self.path.display(), "the snapshot of an earlier run is not used");
                return None;
            }
        };
        // Behind the time at which it was written, nobody knows how much has passed.
        let passed = ambient.now().as_micros().checked_sub(known.attached_at.as_micros());
        let passed = passed
            .and_then(|micros| u64::try_from(micros).ok())
            .map(Duration::from_micros);
        match passed {
            Some(passed) if passed < max_offline => Some((known, passed)),
            Some(_) => {
                tracing::info!("the snapshot of an earlier run is too old to begin with");
                None
            }
            None => {
                tracing::warn!("the snapshot of an earlier run is not used: the clock went back since it was written");
                None
            }
        }
    }

    /// When an earlier process was last attached, where this one may begin by what that one knew.
    pub(crate) fn last_attached(&self) -> Option<Instant> {
        self.attached.get().copied()
    }

    /// The control plane said this.
    pub(crate) fn told(&self, configuration: &Arc<Configuration>, spool_key: &SpoolKey) {
        if self.start.is_some() {
            *self.told.lock() = Some(Told {
                configuration: Arc::clone(configuration),
                spool_key: spool_key.clone(),
            });
        }
    }

    /// The control plane does not want this replica: nothing is to begin by what it said before.
    pub(crate) fn forget(&self) {
        *self.told.lock() = None;
        if self.start.is_some() {
            file::delete(&self.path);
        }
    }
}

/// Takes over what an earlier process knew. Requests are not taken by it yet: first it is to be seen whether a control plane can
/// be reached.
pub(crate) fn recall(core: &Shared) {
    let Some((known, passed)) = core.offline.load(&core.ambient, core.options.max_offline) else {
        return;
    };
    let Some(since) = Instant::now().checked_sub(passed) else {
        return;
    };
    core.spool.set_key(&known.spool_key);
    core.leases.restore(&known.leases, core.ambient.now());
    // What was revoked since can be told from here on.
    core.applied.store(known.applied, Ordering::Release);
    core.snapshot.rcu(|now| Snapshot {
        standing: now.standing.clone(),
        table: Arc::new(now.table.next(&known.configuration)),
    });
    core.offline.told(&known.configuration, &known.spool_key);
    core.offline.attached.get_or_init(|| since);
}

/// Keeps the file as new as it has to be, for ever.
pub(crate) async fn keep(core: Arc<Shared>) {
    let Some(mut key) = core.offline.start.as_ref().map(|start| start.key.clone()) else {
        return;
    };
    let mut written: Option<(State, Instant)> = None;
    let mut look = tokio::time::interval(LOOK_EVERY);
    look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        look.tick().await;
        if key.has_changed().unwrap_or(false) {
            key.mark_unchanged();
            written = None;
        }
        let state = State::of(&core);
        let fresh = |(last, at): &(State, Instant)| *last == state && at.elapsed() < WRITE_EVERY;
        if core.snapshot.load().standing.is_attached() && !written.as_ref().is_some_and(fresh) {
            write(&core).await;
            written = Some((state, Instant::now()));
        }
    }
}

/// Writes down what is known now. Nothing is, until a control plane was attached to.
pub(crate) async fn write(core: &Arc<Shared>) {
    let spool = Arc::clone(&core.spool);
    let core = Arc::clone(core);
    // It fails only when the process ends.
    let write = move |_: &Spool| {
        let offline = &core.offline;
        let told = offline.told.lock().clone();
        let (Some(start), Some(told)) = (&offline.start, told) else {
            return;
        };
        let now = core.ambient.now();
        let known = Known {
            attached_at: now,
            // Before the leases are looked at: what was revoked up to here is not among them.
            applied: core.applied.load(Ordering::Acquire),
            configuration: told.configuration,
            spool_key: told.spool_key,
            leases: core.leases.all(now),
        };
        let key = start.key.borrow().clone();
        match file::write(&offline.path, &known, &key, &core.ambient) {
            Ok(()) => offline.written.set(Some(now)),
            Err(error) => tracing::warn!(%error, "the snapshot for a start without a control plane can't be written"),
        }
    };
    let _ = spool.off_the_runtime(write).await;
}

/// What must have changed for the file to be written.
#[derive(Debug, PartialEq, Eq)]
struct State {
    configuration: u64,
    applied: u64,
    leases: u64,
}

impl State {
    fn of(core: &Shared) -> Self {
        Self {
            configuration: core.snapshot.load().table.version,
            applied: core.applied.load(Ordering::Acquire),
            leases: core.leases.changes(),
        }
    }
}
