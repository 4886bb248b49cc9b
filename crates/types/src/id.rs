//! Typed ids. All are UUIDv7, made by the application ([`crate::Ambient::new_id`]), so they sort by time of making.

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

/// Text that is not an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not an id: an id is a UUID such as 0192d3c4-5b6a-7c8d-9e0f-112233445566")]
pub struct IdError;

/// What all id types share.
pub trait Id: Copy {
    /// Wraps a UUID read from the database or the wire.
    fn from_uuid(uuid: Uuid) -> Self;
    /// The UUID itself, for binding and encoding.
    fn as_uuid(self) -> Uuid;
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => { $(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID read from the database or the wire.
            pub const fn from_uuid(uuid: Uuid) -> Self { Self(uuid) }
            /// The UUID itself, for binding and encoding.
            pub const fn as_uuid(self) -> Uuid { self.0 }
        }

        impl Id for $name {
            fn from_uuid(uuid: Uuid) -> Self { Self(uuid) }
            fn as_uuid(self) -> Uuid { self.0 }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result { self.0.fmt(f) }
        }

        impl std::str::FromStr for $name {
            type Err = IdError;
            fn from_str(text: &str) -> Result<Self, IdError> {
                // Only the hyphenated form: `Uuid` itself would also take braces and URNs.
                if text.len() != 36 { return Err(IdError); }
                Uuid::try_parse(text).map(Self).map_err(|_| IdError)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> { s.collect_str(&self.0) }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(d: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<str>::deserialize(d)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )* };
}

ids! {
    /// A user.
    UserId
    /// A user token.
    TokenId
    /// A gateway key.
    GatewayKeyId
    /// A provider.
    ProviderId
    /// One of a provider's keys.
    ProviderKeyId
    /// A route: targets and fallbacks for a provider's models.
    RouteId
    /// One AI request seen by the gateway.
    InterceptionId
    /// One data-plane process, from start to end.
    ReplicaId
    /// One attachment of a replica, from opening to end.
    AttachmentId
    /// One control-plane process, from start to end.
    ControlPlaneId
    /// An entry of the audit log.
    AuditEntryId
    /// One request to the API; names it in answers, logs and the audit log.
    RequestId
}
