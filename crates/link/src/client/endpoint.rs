//! One control plane: its transport, how many calls it has in flight, and whether it works.
//!
//! Not here: which one is called (`pool`).

use lychgate_types::Ambient;
use lychgate_types::backoff::Backoff;
use parking_lot::Mutex;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::Instant;

/// How long a failed control plane is not called, at first and at most. Short: while it is the only one, unknown tokens are
/// refused.
pub(super) const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// How long one that failed is probed by a single call.
const PROBE: Duration = Duration::from_secs(5);

/// One control plane.
pub(super) struct Endpoint<T> {
    pub(super) url: Box<str>,
    pub(super) transport: T,
    in_flight: AtomicUsize,
    attachments: AtomicUsize,
    failure: Mutex<Option<Failure>>,
}

/// What is known of a control plane whose last call failed.
struct Failure {
    backoff: Backoff,
    until: Instant,
    why: String,
}

impl<T> Endpoint<T> {
    pub(super) fn new(url: &str, transport: T) -> Self {
        Self {
            url: url.into(),
            transport,
            in_flight: AtomicUsize::new(0),
            attachments: AtomicUsize::new(0),
            failure: Mutex::default(),
        }
    }

    /// Calls that are not answered yet.
    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    /// Whether it may be called now.
    pub(super) fn is_available(&self) -> bool {
        self.available_at().is_none_or(|at| at <= Instant::now())
    }

    /// From when on it may be called again; `None`: it works.
    pub(super) fn available_at(&self) -> Option<Instant> {
        self.failure.lock().as_ref().map(|failure| failure.until)
    }

    /// Why the last call failed, if it did.
    pub(super) fn why(&self) -> Option<String> {
        self.failure.lock().as_ref().map(|failure| failure.why.clone())
    }

    /// Begins a call. If the last one failed, this one is a probe, and other calls stay away until its outcome is known. Not
    /// while there is an attachment: that shows that the control plane works, however long ago the failed call was.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight<T> {
        if let Some(failure) = self.failure.lock().as_mut()
            && self.attachments.load(Ordering::Relaxed) == 0
        {
            failure.until = failure.until.max(Instant::now() + PROBE);
        }
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// An attachment was opened.
    pub(super) fn attach(self: &Arc<Self>) -> Attached<T> {
        self.attachments.fetch_add(1, Ordering::Relaxed);
        Attached(Arc::clone(self))
    }

    /// It answered.
    pub(super) fn succeeded(&self) {
        *self.failure.lock() = None;
    }

    /// It could not be reached, or its connection broke.
    pub(super) fn failed(&self, why: &str, ambient: &Ambient) {
        let mut last = self.failure.lock();
        let mut backoff = last
            .take()
            .map_or(Backoff::new(BACKOFF.0, BACKOFF.1), |failure| failure.backoff);
        let until = Instant::now() + backoff.next(ambient);
        *last = Some(Failure {
            backoff,
            until,
            why: why.to_owned(),
        });
    }
}

/// A call in flight; dropping it ends the call.
pub(super) struct InFlight<T>(Arc<Endpoint<T>>);

impl<T> Drop for InFlight<T> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An open attachment; dropping it ends it.
pub(super) struct Attached<T>(Arc<Endpoint<T>>);

impl<T> Drop for Attached<T> {
    fn drop(&mut self) {
        self.0.attachments.fetch_sub(1, Ordering::Relaxed);
    }
}
