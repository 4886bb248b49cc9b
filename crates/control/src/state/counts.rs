//! Counters for the metrics; other metrics are read from existing state (`metrics`).

use http::StatusCode;
use lychgate_telemetry::metrics::labels::{AuthenticationFailure, Ingested, StatusClass};
use lychgate_telemetry::metrics::{Counter, Tally};
use std::sync::atomic::AtomicBool;

/// The counters of one control plane, except those in `FailedAuth` and `Attachments`.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Requests to the API.
    pub(crate) api: Tally<StatusClass>,
    /// Callers of the API who were not authenticated.
    pub(crate) strangers: Tally<AuthenticationFailure>,
    /// Calls over the control link that failed inside.
    pub(crate) link_calls_failed: Counter,
    /// Records.
    pub(crate) ingested: Tally<Ingested>,
    /// Batches of them taken in.
    pub(crate) batches: Counter,
    /// Times that listening for changes failed.
    pub(crate) feed_losses: Counter,
    /// Whether it fails at present.
    pub(crate) feed_polling: AtomicBool,
}

/// A status by its first digit.
pub(crate) fn class(status: StatusCode) -> StatusClass {
    match status.as_u16() {
        ..=199 => StatusClass::Informational,
        200..=299 => StatusClass::Success,
        300..=399 => StatusClass::Redirection,
        400..=499 => StatusClass::ClientError,
        500.. => StatusClass::ServerError,
    }
}
