//! Where a role's data plane keeps records until the control plane has acknowledged them.

use super::args::SpoolArgs;
use crate::config::Settings;
use crate::config::byte_size::ByteSize;
use lychgate_gateway::{SpoolFull, SpoolOptions, SpoolSync};
use std::path::PathBuf;

/// Less room than this is less than a few requests may need.
const LEAST_BYTES: u64 = 1 << 20;

/// Reads the settings of the spool; the role sets its default directory.
pub(crate) fn read(settings: &mut Settings, args: SpoolArgs, directory: impl Into<PathBuf>) -> SpoolOptions {
    let defaults = SpoolOptions::new(directory);
    let max_bytes = settings.text("spool-max-bytes", args.spool_max_bytes);
    let max_bytes = max_bytes.and_then(|given| match given.text.parse() {
        Ok(ByteSize(bytes)) if bytes >= LEAST_BYTES => Some(bytes),
        Ok(_) => {
            settings.problem(format!("{}: `{}`: at least 1MiB is needed", given.origin, given.text));
            None
        }
        Err(why) => {
            settings.problem(format!("{}: `{}`: {why}", given.origin, given.text));
            None
        }
    });
    SpoolOptions {
        directory: settings
            .text("spool-dir", args.spool_dir)
            .map_or(defaults.directory, |given| given.text.into()),
        max_bytes: max_bytes.unwrap_or(defaults.max_bytes),
        sync: settings
            .value::<SpoolSync>("spool-sync", args.spool_sync)
            .unwrap_or(defaults.sync),
        when_full: settings
            .value::<SpoolFull>("spool-full", args.spool_full)
            .unwrap_or(defaults.when_full),
    }
}
