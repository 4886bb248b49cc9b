//! Opening a database and bringing its schema up to date.

use crate::error::ConnectError;
use crate::url::DatabaseUrl;
use lychgate_types::Ambient;

/// The door. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Store {
    pub(crate) ambient: Ambient,
}

impl Store {
    /// Opens the database; a SQLite file that is not there is made, with mode 0600. The schema is left alone.
    pub async fn connect(url: &DatabaseUrl, ambient: Ambient) -> Result<Self, ConnectError> {
        todo!()
    }

    /// Brings the schema up to date, under a lock. Harmless when it is so already.
    pub async fn migrate(&self) -> Result<(), ConnectError> {
        todo!()
    }

    /// Waits for running statements and closes all connections.
    pub async fn close(&self) {
        todo!()
    }
}
