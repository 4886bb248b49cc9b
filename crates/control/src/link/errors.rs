//! What a replica is told when the control plane fails: a request id that identifies the failure in the log, and nothing else.

use crate::state::App;
use lychgate_authz::Caller;
use lychgate_link::LinkError;
use lychgate_store::StoreError;
use lychgate_telemetry::error::chain;
use lychgate_types::RequestId;

/// Logs a failure of the store. If the database does not answer, another control plane may do better; that is logged once, by
/// the database's own watch.
pub(crate) fn store_failed(app: &App, caller: &Caller, error: &StoreError) -> LinkError {
    match error {
        StoreError::Unavailable => LinkError::Unreachable(error.to_string()),
        StoreError::Lost(_) | StoreError::NotWritable(_) => {
            tracing::warn!(error = %chain(error), "the database failed during a call over the control link");
            LinkError::Unreachable(error.to_string())
        }
        _ => internal(app, caller, error),
    }
}

/// Logs an internal error.
pub(crate) fn internal(app: &App, caller: &Caller, error: &(dyn std::error::Error + 'static)) -> LinkError {
    app.counts.link_calls_failed.count();
    let request_id = caller.request_id.as_ref().map(RequestId::to_string).unwrap_or_default();
    tracing::error!(request_id, error = %chain(error), "a call over the control link failed");
    LinkError::Internal { request_id }
}
