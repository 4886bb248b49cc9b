//! A statement put together of fixed parts. What a filter does not ask for is left out, so that the rest can be served by an
//! index: an engine that plans once for any value can't know that `x = $1 OR $1 IS NULL` means nothing.
//!
//! Not here: any text. What comes from outside is always bound.

use super::{Args, Conn, Row, Value};
use crate::error::StoreError;
use sqlx::AssertSqlSafe;

/// Parts, and the values of those so far.
pub(crate) struct Assembled {
    pub(crate) text: String,
    pub(crate) values: Args,
}

impl Assembled {
    /// Begins with a text that numbers its values itself: `$1`, `$2`.
    pub(crate) fn new(start: &'static str, values: Args) -> Self {
        Self {
            text: start.to_owned(),
            values,
        }
    }

    /// A part in which each `?` stands for the next of these values.
    pub(crate) fn part(mut self, part: &'static str, values: Args) -> Self {
        let mut values = values.into_iter();
        for (at, piece) in part.split('?').enumerate() {
            if at > 0 {
                self.values.extend(values.next());
                self.text.push_str(&format!("${}", self.values.len()));
            }
            self.text.push_str(piece);
        }
        self
    }

    /// A part with one value, if there is one.
    pub(crate) fn given<V: Into<Value>>(self, part: &'static str, value: Option<V>) -> Self {
        match value {
            Some(value) => self.part(part, vec![value.into()]),
            None => self,
        }
    }

    /// Runs it and gives its rows.
    pub(crate) async fn all(self, conn: Conn<'_>) -> Result<Vec<Row>, StoreError> {
        // Put together of texts of this program and numbers.
        conn.all(AssertSqlSafe(self.text), self.values).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::args;

    #[test]
    fn values_are_numbered_across_parts_and_absent_parts_leave_no_trace() {
        let statement = Assembled::new("SELECT a FROM t WHERE a > $1", args![1_i64])
            .given(" AND b = ?", None::<i64>)
            .part(" AND (c, d) < (?, ?)", args!["c", "d"])
            .given(" LIMIT ?", Some(7_i64));
        assert_eq!(
            statement.text,
            "SELECT a FROM t WHERE a > $1 AND (c, d) < ($2, $3) LIMIT $4"
        );
        assert_eq!(statement.values.len(), 4);
    }
}
