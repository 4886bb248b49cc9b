//! One row that is written to find out whether anything can be. The time makes each write a real one: SQLite leaves a row alone
//! that stays as it is.

use crate::engine::{Conn, args};
use crate::error::StoreError;
use lychgate_types::Timestamp;

super::statements! {
    WRITE = "UPDATE write_checks SET checked_at = $1 WHERE id = 1";
}

pub(crate) async fn write(conn: Conn<'_>, at: Timestamp) -> Result<(), StoreError> {
    conn.execute(WRITE, args![at]).await.map(drop)
}
