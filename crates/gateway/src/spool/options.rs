//! What an operator can set about the spool.

use std::path::PathBuf;

/// Where records wait until the control plane has acknowledged them, and how many may wait.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolOptions {
    /// A directory that only this process uses; created if it is missing.
    pub directory: PathBuf,
    /// Most bytes on disk.
    pub max_bytes: u64,
    /// What records survive.
    pub sync: SpoolSync,
    /// What becomes of requests when there is no room for their records.
    pub when_full: SpoolFull,
}

lychgate_types::text_enum! {
    /// What records survive.
    SpoolSync {
        /// The end of the process; a loss of power too, except for the last 100 ms.
        Interval = "interval",
        /// A loss of power too: the end of an answer waits for the disk.
        Always = "always",
    }

    /// What becomes of requests when there is no room for their records.
    SpoolFull {
        /// They are refused: nothing is relayed unrecorded.
        Refuse = "refuse",
        /// They are relayed unrecorded, and counted.
        Unrecorded = "unrecorded",
    }
}

impl SpoolOptions {
    /// The defaults, in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
            max_bytes: 1 << 30,
            sync: SpoolSync::Interval,
            when_full: SpoolFull::Refuse,
        }
    }
}
