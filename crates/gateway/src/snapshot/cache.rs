//! One replica's snapshot file, and what the next one will hold.

use super::contents::Snapshot;
use super::file;
use crate::counts::Moment;
use lychgate_link::Configuration;
use lychgate_types::Ambient;
use lychgate_types::secret::{GatewayKeySecret, SpoolKeys};
use parking_lot::Mutex;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

pub(super) const FILE_NAME: &str = "snapshot";

/// What a start without a control plane needs.
#[derive(Debug, Clone)]
pub struct OfflineStart {
    /// The gateway key; its secret seals the snapshot, so another key can't open it.
    pub key: watch::Receiver<GatewayKeySecret>,
}

/// The snapshot of one replica; without [`OfflineStart`] it does nothing.
#[derive(Debug)]
pub(crate) struct SnapshotCache {
    pub(super) path: PathBuf,
    start: Option<OfflineStart>,
    received: Mutex<Option<Received>>,
    /// When an earlier process was last attached, if that was recently enough.
    last_attached: OnceLock<Instant>,
    /// When this process last wrote the file.
    pub(crate) written: Moment,
}

/// What the control plane sent last.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) spool_keys: SpoolKeys,
}

impl SnapshotCache {
    /// Its file is in this directory.
    pub(crate) fn new(directory: &Path, start: Option<OfflineStart>) -> Self {
        Self {
            path: directory.join(FILE_NAME),
            start,
            received: Mutex::default(),
            last_attached: OnceLock::new(),
            written: Moment::default(),
        }
    }

    /// The gateway key, where a start without a control plane is wanted.
    pub(crate) fn key(&self) -> Option<watch::Receiver<GatewayKeySecret>> {
        self.start.as_ref().map(|start| start.key.clone())
    }

    /// What an earlier process knew, unless it is too old or can't be opened; and how long ago that process was last attached.
    pub(crate) fn load(&self, ambient: &Ambient, max_offline: Duration) -> Option<(Snapshot, Duration)> {
        let start = self.start.as_ref()?;
        let snapshot = match file::read(&self.path, &start.key.borrow()) {
            Ok(snapshot) => snapshot?,
            Err(why) => {
                tracing::warn!(%why, path = %self.path.display(), "the snapshot of an earlier run is not used");
                return None;
            }
        };
        // If the clock is behind the time of writing, nobody knows how much time has passed.
        let age = ambient.now().as_micros().checked_sub(snapshot.attached_at.as_micros());
        let age = age
            .and_then(|micros| u64::try_from(micros).ok())
            .map(Duration::from_micros);
        match age {
            Some(age) if age < max_offline => Some((snapshot, age)),
            Some(_) => {
                tracing::info!("the snapshot of an earlier run is too old to start from");
                None
            }
            None => {
                tracing::warn!(
                    "the snapshot of an earlier run is not used: the clock has gone back since it was written"
                );
                None
            }
        }
    }

    /// When an earlier process was last attached, if this one may start from what that one knew.
    pub(crate) fn last_attached(&self) -> Option<Instant> {
        self.last_attached.get().copied()
    }

    /// This process starts from the snapshot of one that was last attached then.
    pub(crate) fn restored(&self, last_attached: Instant) {
        self.last_attached.get_or_init(|| last_attached);
    }

    /// Remembers what the control plane sent, for the next snapshot.
    pub(crate) fn receive(&self, configuration: &Arc<Configuration>, spool_keys: &SpoolKeys) {
        if self.start.is_some() {
            *self.received.lock() = Some(Received {
                configuration: Arc::clone(configuration),
                spool_keys: spool_keys.clone(),
            });
        }
    }

    /// What the control plane sent last; `None` where no snapshot is to be written.
    pub(crate) fn received(&self) -> Option<Received> {
        self.received.lock().clone()
    }

    /// Replaces the file. Blocks.
    pub(crate) fn write(&self, snapshot: &Snapshot, ambient: &Ambient) {
        let Some(start) = &self.start else { return };
        let key = start.key.borrow().clone();
        match file::write(&self.path, snapshot, &key, ambient) {
            Ok(()) => self.written.set(Some(snapshot.attached_at)),
            Err(error) => {
                tracing::warn!(%error, "the snapshot for a start without a control plane can't be written");
            }
        }
    }

    /// The control plane refuses this replica: no later process may start from what it sent before.
    pub(crate) fn discard(&self) {
        *self.received.lock() = None;
        if self.start.is_some() {
            file::delete(&self.path);
        }
    }
}
