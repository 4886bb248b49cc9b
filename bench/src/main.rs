//! What Lychgate costs: the same load against the same scripted provider, straight, through nginx and through Lychgate, in
//! interleaved rounds. See `README.md` beside this crate.
//!
//! It measures; it judges nothing and is no test. It talks to loopback addresses only.

mod api;
mod args;
mod load;
mod lychgate;
mod machine;
mod nginx;
mod plan;
mod process;
mod provider;
mod report;
mod streams;
mod target;

use anyhow::Context as _;
use args::{Args, Role};
use clap::Parser as _;
use std::process::ExitCode;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("can't start the runtime")
        .and_then(|runtime| runtime.block_on(until_interrupted(args)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tell(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Runs; a signal ends it early, and what was started is stopped as in an ordinary end.
async fn until_interrupted(args: Args) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("can't catch signals")?;
    tokio::select! {
        outcome = run(args) => outcome,
        _ = tokio::signal::ctrl_c() => anyhow::bail!("interrupted"),
        _ = terminate.recv() => anyhow::bail!("terminated"),
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    match args.role {
        Some(Role::Provider) => provider::serve().await,
        None => {
            let results = plan::run(&args).await?;
            report::publish(&results, args.write)
        }
    }
}

/// Prints a result.
#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
fn say(text: &str) {
    println!("{text}");
}

/// Prints what is going on, apart from results.
#[expect(clippy::print_stderr, reason = "progress goes to standard error")]
fn tell(text: &str) {
    eprintln!("bench: {text}");
}
