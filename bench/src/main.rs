//! What Lychgate costs: the same load against the same scripted provider, straight, through nginx, through a bare relay and
//! through Lychgate, in interleaved rounds. See `README.md` beside this crate.
//!
//! It measures, and shows the figures beside their bars; a missed bar fails nothing. It talks to loopback addresses only.

mod args;
mod host;
mod link;
mod load;
mod plan;
mod report;
mod targets;

use anyhow::Context as _;
use args::{Args, Role};
use clap::Parser as _;
use std::process::ExitCode;
use targets::{bare, provider};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

fn main() -> ExitCode {
    let args = Args::parse();
    let outcome = runtime(&args)
        .enable_all()
        .build()
        .context("can't start the runtime")
        .and_then(|runtime| runtime.block_on(until_interrupted(args)));
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            progress(&format!("{error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// The relay runs on what the gateway runs on; the others have but one core.
fn runtime(args: &Args) -> Builder {
    match args.role {
        // So that a lane's clock is read when its answer comes, whatever the others do.
        Some(Role::Bare { .. } | Role::Link(_)) => Builder::new_multi_thread(),
        Some(Role::Provider) | None => Builder::new_current_thread(),
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
        Some(Role::Bare { provider }) => bare::serve(provider).await,
        Some(Role::Link(link)) => Box::pin(link::run(&link)).await,
        None => {
            let results = plan::run(&args).await?;
            report::publish::publish(&results, args.write)
        }
    }
}

/// Prints a result.
#[expect(clippy::print_stdout, reason = "a bench prints what it measured")]
fn print(text: &str) {
    println!("{text}");
}

/// Prints what is going on, apart from results.
#[expect(clippy::print_stderr, reason = "progress goes to standard error")]
fn progress(text: &str) {
    eprintln!("bench: {text}");
}
