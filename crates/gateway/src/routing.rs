//! Where a request may go: allowed paths, configured providers, and the routes for models.
//!
//! Not here: which candidate the next attempt takes (`exchange::selector`).

pub(crate) mod allow_list;
pub(crate) mod provider;
pub(crate) mod routes;
pub(crate) mod table;
pub(crate) mod usage_refusals;
