//! Keyset pages: a page starts after the last row of the one before, named by its time and id.

use lychgate_types::Timestamp;
use uuid::Uuid;

/// The place after a row. Its text form is opaque to clients: 48 hexadecimal digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cursor {
    /// The row's time in the listing's order.
    pub at: Timestamp,
    /// The row's id, which breaks ties.
    pub id: Uuid,
}

/// Text that is not a cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a cursor: give the `next` of the page before, unchanged")]
pub struct CursorError;

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}{}", self.at.as_micros(), self.id.simple())
    }
}

impl std::str::FromStr for Cursor {
    type Err = CursorError;
    fn from_str(text: &str) -> Result<Self, CursorError> {
        if text.len() != 48 || !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(CursorError);
        }
        let at = u64::from_str_radix(&text[..16], 16).map_err(|_| CursorError)?;
        let id = Uuid::try_parse(&text[16..]).map_err(|_| CursorError)?;
        Ok(Self {
            at: Timestamp::from_micros(at.cast_signed()),
            id,
        })
    }
}

/// Which part of a listing is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Page {
    /// At most so many rows; callers check 1 to 200.
    pub limit: u32,
    /// Start after this place; `None` for the first page.
    pub after: Option<Cursor>,
}

impl Page {
    /// The first page.
    pub const fn first(limit: u32) -> Self {
        Self { limit, after: None }
    }

    /// What a query's LIMIT is: one more row than wanted, to see whether there is a next page.
    pub(crate) fn fetch(self) -> i64 {
        i64::from(self.limit.max(1)) + 1
    }
}

/// One page of things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listing<T> {
    /// The rows.
    pub items: Vec<T>,
    /// Where the next page starts; `None` on the last one.
    pub next: Option<Cursor>,
}

impl<T> Listing<T> {
    /// Cuts the one row too many off.
    pub(crate) fn cut(mut items: Vec<T>, page: Page, cursor: impl Fn(&T) -> Cursor) -> Self {
        let limit = page.limit.max(1) as usize;
        let more = items.len() > limit;
        items.truncate(limit);
        let next = if more { items.last().map(cursor) } else { None };
        Self { items, next }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_survives_its_text_and_nothing_else_is_one() {
        for micros in [0, 1, -1, i64::MAX, i64::MIN] {
            let cursor = Cursor {
                at: Timestamp::from_micros(micros),
                id: Uuid::from_u128(7),
            };
            assert_eq!(cursor.to_string().parse::<Cursor>().unwrap(), cursor);
        }
        for bad in [
            "",
            "x",
            &"g".repeat(48),
            &"0".repeat(47),
            &"é".repeat(24),
            &format!("+{}", "0".repeat(47)),
        ] {
            assert!(bad.parse::<Cursor>().is_err(), "{bad:?}");
        }
    }
}
