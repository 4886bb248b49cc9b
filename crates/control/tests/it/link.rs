//! The control link, as a replica sees it: gRPC over the control plane's own port.

mod attach;
mod authenticator;
mod authorize;
mod deliver;
mod key_bounds;
mod key_rotation;
mod resume;
mod several;
