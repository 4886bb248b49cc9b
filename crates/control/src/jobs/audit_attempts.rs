//! Writes refused attempts of replicas to the audit log, in aggregate, and what users were refused too often to be told one by one.

use super::stop_requested;
use crate::audit;
use crate::state::App;
use lychgate_authz::Caller;
use lychgate_store::AuditInsert;
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
    for (failure, count) in report {
        write(app, audit::refused(failure, count)).await;
    }
    let rest: u64 = rest.iter().map(|(_, count)| count).sum();
    if rest > 0 {
        let others = crate::state::failed_auth::Failure {
            source: None,
            reason: "various",
            prefix: None,
        };
        write(app, audit::refused(others, rest)).await;
    }
}

async fn write(app: &App, entry: AuditInsert) {
    let caller = Caller {
        request_id: Some(app.ambient.new_id()),
        ..Caller::control_plane()
    };
    if let Err(error) = app.store.audit_append(&caller, entry).await {
        tracing::error!(error = %chain(&error), "an audit entry about refused replicas could not be written");
    }
}
