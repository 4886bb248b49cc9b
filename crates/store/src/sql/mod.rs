//! Every SQL text of the product, once, for both engines; private to this crate.
//!
//! A file per noun: its texts, and the functions that bind and read them. What both engines understand: numbered values,
//! `RETURNING`, `ON CONFLICT … DO NOTHING`, row comparison, `CAST(SUM(…) AS BIGINT)`. Filters that may be absent are parts of
//! an [`crate::engine::Assembled`] statement. Not here: `now()`, arrays, `ILIKE`, `FOR UPDATE`, a star in a list of columns,
//! `x = $1 OR $1 IS NULL`, which no index serves.

pub(crate) mod ai_gateway_keys;
pub(crate) mod audit;
pub(crate) mod changes;
pub(crate) mod idempotency;
pub(crate) mod interceptions;
pub(crate) mod master_key;
pub(crate) mod providers;
pub(crate) mod replicas;
pub(crate) mod routes;
pub(crate) mod stored_objects;
pub(crate) mod tokens;
pub(crate) mod users;
pub(crate) mod write_checks;

use crate::engine::{Moment, Row};
use crate::error::StoreError;
use crate::page::Page;
use lychgate_types::Timestamp;
use uuid::Uuid;

/// Declares a file's SQL texts, and their list for the tests below.
macro_rules! statements {
    ($($(#[$doc:meta])* $name:ident = $text:expr;)*) => {
        $($(#[$doc])* const $name: &str = $text;)*
        #[cfg(test)]
        pub(in crate::sql) const STATEMENTS: &[(&str, &str)] = &[$((concat!(module_path!(), "::", stringify!($name)), $name),)*];
    };
}
use statements;

/// A LIKE pattern that finds `part` anywhere in a name.
fn containing(part: &str) -> String {
    let mut pattern = String::from("%");
    for character in part.to_ascii_lowercase().chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// The place where an ascending keyset page starts: after the cursor, or at the very beginning.
fn ascending(page: Page) -> (Moment, Uuid) {
    page.after
        .map_or((Moment::MIN, Uuid::nil()), |cursor| (Moment::at(cursor.at), cursor.id))
}

/// The place where a descending keyset page starts: after the cursor or at the end of the time that is asked for, whichever is
/// earlier. One bound for both, since an index is entered at one.
fn descending(page: Page, until: Option<Timestamp>) -> (Moment, Uuid) {
    let cursor = page.after.map(|cursor| (Moment::at(cursor.at), cursor.id));
    let until = until.map(|until| (Moment::at(until), Uuid::nil()));
    cursor
        .into_iter()
        .chain(until)
        .min()
        .unwrap_or((Moment::MAX, Uuid::max()))
}

/// The mark of a credential, as `mark`: hashes have 32 bytes, as the schema sees to.
fn mark(row: &Row) -> Result<u64, StoreError> {
    let mark = row.bytes("mark")?;
    Ok(mark.first_chunk().map_or(0, |mark| u64::from_be_bytes(*mark)))
}

#[cfg(test)]
mod tests;
