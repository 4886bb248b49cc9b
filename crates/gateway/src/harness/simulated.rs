//! A whole gateway without sockets, for the simulation to drive: requests are admitted and recorded as they are over HTTP, but
//! what happens in between is up to the simulation. Not used by the product.
//!
//! Not here: the simulation itself (crate `control`, which also has the other end of the link).

pub use crate::spool::disk::{Disk, Log};

use crate::exchange::admit::admit;
use crate::gateway::{Gateway, StartError};
use crate::inbound::stack::enter;
use crate::options::Options;
use crate::shared::InFlightGuard;
use crate::spool::{Slot, SpoolError};
use crate::upstream::Upstream;
use http::Request;
use lychgate_link::ControlLink;
use lychgate_link::places::Source;
use lychgate_types::Ambient;
use lychgate_types::interception::InterceptionRecord;
use std::sync::Arc;

/// What all gateways of a simulation share, since it takes long to make: the client for providers, which is not used.
#[derive(Debug, Clone)]
pub struct Outside(Upstream);

impl Outside {
    /// Needs a Tokio runtime.
    ///
    /// # Errors
    /// Those of the TLS library.
    pub fn new(options: &Options) -> Result<Self, StartError> {
        Upstream::new(&options.provider_cas, options.proxy.clone())
            .map(Self)
            .map_err(StartError::Tls)
    }
}

/// One process; clones are handles on the same one.
#[derive(Debug, Clone)]
pub struct Replica {
    gateway: Gateway,
}

/// Why a request is refused, as its client sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The HTTP status.
    pub status: u16,
    /// For people.
    pub message: String,
}

/// A request that was admitted; dropped, it is not recorded.
#[derive(Debug)]
pub struct Admission {
    slot: Slot,
    guard: InFlightGuard,
}

impl Replica {
    /// Starts one, with what an earlier one left on its disk.
    ///
    /// # Errors
    /// The spool's directory can't be used.
    pub fn start(
        options: Options,
        link: Arc<dyn ControlLink>,
        ambient: Ambient,
        outside: &Outside,
        disk: Arc<dyn Disk>,
    ) -> Result<Self, SpoolError> {
        let gateway = Gateway::start_on(options, link, ambient, outside.0.clone(), disk)?;
        Ok(Self { gateway })
    }

    /// The product's own handle.
    pub const fn gateway(&self) -> &Gateway {
        &self.gateway
    }

    /// Admits a request to the Anthropic provider of this name.
    ///
    /// # Errors
    /// Why it is refused.
    pub async fn admit(&self, provider: &str, token: &str) -> Result<Admission, Refused> {
        let shared = &self.gateway.shared;
        let path = format!("/ai/{provider}/v1/messages");
        let request = Request::post(&path).header("x-api-key", token).body(());
        let (parts, ()) = request.map_err(|error| refused(400, &error.to_string()))?.into_parts();
        let entered = enter(shared, &path, &parts.headers).1;
        let entered = entered.map_err(|no| refused(no.status.as_u16(), &no.message))?;
        let admission = admit(&entered, &parts, Source::unknown()).await;
        let admission = admission.map_err(|no| refused(no.status.as_u16(), &no.message))?;
        match admission.recorded {
            Some((_, slot)) => Ok(Admission {
                slot,
                guard: admission.guard,
            }),
            None => Err(refused(404, "such a request is not recorded")),
        }
    }

    /// Records, and pieces of segments, that lie aside.
    pub fn set_aside(&self) -> u64 {
        self.gateway.shared.spool.set_aside_count()
    }

    /// Tokens that are believed.
    pub fn believed(&self) -> usize {
        let shared = &self.gateway.shared;
        shared.leases.persist(shared.ambient.now()).len()
    }

    /// Ends it as the end of its process would: without a goodbye, and without another write.
    pub fn kill(&self) {
        self.gateway.kill();
    }
}

impl Admission {
    /// Records the request; the future says whether its client may see the end of its answer.
    pub fn finish(self, record: InterceptionRecord) -> impl Future<Output = bool> + Send + use<> {
        let hold = self.slot.fill(record);
        drop(self.guard);
        async move {
            match hold {
                Some(hold) => hold.await.is_ok(),
                None => true,
            }
        }
    }
}

fn refused(status: u16, message: &str) -> Refused {
    Refused {
        status,
        message: message.to_owned(),
    }
}
