//! Whether the database can be written, found out by writing.
//!
//! Not here: whether it answers at all (`engine/reach`).

use crate::connect::Store;
use crate::error::StoreError;
use crate::sql::write_checks as sql;

impl Store {
    /// Writes a row that nothing reads. Every call costs a flush to the disk, so ask seldom.
    ///
    /// # Errors
    /// [`StoreError::NotWritable`] where the disk is full, read-only or failing.
    pub async fn check_write(&self) -> Result<(), StoreError> {
        let mut held = self.engine.write().await?;
        sql::write(held.conn(), self.now()).await
    }
}
