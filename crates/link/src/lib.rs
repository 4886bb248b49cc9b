//! The control link: how a replica talks to a control plane.
//!
//! [`ControlLink`] is the whole conversation in the product's own types. A control plane implements it once; the embedded
//! gateway calls that implementation directly, and a standalone replica calls it through [`client::GrpcLink`], which speaks
//! gRPC (`lychgate.link.v1`) to [`server`]. The data plane can't tell the two apart.
//!
//! Not here: what a control plane answers (crate `control`) and what a replica does with it (crate `gateway`).

mod link;
mod version;

pub use link::{
    Attachment, Authorization, CloseReason, Configuration, ControlLink, DenyReason, Down, Heartbeat, Hello, LinkError,
    ProviderConfig, ProviderKeyConfig, Receipt, RefusalReason, Rejected,
};
pub use version::{PROTOCOL, ProtocolVersion, VersionRefusal};
