//! The Responses API over a WebSocket, relayed message by message. One WebSocket of a client is one of its provider, opened with one
//! credential; what each message asks for is admitted by itself, as a request is, and each response has a record of its own.
//!
//! ```text
//! open       the client's head, admitted; attempts at the provider until one changes the protocol; the 101
//! session    from then on, for as long as the connection lasts
//!   ├─ peer        one end: the next message from it, the one on its way to it
//!   ├─ message     may this message of the client be relayed? token, objects, route, room for a record
//!   ├─ lanes       which event belongs to which lane, and so to which record
//!   │  └─ lane     its responses, in their order
//!   └─ ending      how it ends: close codes, what is told before, answers that are read on
//! ```
//!
//! Not here: what an event says (crate `wire`), how many WebSockets there are (`sockets`), and the attempts' rules (`resilience`).

mod ending;
mod handshake;
mod lane;
mod lanes;
mod message;
mod open;
mod peer;
mod session;

pub(crate) use handshake::UPGRADE_TIMEOUT;
pub(crate) use lanes::{ACTIVE_LANES, ENDED, ID_BYTES, LANES, RESPONSES, UNASKED};
pub(crate) use open::open;
pub(crate) use peer::{CLIENT_MESSAGE, PROVIDER_MESSAGE};
pub(crate) use session::{IDLE, LIFETIME};

use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use parking_lot::Mutex;
use std::pin::Pin;
use std::sync::Arc;

/// A connection behind the change of its protocol.
pub(crate) type Connection = TokioIo<Upgraded>;
type Work = Box<dyn FnOnce(Connection) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send>;

/// What goes on with the client's connection behind a 101, in whose extensions it is. Clones are the same; it is done once.
#[derive(Clone)]
pub(crate) struct Onward(Arc<Mutex<Option<Work>>>);

impl Onward {
    fn new<F: Future<Output = ()> + Send + 'static>(work: impl FnOnce(Connection) -> F + Send + 'static) -> Self {
        let work: Work = Box::new(|connection| Box::pin(work(connection)));
        Self(Arc::new(Mutex::new(Some(work))))
    }

    /// Goes on with the connection to its end.
    pub(crate) async fn with(self, connection: Connection) {
        let work = self.0.lock().take();
        if let Some(work) = work {
            work(connection).await;
        }
    }
}
