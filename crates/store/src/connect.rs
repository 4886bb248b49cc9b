//! Opening a database and bringing its schema up to date.

use crate::denials::Denials;
use crate::engine::{Engine, schema_id as schema_of_this_version};
use crate::error::ConnectError;
use crate::url::DatabaseUrl;
use lychgate_types::{Ambient, Timestamp};
use std::sync::Arc;

/// The door. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) engine: Engine,
    pub(crate) ambient: Ambient,
    pub(crate) denials: Arc<Denials>,
    url: DatabaseUrl,
}

/// Names the state of the schema that [`Store::migrate`] brings about; another for every migration. Test benches name their
/// template databases by it.
pub fn schema_id() -> String {
    schema_of_this_version()
}

impl Store {
    /// Opens the database; a SQLite file that is not there is made, with mode 0600. The schema is not changed.
    pub async fn connect(url: &DatabaseUrl, ambient: Ambient) -> Result<Self, ConnectError> {
        Ok(Self {
            engine: Engine::open(url).await?,
            ambient,
            denials: Arc::default(),
            url: url.clone(),
        })
    }

    /// Brings the schema up to date, under a lock. Harmless when it is so already.
    pub async fn migrate(&self) -> Result<(), ConnectError> {
        self.engine.migrate(&self.url).await
    }

    /// Finds out whether the database answers, for ever; `news` is called with each change. While it does not, everything else here fails at once with
    /// [`StoreError::Unavailable`](crate::StoreError::Unavailable) instead of waiting for it.
    pub async fn watch(&self, news: impl Fn(bool)) {
        self.engine.watch(news).await;
    }

    /// Waits for running statements and closes all connections.
    pub async fn close(&self) {
        self.engine.close().await;
    }

    /// An id for a row that nothing outside names.
    pub(crate) fn new_uuid(&self) -> uuid::Uuid {
        self.ambient.new_id::<lychgate_types::RequestId>().as_uuid()
    }

    pub(crate) fn now(&self) -> Timestamp {
        self.ambient.now()
    }
}
