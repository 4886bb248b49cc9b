//! `lychgate logout`: forgets what `lychgate login` saved. The token itself goes on working until it is revoked or expires.

use crate::client::credentials;
use crate::config::Environment;
use crate::failure::Outcome;
use crate::terminal::output::note;

/// Runs the command.
pub(crate) fn run(environment: &Environment) -> Outcome {
    let path = credentials::path(environment)?;
    if credentials::forget(&path)? {
        note(&format!(
            "logged out: removed {}; the token itself works until it expires or is revoked",
            path.display()
        ));
    } else {
        note("not logged in: there is nothing to remove");
    }
    Ok(())
}
