//! Writes refused attempts of replicas to the audit log, in aggregate, and what users were refused too often to be told one by one.
//! What can't be written is counted on, and tried again; also at the end.

use super::stop_requested;
use crate::audit;
use crate::state::App;
use crate::state::failed_auth::Failure;
use lychgate_authz::Caller;
use lychgate_store::{AuditInsert, StoreError};
use lychgate_telemetry::error::chain;
use std::time::Duration;
use tokio::sync::watch;

/// How long refused attempts are gathered.
const PERIOD: Duration = Duration::from_secs(10);
/// Most entries for one period; the rest is summed up in one more.
const ENTRIES: usize = 10;

pub(super) async fn run(app: App, mut stopped: watch::Receiver<bool>) {
    let mut period = tokio::time::interval(PERIOD);
    loop {
        tokio::select! {
            _ = period.tick() => {
                refused(&app).await;
                denied(&app, false).await;
            }
            () = stop_requested(&mut stopped) => break,
        }
    }
    refused(&app).await;
    denied(&app, true).await;
}

/// What users were refused more often than the log tells one by one.
async fn denied(app: &App, all: bool) {
    if let Err(error) = app.store.audit_denied_flush(&Caller::control_plane(), all).await {
        tracing::error!(error = %chain(&error), "audit entries about refused changes could not be written");
    }
}

async fn refused(app: &App) {
    let mut report = app.failed_auth.take_report();
    let rest = report.split_off(report.len().min(ENTRIES));
    let rest: u64 = rest.iter().map(|(_, count)| count).sum();
    if rest > 0 {
        report.push((Failure::VARIOUS, rest));
    }
    let mut report = report.into_iter();
    while let Some((failure, count)) = report.next() {
        if let Err(error) = write(app, audit::refused(failure.clone(), count)).await {
            tracing::error!(error = %chain(&error), "audit entries about refused replicas could not be written");
            app.failed_auth
                .put_back(std::iter::once((failure, count)).chain(report));
            return;
        }
    }
}

async fn write(app: &App, entry: AuditInsert) -> Result<(), StoreError> {
    let caller = Caller {
        request_id: Some(app.ambient.new_id()),
        ..Caller::control_plane()
    };
    app.store.audit_append(&caller, entry).await
}
