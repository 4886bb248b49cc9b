//! Whether PostgreSQL answers at all, found out by asking it over and over on a connection of its own, so that nobody waits for
//! a connection that can't come, or for a statement whose answer can't. SQLite always answers.

use super::Engine;
use super::failure::{is_gone, plain};
use crate::error::{Internal, StoreError};
use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection, PgConnection};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

const EVERY: Duration = Duration::from_millis(250);
/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(1);
/// So many waits in vain in a row mean that it does not answer; a single one may be a busy server's.
const IN_VAIN: u32 = 2;

/// Told by the one who watches, to all who wait for a connection.
#[derive(Clone, Debug)]
pub(crate) struct Reach(watch::Sender<bool>);

impl Default for Reach {
    fn default() -> Self {
        Self(watch::Sender::new(true))
    }
}

impl Reach {
    /// What `connection` gives, unless the database does not answer.
    pub(super) async fn within<T>(
        &self,
        connection: impl Future<Output = Result<T, sqlx::Error>>,
    ) -> Result<T, StoreError> {
        let mut answers = self.0.subscribe();
        tokio::select! {
            biased;
            held = connection => held.map_err(plain),
            Ok(_) = answers.wait_for(|answers| !answers) => Err(StoreError::Unavailable),
        }
    }

    /// What `statement` gives, unless the database stops answering meanwhile: it may have done it or not.
    pub(super) async fn during<T>(&self, statement: impl Future<Output = T>) -> Result<T, StoreError> {
        let mut answers = self.0.subscribe();
        tokio::select! {
            biased;
            done = statement => Ok(done),
            Ok(_) = answers.wait_for(|answers| !answers) => Err(StoreError::Lost(Internal(Box::new(Silent)))),
        }
    }

    /// Whether that is news.
    fn tell(&self, answers: bool) -> bool {
        self.0
            .send_if_modified(|known| std::mem::replace(known, answers) != answers)
    }
}

/// A statement whose answer nobody waits for any longer.
#[derive(Debug, thiserror::Error)]
#[error("the database does not answer")]
struct Silent;

impl Engine {
    /// Finds out whether the database answers, for ever; `news` is called with each change.
    pub(crate) async fn watch(&self, news: impl Fn(bool)) {
        let Self::Pg { pool, reach } = self else {
            return std::future::pending().await;
        };
        let (mut connection, mut in_vain) = (None, 0);
        loop {
            let options = pool.connect_options();
            let answers = match timeout(PATIENCE, ask(&mut connection, &options)).await {
                Ok(answer) => {
                    in_vain = 0;
                    !answer.is_err_and(|error| is_gone(&error))
                }
                Err(_) => {
                    // In the middle of a question, it is of no more use.
                    connection = None;
                    in_vain += 1;
                    in_vain < IN_VAIN && *reach.0.borrow()
                }
            };
            if reach.tell(answers) {
                news(answers);
            }
            sleep(EVERY).await;
        }
    }
}

async fn ask(connection: &mut Option<PgConnection>, options: &PgConnectOptions) -> Result<(), sqlx::Error> {
    if let Some(open) = connection
        && open.ping().await.is_ok()
    {
        return Ok(());
    }
    // That a connection is lost says little: whether there can be another one counts.
    *connection = None;
    *connection = Some(options.connect().await?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_is_told_at_once_and_who_need_not_wait_is_not_kept() {
        let reach = Reach::default();
        let waiting = reach.within(std::future::pending::<Result<(), _>>());
        let (told, ()) = tokio::join!(waiting, async { assert!(reach.tell(false)) });
        assert!(matches!(told, Err(StoreError::Unavailable)));
        assert!(matches!(reach.within(std::future::ready(Ok(1))).await, Ok(1)));
        assert!(reach.tell(true) && !reach.tell(true));
        assert_eq!(reach.during(std::future::ready(1)).await.unwrap(), 1);
        let under_way = reach.during(std::future::pending::<()>());
        let (lost, ()) = tokio::join!(under_way, async { assert!(reach.tell(false)) });
        assert!(matches!(lost, Err(StoreError::Lost(_))));
        let error = reach
            .within(std::future::ready(Err::<(), _>(sqlx::Error::PoolClosed)))
            .await;
        assert!(matches!(error, Err(StoreError::Internal(_))));
    }

    #[test]
    fn a_server_that_refuses_for_another_reason_is_there() {
        assert!(is_gone(
            &std::io::Error::from(std::io::ErrorKind::ConnectionRefused).into()
        ));
        assert!(!is_gone(&sqlx::Error::PoolTimedOut));
    }
}
