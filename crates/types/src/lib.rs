//! The words every other crate speaks: ids, names, secrets, time, usage, interception records.
//!
//! *Architecture invariant:* this crate does no I/O and knows no runtime. The two doors to the outside, the wall clock and
//! the system's random source, each live in one file ([`clock`], [`random`]) and are handed in as [`Ambient`].

mod ambient;
pub mod backoff;
mod cidr;
pub mod clock;
mod content;
mod holder;
mod id;
pub mod interception;
pub mod json;
mod key_refusal;
mod key_tag;
pub mod limits;
mod name;
mod ownership;
pub mod policy;
pub mod provider;
pub mod random;
pub mod secret;
pub mod settings;
mod text_enum;
mod timestamp;
mod username;

pub use ambient::Ambient;
pub use cidr::{Cidr, CidrError};
pub use content::{Content, Opened};
pub use holder::Holder;
pub use id::{
    AttachmentId, AuditEntryId, ControlPlaneId, GatewayKeyId, Id, IdError, InterceptionId, ProviderId, ProviderKeyId,
    ReplicaId, RequestId, RouteId, TokenId, UserId,
};
pub use key_refusal::KeyRefusal;
pub use key_tag::KeyTag;
pub use name::{Name, NameError};
pub use ownership::{Ownership, StoredObject, UnfinishedInterception};
#[doc(hidden)]
pub use serde as __serde; // for `text_enum!`
pub use text_enum::{Texts, UnknownText};
pub use timestamp::{Timestamp, TimestampError};
pub use username::{Username, UsernameError};
