//! Files that hold a secret, read.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// A path for an error message. Where a file was asked for and the secret itself was given, it is not repeated.
pub(crate) fn shown_path(text: &str) -> &str {
    let secrets = ["lgw_", "lgu_", "sk-", "postgres://", "postgresql://"];
    if secrets.iter().any(|start| text.starts_with(start)) {
        "(not shown: it looks like the secret itself; give the name of a file that holds it)"
    } else {
        text
    }
}

/// Reads a secret from a file: its text without white space at the ends. The error does not name the path.
pub(crate) fn read_secret(path: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(path).map_err(|why| format!("can't read the file: {why}"))?;
    match text.trim() {
        "" => Err("the file is empty".to_owned()),
        text => Ok(text.to_owned()),
    }
}

/// Refuses a file that its owner's group or anybody else can read or write.
pub(crate) fn private(path: &Path) -> Result<(), String> {
    let metadata = std::fs::metadata(path).map_err(|why| format!("can't read the file: {why}"))?;
    match metadata.permissions().mode() & 0o077 {
        0 => Ok(()),
        _ => Err(format!(
            "others can read or change the file: run `chmod 600 {}`",
            path.display()
        )),
    }
}
