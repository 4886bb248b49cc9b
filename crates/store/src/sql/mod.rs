//! Every SQL text of the product, once, for both engines; private to this crate.
//!
//! A file per noun: its texts, and the functions that bind and read them. What both engines understand: numbered values,
//! absence asked for after the comparison that tells the type (`(x = $1 OR $1 IS NULL)`), `RETURNING`, `ON CONFLICT … DO
//! NOTHING`, row comparison, `CAST(SUM(…) AS BIGINT)`. Not here: `now()`, arrays, `ILIKE`, `FOR UPDATE`, a star in a list of
//! columns.

pub(crate) mod ai_gateway_keys;
pub(crate) mod audit;
pub(crate) mod changes;
pub(crate) mod idempotency;
pub(crate) mod interceptions;
pub(crate) mod master_key;
pub(crate) mod providers;
pub(crate) mod replicas;
pub(crate) mod routes;
pub(crate) mod tokens;
pub(crate) mod users;
pub(crate) mod write_checks;

use crate::engine::Moment;
use crate::page::Page;
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
fn containing(part: Option<&str>) -> Option<String> {
    let mut pattern = String::from("%");
    for character in part?.to_ascii_lowercase().chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    Some(pattern)
}

/// The place where an ascending keyset page starts: after the cursor, or at the very beginning.
fn ascending(page: Page) -> (Moment, Uuid) {
    page.after
        .map_or((Moment::MIN, Uuid::nil()), |cursor| (Moment::at(cursor.at), cursor.id))
}

/// The place where a descending keyset page starts.
fn descending(page: Page) -> (Moment, Uuid) {
    page.after
        .map_or((Moment::MAX, Uuid::max()), |cursor| (Moment::at(cursor.at), cursor.id))
}

#[cfg(test)]
mod tests;
