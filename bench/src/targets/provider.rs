//! The scripted provider in a process of its own, so that its CPU time is not the load generator's.

use crate::host::machine::Core;
use crate::host::process::Process;
use anyhow::Context as _;
use lychgate_scripted::ScriptedProvider;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

/// Serves until the process is stopped; the first line printed is the address.
pub(crate) async fn serve() -> anyhow::Result<()> {
    let provider = ScriptedProvider::start((Ipv4Addr::LOCALHOST, 0).into())
        .await
        .context("the provider can't listen")?;
    crate::print(&provider.addr().to_string());
    std::future::pending::<()>().await;
    Ok(())
}

/// Starts this very program as the provider.
pub(crate) async fn start(core: Option<Core>, dir: &Path) -> anyhow::Result<(Process, SocketAddr)> {
    itself("provider", core, dir, &[]).await
}

/// Starts this very program in another role, which prints its address first.
pub(crate) async fn itself(
    role: &'static str,
    core: Option<Core>,
    dir: &Path,
    arguments: &[String],
) -> anyhow::Result<(Process, SocketAddr)> {
    let program = std::env::current_exe().context("can't find this program")?;
    let mut process = Process::start(role, core, dir, program, |command| {
        command.arg(role).args(arguments);
    })?;
    let log = dir.join(format!("{role}.log"));
    let address = process
        .wait_until(async || {
            std::fs::read_to_string(&log)
                .ok()?
                .lines()
                .next()?
                .parse::<SocketAddr>()
                .ok()
        })
        .await?;
    Ok((process, address))
}
