//! `lychgate completions SHELL` and `lychgate openapi`: texts for other programs.

use crate::args::Cli;
use crate::failure::{Failure, Outcome};
use crate::terminal::output;
use clap::CommandFactory;

/// `lychgate completions`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The shell
    shell: clap_complete::Shell,
}

/// Prints the completion script.
pub(crate) fn run(args: &Args) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "lychgate", &mut script);
    output::write(&String::from_utf8(script).map_err(Failure::failed)?)
}
