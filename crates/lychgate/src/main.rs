//! A self-hosted AI gateway: one binary with roles. This file parses the command line, runs the role or command that it names,
//! and turns a failure into a message and an exit code: 0 success, 1 failure, 2 invalid usage.

mod args;
mod client;
mod commands;
mod config;
mod failure;
mod roles;
mod terminal;

use crate::args::{Cli, Command};
use crate::config::Environment;
use crate::failure::{Failure, Outcome};
use crate::terminal::output;
use clap::{CommandFactory, Parser};
use std::process::ExitCode;

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli.command, &Environment::of_process()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            if !matches!(failure, Failure::OutputClosed) {
                output::note(&format!("error: {failure}"));
            }
            ExitCode::from(failure.exit_code())
        }
    }
}

fn run(command: Command, environment: &Environment) -> Outcome {
    match command {
        Command::Keys(args) => block_on(commands::keys::run(args, environment)),
        Command::Replicas(args) => block_on(commands::replicas::run(args, environment)),
        Command::Users(args) => block_on(commands::users::run(args, environment)),
        Command::Tokens(args) => block_on(commands::tokens::run(args, environment)),
        Command::Providers(args) => block_on(commands::providers::run(args, environment)),
        Command::Routes(args) => block_on(commands::routes::run(args, environment)),
        Command::Interceptions(args) => block_on(commands::interceptions::run(args, environment)),
        Command::Audit(args) => block_on(commands::audit::run(args, environment)),
        Command::Whoami(args) => block_on(commands::whoami::run(args, environment)),
        Command::Healthcheck(args) => block_on(commands::healthcheck::run(args)),
        Command::Login(args) => block_on(commands::login::run(args, environment)),
        Command::Logout => commands::logout::run(environment),
        Command::Clients(args) => commands::clients::run(&args, environment),
        Command::Completions(args) => commands::completions::run(&args, &mut Cli::command()),
        Command::Openapi => output::line(lychgate_control::openapi().trim_end()),
        Command::Migrate(args) => roles::block_on(roles::server::migrate(args, environment)),
        Command::Server(args) => roles::block_on(roles::server::run(args, environment)),
        Command::Gateway(args) => roles::block_on(roles::gateway::run(args, environment)),
        Command::Dev(args) => roles::block_on(roles::dev::run(args, environment)),
    }
}

/// A client command waits for one response at a time, so one thread is enough.
fn block_on(work: impl Future<Output = Outcome>) -> Outcome {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime
        .map_err(|why| Failure::Failed(format!("can't start: {why}")))?
        .block_on(work)
}
