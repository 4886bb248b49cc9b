//! Many rows in one statement: several times faster than a statement a row, on both engines.
//!
//! PostgreSQL gets them column by column, as arrays: the same text whatever the number of rows, so it is parsed and planned
//! once per connection. SQLite, which has no arrays, gets a list of rows.

use super::{Args, Conn, Row, columns, failure};
use crate::error::StoreError;
use sqlx::{AssertSqlSafe, Postgres, QueryBuilder, Sqlite};

/// SQLite's limit on the number of values in one statement is 32,766.
const MAX_VALUES: usize = 30_000;
/// PostgreSQL's arrays have no such limit; this bounds what one statement holds in memory.
const MAX_ROWS: usize = 10_000;

/// A statement around a list of rows: `head VALUES (…), (…) tail`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bulk {
    /// Up to where the rows stand.
    pub(crate) head: &'static str,
    /// After the last row.
    pub(crate) tail: &'static str,
}

impl Bulk {
    /// Runs the statement as often as the number of rows makes necessary, and gives all answers. All rows have the same
    /// number of values, and the values of a column are of one type.
    pub(crate) async fn run(self, mut conn: Conn<'_>, rows: Vec<Args>) -> Result<Vec<Row>, StoreError> {
        let width = rows.first().map_or(1, Vec::len).max(1);
        let per_statement = match conn {
            Conn::Pg(..) => MAX_ROWS,
            Conn::Lite(_) => (MAX_VALUES / width).max(1),
        };
        let mut answers = Vec::new();
        let mut rows = rows.into_iter();
        loop {
            let chunk: Vec<Args> = rows.by_ref().take(per_statement).collect();
            if chunk.is_empty() {
                return Ok(answers);
            }
            match &mut conn {
                Conn::Pg(conn, reach) => {
                    let columns = columns::of(chunk, width).map_err(failure::plain)?;
                    let query = columns.into_iter().fold(
                        // Put together of texts of this program and numbers.
                        sqlx::query::<Postgres>(AssertSqlSafe(self.over_arrays(width))),
                        |query, column| query.bind(column),
                    );
                    let rows = reach
                        .during(query.fetch_all(&mut **conn))
                        .await?
                        .map_err(failure::postgres)?;
                    answers.extend(rows.into_iter().map(Row::Pg));
                }
                Conn::Lite(conn) => {
                    let mut query = self.over_values(chunk);
                    match query.build().persistent(false).fetch_all(&mut **conn).await {
                        Ok(rows) => answers.extend(rows.into_iter().map(Row::Lite)),
                        Err(error) => return Err(failure::sqlite(conn, error).await),
                    }
                }
            }
        }
    }

    /// `head SELECT UNNEST($1), UNNEST($2) tail`. Arrays of the same length go in step; in a FROM, PostgreSQL would first put
    /// each of them aside as a table of its own.
    fn over_arrays(self, width: usize) -> String {
        let columns: Vec<_> = (1..=width).map(|n| format!("UNNEST(${n})")).collect();
        format!("{}SELECT {}{}", self.head, columns.join(", "), self.tail)
    }

    fn over_values(self, rows: Vec<Args>) -> QueryBuilder<Sqlite> {
        let mut query = QueryBuilder::new(self.head);
        query.push_values(rows, |mut row, values| {
            for value in values {
                row.push_bind(value);
            }
        });
        query.push(self.tail);
        query
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_depends_on_the_number_of_columns_only() {
        let bulk = Bulk {
            head: "INSERT INTO t (a, b) ",
            tail: " RETURNING a",
        };
        assert_eq!(
            bulk.over_arrays(2),
            "INSERT INTO t (a, b) SELECT UNNEST($1), UNNEST($2) RETURNING a"
        );
    }
}
