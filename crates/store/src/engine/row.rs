//! One row of an answer, from either engine, read by column name.

use super::failure;
use super::value::Moment;
use crate::error::StoreError;
use lychgate_types::Timestamp;
use lychgate_types::policy::PolicyChange;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::types::Json;
use sqlx::{Decode, Postgres, Row as _, Sqlite, Type};
use std::collections::BTreeMap;
use std::str::FromStr;
use uuid::Uuid;

/// One row.
pub(crate) enum Row {
    Pg(PgRow),
    Lite(SqliteRow),
}

impl Row {
    fn get<T>(&self, column: &str) -> Result<T, StoreError>
    where
        T: for<'r> Decode<'r, Postgres> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + Type<Sqlite>,
    {
        match self {
            Self::Pg(row) => row.try_get(column).map_err(failure::plain),
            Self::Lite(row) => row.try_get(column).map_err(failure::plain),
        }
    }

    fn optional<T>(&self, column: &str) -> Result<Option<T>, StoreError>
    where
        T: for<'r> Decode<'r, Postgres> + Type<Postgres> + for<'r> Decode<'r, Sqlite> + Type<Sqlite>,
    {
        match self {
            Self::Pg(row) => row.try_get(column).map_err(failure::plain),
            Self::Lite(row) => row.try_get(column).map_err(failure::plain),
        }
    }

    /// An id of any kind.
    pub(crate) fn id<T: lychgate_types::Id>(&self, column: &str) -> Result<T, StoreError> {
        self.get::<Uuid>(column).map(T::from_uuid)
    }

    /// An id of any kind, or none.
    pub(crate) fn opt_id<T: lychgate_types::Id>(&self, column: &str) -> Result<Option<T>, StoreError> {
        Ok(self.optional::<Uuid>(column)?.map(T::from_uuid))
    }

    /// A UUID that is no id of ours.
    pub(crate) fn uuid(&self, column: &str) -> Result<Uuid, StoreError> {
        self.get(column)
    }

    /// A UUID that may be an id of several kinds, or none.
    pub(crate) fn opt_uuid(&self, column: &str) -> Result<Option<Uuid>, StoreError> {
        self.optional(column)
    }

    /// A text.
    pub(crate) fn text(&self, column: &str) -> Result<String, StoreError> {
        self.get(column)
    }

    /// A text, or none.
    pub(crate) fn opt_text(&self, column: &str) -> Result<Option<String>, StoreError> {
        self.optional(column)
    }

    /// A text that stands for a value of a closed set.
    pub(crate) fn parsed<T: FromStr>(&self, column: &str) -> Result<T, StoreError>
    where
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        self.text(column)?.parse().map_err(failure::foreign)
    }

    /// A whole number.
    pub(crate) fn int(&self, column: &str) -> Result<i64, StoreError> {
        self.get(column)
    }

    /// A whole number, or none.
    pub(crate) fn opt_int(&self, column: &str) -> Result<Option<i64>, StoreError> {
        self.optional(column)
    }

    /// A truth.
    pub(crate) fn bool(&self, column: &str) -> Result<bool, StoreError> {
        self.get(column)
    }

    /// Bytes.
    pub(crate) fn bytes(&self, column: &str) -> Result<Vec<u8>, StoreError> {
        self.get(column)
    }

    /// Bytes, or none.
    pub(crate) fn opt_bytes(&self, column: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.optional(column)
    }

    /// A time.
    pub(crate) fn time(&self, column: &str) -> Result<Timestamp, StoreError> {
        self.get::<Moment>(column).map(Moment::time)
    }

    /// A time, or none.
    pub(crate) fn opt_time(&self, column: &str) -> Result<Option<Timestamp>, StoreError> {
        Ok(self.optional::<Moment>(column)?.map(Moment::time))
    }

    /// Labels, kept as JSON.
    pub(crate) fn labels(&self, column: &str) -> Result<BTreeMap<String, String>, StoreError> {
        self.get::<Json<_>>(column).map(|Json(labels)| labels)
    }

    /// What is set of a policy, kept as JSON.
    pub(crate) fn policy(&self, column: &str) -> Result<PolicyChange, StoreError> {
        self.get::<Json<_>>(column).map(|Json(policy)| policy)
    }

    /// A list of texts that each stand for a value, kept as JSON, or none.
    pub(crate) fn opt_list<T: FromStr>(&self, column: &str) -> Result<Option<Vec<T>>, StoreError>
    where
        T::Err: std::error::Error + Send + Sync + 'static,
    {
        let Some(Json(texts)) = self.optional::<Json<Vec<String>>>(column)? else {
            return Ok(None);
        };
        let values: Result<_, _> = texts
            .iter()
            .map(|text| text.parse().map_err(failure::foreign))
            .collect();
        values.map(Some)
    }

    /// Counters by name, kept as JSON.
    pub(crate) fn counters(&self, column: &str) -> Result<BTreeMap<String, i64>, StoreError> {
        self.get::<Json<_>>(column).map(|Json(counters)| counters)
    }
}
