//! Rows of values turned into columns, each one array for PostgreSQL.

use super::value::{Args, Moment, Value};
use lychgate_types::policy::PolicyChange;
use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgHasArrayType, PgTypeInfo};
use sqlx::types::Json;
use sqlx::{Postgres, Type};
use std::collections::BTreeMap;
use uuid::Uuid;

macro_rules! columns {
    ($($variant:ident($type:ty) $value:pat => $out:expr;)*) => {
        /// The values of one column.
        pub(super) enum Column { $($variant(Vec<$type>),)* }

        impl Column {
            /// An empty column for values like this one.
            fn like(value: &Value, rows: usize) -> Self {
                match value { $(Value::$variant(_) => Self::$variant(Vec::with_capacity(rows)),)* }
            }

            /// Whether the value is of this column's type; else it is not taken.
            fn push(&mut self, value: Value) -> bool {
                match (self, value) {
                    $((Self::$variant(column), Value::$variant($value)) => column.push($out),)*
                    _ => return false,
                }
                true
            }
        }

        impl Type<Postgres> for Column {
            /// Never asked: `produces` knows better.
            fn type_info() -> PgTypeInfo { <Vec<String> as Type<Postgres>>::type_info() }
        }

        impl<'q> Encode<'q, Postgres> for Column {
            fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
                match self { $(Self::$variant(values) => Encode::<Postgres>::encode_by_ref(values, buffer),)* }
            }
            fn produces(&self) -> Option<PgTypeInfo> {
                Some(match self { $(Self::$variant(_) => <Vec<$type> as Type<Postgres>>::type_info(),)* })
            }
        }
    };
}
columns! {
    Uuid(Option<Uuid>) v => v;
    Text(Option<String>) v => v;
    Int(Option<i64>) v => v;
    Bool(bool) v => v;
    Bytes(Option<Vec<u8>>) v => v;
    Time(Option<Moment>) v => v;
    Counters(Json<BTreeMap<String, i64>>) v => v;
    Policy(Json<PolicyChange>) v => v;
    Texts(Option<Json<Vec<String>>>) v => v;
    Labels(Json<BTreeMap<String, String>>) v => v;
}

impl PgHasArrayType for Moment {
    fn array_type_info() -> PgTypeInfo {
        <time::OffsetDateTime as PgHasArrayType>::array_type_info()
    }
}

/// The columns of these rows, each `width` values wide.
pub(super) fn of(rows: Vec<Args>, width: usize) -> Result<Vec<Column>, sqlx::Error> {
    let count = rows.len();
    let mut columns: Vec<Column> = match rows.first() {
        Some(first) => first.iter().map(|value| Column::like(value, count)).collect(),
        None => Vec::new(),
    };
    for row in rows {
        let fits = row.len() == width;
        if !fits || !columns.iter_mut().zip(row).all(|(column, value)| column.push(value)) {
            return Err(sqlx::Error::Encode(
                "the rows of a statement differ in their types".into(),
            ));
        }
    }
    Ok(columns)
}

#[cfg(test)]
mod tests {
    use super::super::args;
    use super::*;

    #[test]
    fn rows_become_columns_and_only_rows_of_one_kind() {
        let columns = of(vec![args!["a", 1i64], args!["b", None::<i64>]], 2).unwrap();
        let [Column::Text(texts), Column::Int(numbers)] = columns.as_slice() else {
            panic!()
        };
        assert_eq!(texts, &[Some("a".to_owned()), Some("b".to_owned())]);
        assert_eq!(numbers, &[Some(1), None]);
        assert!(of(vec![args!["a", 1i64], args![1i64, "a"]], 2).is_err());
        assert!(of(vec![args!["a", 1i64], args!["a"]], 2).is_err());
    }
}
