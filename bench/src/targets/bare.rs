//! A relay made of the gateway's own parts, without governance: what of a request's cost is governance shows beside it.

mod configuration;

use crate::args::Kind;
use crate::host::machine::Core;
use crate::host::process::Process;
use crate::targets::target::Target;
use anyhow::Context as _;
use lychgate_gateway::Options;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use tokio::net::TcpListener;

/// Serves until the process is stopped; the first line printed is the address.
pub(crate) async fn serve(provider: SocketAddr) -> anyhow::Result<()> {
    let options = Options::new("bare", "127.0.0.1:0", env!("CARGO_PKG_VERSION"));
    let front = lychgate_gateway::harness::baseline::front(options, &configuration::configuration(provider)?)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .await
        .context("the relay can't listen")?;
    crate::print(&listener.local_addr()?.to_string());
    tokio::spawn(lychgate_gateway::serve(listener, front, std::future::pending()))
        .await
        .context("the relay broke")
}

/// Starts this very program as the relay.
pub(crate) async fn start(core: Option<Core>, dir: &Path, provider: SocketAddr) -> anyhow::Result<(Process, Target)> {
    let (process, address) = crate::targets::provider::itself("bare", core, dir, &[provider.to_string()]).await?;
    let target = Target {
        kind: Kind::Bare,
        address,
        prefix: "/ai/openai",
        token: "sk-bench".to_owned(),
        measured: Some(process.id()),
        control: None,
    };
    Ok((process, target))
}
