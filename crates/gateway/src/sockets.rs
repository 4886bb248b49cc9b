//! The WebSockets that are open: how many there may be, and what all of them hear of.
//!
//! Not here: what passes over them (`exchange::socket`).

use lychgate_link::places::{PlaceLimits, Places};
use lychgate_types::Holder;
use lychgate_types::secret::SecretHash;
use std::sync::Arc;
use tokio::sync::broadcast;

/// Most WebSockets, and those of one user.
pub(crate) const SOCKETS: PlaceLimits = PlaceLimits { all: 5_000, one: 64 };
/// News that wait for the slowest of them; one that misses some looks at everything.
const WAITING: usize = 16;

/// What an open WebSocket has to hear of.
#[derive(Debug, Clone)]
pub(crate) enum News {
    /// These tokens were revoked, or may do something else than before.
    Revoked(Arc<[SecretHash]>),
    /// The gateway, its control link or its configuration is in another state.
    State,
}

/// All WebSockets of one gateway.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) places: Arc<Places<Holder>>,
    news: broadcast::Sender<News>,
}

impl Default for Sockets {
    fn default() -> Self {
        Self {
            places: Places::new(SOCKETS),
            news: broadcast::Sender::new(WAITING),
        }
    }
}

impl Sockets {
    /// What is told from now on.
    pub(crate) fn news(&self) -> broadcast::Receiver<News> {
        self.news.subscribe()
    }

    /// Tells all of them.
    pub(crate) fn tell(&self, news: News) {
        // Without any, nobody has to hear of it.
        let _ = self.news.send(news);
    }
}
