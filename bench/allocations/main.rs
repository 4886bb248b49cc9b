//! Counts heap allocations per small request: the gateway in this process, token check and recording included, with a
//! control plane that agrees to everything; and a bare relay for comparison. Load and provider are threads with fixed
//! buffers, which allocate nothing. Prints one line of JSON. The bench starts it.

#[path = "../src/targets/bare/configuration.rs"]
mod configuration;
mod control;
mod wire;

use anyhow::Context as _;
use lychgate_gateway::{Front, Gateway, Options, SpoolOptions};
use lychgate_types::Ambient;
use lychgate_types::secret::UserTokenSecret;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

#[global_allocator]
static COUNTING: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

/// Requests before counting starts: pools, caches and queues get their sizes.
const WARM_UP: u32 = 2_000;
const COUNTED: u32 = 5_000;
/// How long the gateway may take to be ready.
const PATIENCE: Duration = Duration::from_secs(10);

fn main() -> anyhow::Result<()> {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("can't start the runtime")?;
    let provider = wire::provider()?;
    let configuration = configuration::configuration(provider)?;
    let token = UserTokenSecret::generate(&Ambient::system());
    let spool = tempfile::tempdir().context("can't make a directory")?;
    let bare = {
        let _inside = runtime.enter();
        lychgate_gateway::harness::baseline::front(options(spool.path()), &configuration)?
    };
    let bare = count(serve(&runtime, bare)?, token.expose())?;
    let gateway = {
        let _inside = runtime.enter();
        let control = control::Agreeable {
            configuration: Arc::new(configuration),
            may_send_requests: true,
        };
        Gateway::start(options(spool.path()), Arc::new(control), Ambient::system())?
    };
    let end = Instant::now() + PATIENCE;
    while let Err(why) = gateway.readiness() {
        anyhow::ensure!(Instant::now() < end, "the gateway is not ready: {why}");
        std::thread::yield_now();
    }
    let lychgate = count(
        serve(&runtime, gateway.front(gateway.standalone_router()))?,
        token.expose(),
    )?;
    say(&serde_json::json!({"lychgate": lychgate, "bare": bare}));
    Ok(())
}

fn options(spool: &Path) -> Options {
    Options {
        spool: SpoolOptions::new(spool),
        ..Options::new("allocations", "127.0.0.1:0", env!("CARGO_PKG_VERSION"))
    }
}

fn serve(runtime: &Runtime, front: Front) -> anyhow::Result<SocketAddr> {
    let listener = runtime
        .block_on(tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))
        .context("can't listen")?;
    let address = listener.local_addr()?;
    runtime.spawn(lychgate_gateway::serve(listener, front, std::future::pending()));
    Ok(address)
}

/// What one request allocates on average.
fn count(address: SocketAddr, token: &str) -> anyhow::Result<serde_json::Value> {
    let mut client = wire::Client::new(address, token)?;
    for _ in 0..WARM_UP {
        client.ask()?;
    }
    let region = Region::new(COUNTING);
    for _ in 0..COUNTED {
        client.ask()?;
    }
    let change = region.change();
    let each = |count: usize| count as f64 / f64::from(COUNTED);
    Ok(serde_json::json!({
        "allocations": each(change.allocations),
        "reallocations": each(change.reallocations),
        "bytes": each(change.bytes_allocated),
    }))
}

#[expect(clippy::print_stdout, reason = "this is what the program is for")]
fn say(counted: &serde_json::Value) {
    println!("{counted}");
}
