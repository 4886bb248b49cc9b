//! Metrics: which there are ([`Metric`]), what their labels may say ([`labels`]), what counts them ([`Counter`], [`Tally`],
//! [`Histogram`]), and how they are written down for Prometheus ([`Page`]).
//!
//! Most numbers are kept anyway by the code that they are about, and are read when somebody asks; what has to be counted is
//! counted in atomics that their owner holds, so counting looks nothing up, allocates nothing and locks nothing.
//!
//! Why not a crate: what those on crates.io are made for is a registry that hands out series by label values which come at run
//! time. Here all names and labels are known when the program is built, and nothing but a [`Label`] can be a label's value, so
//! what a registry would be left to do is the text format, which is small. `metrics` looks up the series at each update,
//! `prometheus-client` keeps a second copy of every number that is read when asked for, and neither knows its names before they
//! are used, from which the committed list (`metrics.md`) is made.
//!
//! Not here: serving them, and what is counted where.

mod count;
pub mod labels;
mod link_trouble;
mod list;
mod page;
mod process;
mod refused;

pub use count::{Counter, Histogram, Tally};
pub use link_trouble::LinkTrouble;
pub use list::{LabelName, Metric, Part, Type};
pub use page::{CONTENT_TYPE, Label, Page, Samples};
pub use process::process;
