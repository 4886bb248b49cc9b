//! `lychgate completions SHELL`.

use crate::failure::{Failure, Outcome};
use crate::terminal::output;

/// `lychgate completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct CompletionsArgs {
    /// Shell
    shell: clap_complete::Shell,
}

/// Prints the completion script.
pub(crate) fn run(args: &CompletionsArgs, command_line: &mut clap::Command) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, command_line, "lychgate", &mut script);
    output::write(&String::from_utf8(script).map_err(Failure::failed)?)
}
