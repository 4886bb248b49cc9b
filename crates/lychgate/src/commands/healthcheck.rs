//! `lychgate healthcheck`: whether a server or a replica is ready. It takes no token and reads no saved login, so that a container
//! image needs nothing else.

use crate::client::{probe, server_url};
use crate::failure::{Failure, Outcome};
use crate::terminal::output;
use http::StatusCode;
use std::time::Duration;

/// Container runtimes give a check about as long.
const TIME_LIMIT: Duration = Duration::from_secs(5);

/// `lychgate healthcheck`.
#[derive(Debug, clap::Args)]
pub(crate) struct HealthcheckArgs {
    /// Where it listens: 8080 is the server's default port, 4001 a replica's
    #[arg(default_value = "http://127.0.0.1:8080", value_name = "URL")]
    url: String,
    /// Ask only whether the process answers (/healthz), not whether it can serve requests (/readyz)
    #[arg(long)]
    live: bool,
    /// Ask only about one part: `gateway` for AI requests, `control-plane` for the API and replicas, which needs the database
    #[arg(long, value_name = "PART", conflicts_with = "live")]
    part: Option<Part>,
}

/// What a probe can ask about by itself.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Part {
    Gateway,
    ControlPlane,
}

/// Runs the command: exit code 0 where it is ready.
pub(crate) async fn run(args: HealthcheckArgs) -> Outcome {
    let base = server_url(&args.url).map_err(|why| Failure::Usage(format!("`{}`: {why}", args.url)))?;
    let path = match args.part {
        _ if args.live => "/healthz",
        None => "/readyz",
        Some(Part::Gateway) => "/readyz/gateway",
        Some(Part::ControlPlane) => "/readyz/control-plane",
    };
    let (status, text) = probe(&base, path, TIME_LIMIT).await?;
    if status == StatusCode::OK {
        return output::line(text.trim_end());
    }
    Err(Failure::Failed(format!(
        "{base}{path} responded with {status}: {}",
        text.trim_end()
    )))
}
