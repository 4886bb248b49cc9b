//! libfaketime, by which the fault suite sets the clocks of single processes: found, or installed where there is none.

use anyhow::Context as _;
use std::path::PathBuf;

/// The library's file. `FAKETIME_LIBRARY` names another one.
pub(crate) fn find_or_install() -> anyhow::Result<PathBuf> {
    if let Some(library) = std::env::var_os("FAKETIME_LIBRARY") {
        return Ok(library.into());
    }
    if let Some(library) = find() {
        return Ok(library);
    }
    crate::apt::install("libfaketime", "libfaketime, which sets clocks")?;
    find().context("libfaketime was installed, but its library is nowhere to be found: set FAKETIME_LIBRARY")
}

/// Debian's place for it names the machine's architecture, other systems' places do not.
fn find() -> Option<PathBuf> {
    let of_architectures = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    of_architectures
        .map(|entry| entry.path())
        .chain(["/usr/lib", "/usr/lib64", "/usr/local/lib"].map(PathBuf::from))
        .map(|directory| directory.join("faketime/libfaketime.so.1"))
        .find(|library| library.is_file())
}
