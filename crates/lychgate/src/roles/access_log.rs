//! The access log, if one is configured.

use super::args::AccessLogArgs;
use crate::config::{Given, Settings};
use crate::failure::{Failure, Outcome};
use lychgate_gateway::{AccessLog, AccessLogGuard};
use lychgate_types::Ambient;
use std::path::Path;

/// Reads where it goes; `None`: there is none.
pub(super) fn read(settings: &mut Settings, args: AccessLogArgs) -> Option<Given> {
    settings.text("access-log", args.access_log)
}

/// Opens it. What waits to be written is written when the guard is dropped.
pub(super) fn open(given: Option<Given>, ambient: &Ambient) -> Outcome<(Option<AccessLog>, Option<AccessLogGuard>)> {
    let Some(Given { text, origin }) = given else {
        return Ok((None, None));
    };
    let (log, guard) = match text.as_str() {
        "-" => AccessLog::to_stdout(ambient.clone()),
        path => AccessLog::to_file(Path::new(path), ambient.clone())
            .map_err(|why| Failure::Failed(format!("{origin}: `{path}` can't be written: {why}")))?,
    };
    Ok((Some(log), Some(guard)))
}
