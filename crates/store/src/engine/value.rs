//! What is bound to a statement: one enum, encoded for either engine.

use lychgate_types::policy::PolicyChange;
use lychgate_types::secret::SecretHash;
use lychgate_types::{
    AttachmentId, AuditEntryId, ControlPlaneId, GatewayKeyId, InterceptionId, ProviderId, ProviderKeyId, ReplicaId,
    RequestId, RouteId, Timestamp, TokenId, UserId,
};
use sqlx::encode::{Encode, IsNull};
use sqlx::error::BoxDynError;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo};
use sqlx::sqlite::{SqliteArgumentsBuffer, SqliteTypeInfo};
use sqlx::types::Json;
use sqlx::{Postgres, Sqlite, Type};
use std::collections::BTreeMap;
use uuid::Uuid;

/// The values of one statement, in the order of their numbers.
pub(crate) type Args = Vec<Value>;

/// The values of one statement.
macro_rules! args {
    ($($value:expr),* $(,)?) => { vec![$($crate::engine::Value::from($value)),*] };
}
pub(crate) use args;

/// One value. Even an absent one knows its type: PostgreSQL wants it. Without `Debug`, since it may be a hash.
#[derive(Clone)]
pub(crate) enum Value {
    Uuid(Option<Uuid>),
    Text(Option<String>),
    Int(Option<i64>),
    Bool(bool),
    Bytes(Option<Vec<u8>>),
    Time(Option<Moment>),
    Counters(Json<BTreeMap<String, i64>>),
    Policy(Json<PolicyChange>),
    Texts(Option<Json<Vec<String>>>),
    Labels(Json<BTreeMap<String, String>>),
}

/// A [`Timestamp`] on its way to or from a database: `timestamptz` in PostgreSQL, microseconds since 1970 in SQLite. Times
/// outside the years 1 to 9999, which the two would treat differently, are moved to the nearest end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(i64);

/// From 1970 to 2000, where PostgreSQL counts from.
const POSTGRES_EPOCH_MICROS: i64 = 946_684_800_000_000;

impl Moment {
    /// The first moment there is.
    pub(crate) const MIN: Self = Self(-62_135_596_800_000_000);
    /// The last moment there is.
    pub(crate) const MAX: Self = Self(253_402_300_799_999_999);

    /// This time, or the nearest that a database can hold.
    pub(crate) fn at(time: Timestamp) -> Self {
        Self(time.as_micros().clamp(Self::MIN.0, Self::MAX.0))
    }

    /// As the product's own type.
    pub(crate) const fn time(self) -> Timestamp {
        Timestamp::from_micros(self.0)
    }
}

impl Type<Postgres> for Moment {
    fn type_info() -> PgTypeInfo {
        <time::OffsetDateTime as Type<Postgres>>::type_info()
    }
}
impl Encode<'_, Postgres> for Moment {
    fn encode_by_ref(&self, buffer: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Postgres>::encode(self.0 - POSTGRES_EPOCH_MICROS, buffer)
    }
}
impl<'r> sqlx::Decode<'r, Postgres> for Moment {
    fn decode(value: sqlx::postgres::PgValueRef<'r>) -> Result<Self, BoxDynError> {
        // Prepared statements, the only ones used here, answer in the binary form.
        let micros = <i64 as sqlx::Decode<Postgres>>::decode(value)?;
        Ok(Self(micros.saturating_add(POSTGRES_EPOCH_MICROS)))
    }
}
impl Type<Sqlite> for Moment {
    fn type_info() -> SqliteTypeInfo {
        <i64 as Type<Sqlite>>::type_info()
    }
    fn compatible(ty: &SqliteTypeInfo) -> bool {
        <i64 as Type<Sqlite>>::compatible(ty)
    }
}
impl Encode<'_, Sqlite> for Moment {
    fn encode_by_ref(&self, buffer: &mut SqliteArgumentsBuffer) -> Result<IsNull, BoxDynError> {
        Encode::<Sqlite>::encode(self.0, buffer)
    }
}
impl<'r> sqlx::Decode<'r, Sqlite> for Moment {
    fn decode(value: sqlx::sqlite::SqliteValueRef<'r>) -> Result<Self, BoxDynError> {
        <i64 as sqlx::Decode<Sqlite>>::decode(value).map(Self)
    }
}

macro_rules! value_for {
    ($db:ty, $buffer:ty, $info:ty) => {
        impl Type<$db> for Value {
            /// Never asked: `produces` knows better.
            fn type_info() -> $info {
                <String as Type<$db>>::type_info()
            }
        }
        impl<'q> Encode<'q, $db> for Value {
            fn encode(self, buffer: &mut $buffer) -> Result<IsNull, BoxDynError> {
                match self {
                    Self::Uuid(v) => Encode::<$db>::encode(v, buffer),
                    Self::Text(v) => Encode::<$db>::encode(v, buffer),
                    Self::Int(v) => Encode::<$db>::encode(v, buffer),
                    Self::Bool(v) => Encode::<$db>::encode(v, buffer),
                    Self::Bytes(v) => Encode::<$db>::encode(v, buffer),
                    Self::Time(v) => Encode::<$db>::encode(v, buffer),
                    Self::Counters(v) => Encode::<$db>::encode(v, buffer),
                    Self::Policy(v) => Encode::<$db>::encode(v, buffer),
                    Self::Texts(v) => Encode::<$db>::encode(v, buffer),
                    Self::Labels(v) => Encode::<$db>::encode(v, buffer),
                }
            }
            fn encode_by_ref(&self, buffer: &mut $buffer) -> Result<IsNull, BoxDynError> {
                Encode::<$db>::encode(self.clone(), buffer)
            }
            fn produces(&self) -> Option<$info> {
                Some(match self {
                    Self::Uuid(_) => <Uuid as Type<$db>>::type_info(),
                    Self::Text(_) => <String as Type<$db>>::type_info(),
                    Self::Int(_) => <i64 as Type<$db>>::type_info(),
                    Self::Bool(_) => <bool as Type<$db>>::type_info(),
                    Self::Bytes(_) => <Vec<u8> as Type<$db>>::type_info(),
                    Self::Time(_) => <Moment as Type<$db>>::type_info(),
                    Self::Counters(_) => <Json<BTreeMap<String, i64>> as Type<$db>>::type_info(),
                    Self::Policy(_) => <Json<PolicyChange> as Type<$db>>::type_info(),
                    Self::Texts(_) => <Json<Vec<String>> as Type<$db>>::type_info(),
                    Self::Labels(_) => <Json<BTreeMap<String, String>> as Type<$db>>::type_info(),
                })
            }
        }
    };
}
value_for!(Postgres, PgArgumentBuffer, PgTypeInfo);
value_for!(Sqlite, SqliteArgumentsBuffer, SqliteTypeInfo);

macro_rules! from {
    ($($type:ty => $variant:ident, $v:ident, $expr:expr;)*) => { $(
        impl From<$type> for Value { fn from($v: $type) -> Self { Self::$variant(Some($expr)) } }
        impl From<Option<$type>> for Value { fn from(v: Option<$type>) -> Self { Self::$variant(v.map(|$v| $expr)) } }
    )* };
}
from! {
    Uuid => Uuid, v, v;
    AttachmentId => Uuid, v, v.as_uuid();
    AuditEntryId => Uuid, v, v.as_uuid();
    ControlPlaneId => Uuid, v, v.as_uuid();
    GatewayKeyId => Uuid, v, v.as_uuid();
    InterceptionId => Uuid, v, v.as_uuid();
    ProviderId => Uuid, v, v.as_uuid();
    ProviderKeyId => Uuid, v, v.as_uuid();
    ReplicaId => Uuid, v, v.as_uuid();
    RequestId => Uuid, v, v.as_uuid();
    RouteId => Uuid, v, v.as_uuid();
    TokenId => Uuid, v, v.as_uuid();
    UserId => Uuid, v, v.as_uuid();
    String => Text, v, clean(v);
    &str => Text, v, clean(v.to_owned());
    i64 => Int, v, v;
    u32 => Int, v, i64::from(v);
    u16 => Int, v, i64::from(v);
    Timestamp => Time, v, Moment::at(v);
    Moment => Time, v, v;
}

impl From<bool> for Value {
    fn from(v: bool) -> Self {
        Self::Bool(v)
    }
}
impl From<Vec<u8>> for Value {
    fn from(v: Vec<u8>) -> Self {
        Self::Bytes(Some(v))
    }
}
impl From<Option<Vec<u8>>> for Value {
    fn from(v: Option<Vec<u8>>) -> Self {
        Self::Bytes(v)
    }
}
impl From<SecretHash> for Value {
    fn from(v: SecretHash) -> Self {
        Self::Bytes(Some(v.as_bytes().to_vec()))
    }
}
impl From<Option<SecretHash>> for Value {
    fn from(v: Option<SecretHash>) -> Self {
        Self::Bytes(v.map(|v| v.as_bytes().to_vec()))
    }
}
impl From<&[u8]> for Value {
    fn from(v: &[u8]) -> Self {
        Self::Bytes(Some(v.to_vec()))
    }
}
impl From<BTreeMap<String, i64>> for Value {
    fn from(v: BTreeMap<String, i64>) -> Self {
        Self::Counters(Json(v))
    }
}

impl From<BTreeMap<String, String>> for Value {
    fn from(v: BTreeMap<String, String>) -> Self {
        Self::Labels(Json(v))
    }
}

impl From<PolicyChange> for Value {
    fn from(v: PolicyChange) -> Self {
        Self::Policy(Json(v))
    }
}

impl From<Option<Vec<String>>> for Value {
    fn from(v: Option<Vec<String>>) -> Self {
        Self::Texts(v.map(Json))
    }
}

/// The text with each NUL, which PostgreSQL can't hold and SQLite stops reading at, replaced by U+FFFD.
pub(crate) fn clean(text: String) -> String {
    if text.contains('\0') {
        text.replace('\0', "\u{fffd}")
    } else {
        text
    }
}

/// At most so many characters from the beginning of the text.
pub(crate) fn cut(text: &str, characters: usize) -> &str {
    match text.char_indices().nth(characters) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cleaned_and_cut_at_characters() {
        assert_eq!(clean("a\0b".into()), "a\u{fffd}b");
        assert_eq!(cut("héé", 2), "hé");
        assert_eq!(cut("héé", 3), "héé");
        assert_eq!(cut("", 0), "");
    }

    #[test]
    fn times_stay_in_the_years_that_both_engines_hold() {
        assert_eq!(
            Moment::at(Timestamp::from_micros(i64::MAX)).time().to_string(),
            "9999-12-31T23:59:59.999999Z"
        );
        assert_eq!(
            Moment::at(Timestamp::from_micros(i64::MIN)).time().to_string(),
            "0001-01-01T00:00:00.000000Z"
        );
    }
}
