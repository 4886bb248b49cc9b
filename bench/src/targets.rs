//! What is under load: the scripted provider by itself, nginx, a bare relay, and Lychgate, each in processes of its own.

pub(crate) mod api;
pub(crate) mod bare;
pub(crate) mod deployment;
pub(crate) mod lychgate;
pub(crate) mod nginx;
pub(crate) mod provider;
pub(crate) mod target;
