//! The control link: how a replica talks to a control plane.
//!
//! [`ControlLink`] is the whole conversation in the product's own types. A control plane implements it once; the embedded
//! gateway calls that implementation directly, and a standalone replica calls it through [`client::GrpcLink`], which speaks
//! gRPC (`lychgate.link.v1`) to [`server`]. The data plane can't tell them apart.
//!
//! Not here: what a control plane answers (crate `control`) and what a replica does with it (crate `gateway`).

mod bounded;
pub mod client;
mod configuration;
mod convert;
mod error;
mod field;
#[allow(
    missing_docs,
    unreachable_pub,
    unused_qualifications,
    clippy::all,
    clippy::allow_attributes_without_reason,
    clippy::needless_pass_by_value,
    reason = "generated, and what the generator writes differs by version; tests/generated.rs holds it against the proto file"
)]
mod generated {
    include!("generated/lychgate.link.v1.rs");
}
pub mod limits;
mod link;
pub mod places;
mod record;
pub mod server;
mod version;

pub use configuration::{Configuration, ProviderConfig, ProviderKeyConfig, RouteConfig, RouteTarget};
pub use error::{LinkError, Refusal};
pub use field::BadMessage;
pub use link::{
    Attachment, Authorization, CloseReason, ControlLink, DenyReason, Down, Heartbeat, Hello, Message, Receipt, Rejected,
};
pub use record::EncodedRecord;
pub use version::{PROTOCOL, ProtocolVersion, VersionRefusal};

/// Goes with every call: the version of the protocol that the replica speaks, `1.4`.
const PROTOCOL_VERSION: &str = "lychgate-protocol";
/// Goes with every call: the secret of the replica's process, in hexadecimal digits. A replica's id belongs to whoever shows it.
const PROCESS: &str = "lychgate-process";
