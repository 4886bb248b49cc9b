//! `lychgate gateway`: one replica. `lychgate dev` runs the same [`Replica`] next to its control plane.

mod replica;
mod settings;

pub(crate) use replica::Replica;
pub(crate) use settings::GatewaySettings;
pub(super) use settings::parse_key;

use super::args::GatewayArgs;
use super::net::{bind, warn_of_clear_text};
use super::{DRAIN_TIMEOUT, metrics};
use crate::config::Environment;
use crate::failure::Outcome;
use crate::terminal::output;
use crate::terminal::signals::Signals;
use lychgate_types::Ambient;

/// Runs the role until a signal ends it.
pub(crate) async fn run(args: GatewayArgs, environment: &Environment) -> Outcome {
    let (settings, role) = settings::read(args, environment)?;
    role.log.start()?;
    let signals = Signals::listen()?;
    let listener = bind("--listen", settings.listen)?;
    warn_of_clear_text(settings.listen);
    let metrics = metrics::Bound::bind(role.metrics)?;
    let drain_timeout = settings.drain_timeout.unwrap_or(DRAIN_TIMEOUT);
    let replica = Replica::start(settings, listener, Ambient::system())?;
    let metrics = metrics.serve(replica.gateway.metrics_router());
    let listening = format!("listening on http://{}", replica.local_addr);
    let announced = metrics.announce().and_then(|()| output::line(&listening));
    if announced.is_ok() {
        let gateway = replica.gateway.clone();
        signals.stop_asked(move || gateway.stop_at_once()).await;
    }
    replica.stop(drain_timeout).await;
    metrics.stop().await;
    announced
}
