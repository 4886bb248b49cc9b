//! Being woken when another control plane has announced a change: LISTEN and NOTIFY in PostgreSQL, a bell within the process
//! for SQLite. A wake-up says only that there may be news; what the news is stands in the table.

use super::{Engine, failure};
use crate::error::StoreError;
use sqlx::postgres::{PgConnectOptions, PgListener, PgPoolOptions};
use std::time::Duration;
use tokio::sync::watch;

/// The channel of every announcement.
pub(super) const CHANNEL: &str = "lychgate_changes";
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

/// Waits for announcements.
pub(crate) enum Listener {
    /// On a connection of its own, made when first waited on and again after each loss.
    Pg {
        options: Box<PgConnectOptions>,
        open: Option<PgListener>,
    },
    Lite(watch::Receiver<()>),
}

impl Engine {
    /// A listener; nothing is asked of the database yet.
    pub(crate) fn listener(&self) -> Listener {
        match self {
            Self::Pg { pool, .. } => Listener::Pg {
                options: Box::new((*pool.connect_options()).clone()),
                open: None,
            },
            Self::Lite { bell, .. } => Listener::Lite(bell.subscribe()),
        }
    }
}

impl Listener {
    /// Waits until something was announced, or may have been (the connection is new, or was lost).
    pub(crate) async fn wait(&mut self) -> Result<(), StoreError> {
        match self {
            Self::Pg { options, open } => match open {
                None => {
                    *open = Some(listen(options).await.map_err(failure::plain)?);
                    Ok(())
                }
                Some(listener) => {
                    listener.eager_reconnect(false);
                    let heard = listener.try_recv().await;
                    if let Ok(Some(_)) = heard {
                        // What was announced at the same time is read at the same time.
                        while listener.next_buffered().is_some() {}
                        return Ok(());
                    }
                    // Lost: the next turn connects anew.
                    *open = None;
                    heard.map(drop).map_err(failure::plain)
                }
            },
            // The engine, which holds the bell, outlives its listeners; without it nothing will come any more.
            Self::Lite(bell) => match bell.changed().await {
                Ok(()) => Ok(()),
                Err(_) => std::future::pending().await,
            },
        }
    }

    /// Gives the connection up; the next wait makes another. For when it seems to be dead without knowing it.
    pub(crate) fn renew(&mut self) {
        if let Self::Pg { open, .. } = self {
            *open = None;
        }
    }
}

async fn listen(options: &PgConnectOptions) -> Result<PgListener, sqlx::Error> {
    // sqlx listens by a pool only; this one is for the single connection that it holds.
    let pool = PgPoolOptions::new()
        .max_connections(1)
        .max_lifetime(None)
        .idle_timeout(None)
        .acquire_timeout(CONNECT_TIMEOUT)
        .connect_lazy_with(options.clone());
    let mut listener = PgListener::connect_with(&pool).await?;
    listener.ignore_pool_close_event(true);
    listener.listen(CHANNEL).await?;
    Ok(listener)
}
