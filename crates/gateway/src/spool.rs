//! Records on their way to the control plane. A place is reserved before a request is taken, so that no exchange ends
//! without room for its record; a record leaves only when the control plane has acknowledged it.
//!
//! Not here: delivering (`deliver`). Held in memory for now: a durable queue takes this one's place behind the same
//! five methods.

use crate::options::SpoolLimits;
use lychgate_types::interception::InterceptionRecord;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Notify;

/// A bounded queue of records.
#[derive(Debug)]
pub(crate) struct Spool {
    limits: SpoolLimits,
    state: Mutex<State>,
    filled: Notify,
    emptied: Notify,
}

#[derive(Debug, Default)]
struct State {
    queue: VecDeque<Arc<InterceptionRecord>>,
    /// Places given out and not yet filled.
    reserved: usize,
    /// About how much memory the queue holds.
    bytes: usize,
}

/// A reserved place; given back when dropped.
#[derive(Debug)]
pub(crate) struct Slot {
    spool: Arc<Spool>,
    filled: bool,
}

impl Spool {
    pub(crate) fn new(limits: SpoolLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            state: Mutex::default(),
            filled: Notify::new(),
            emptied: Notify::new(),
        })
    }

    /// A place for one record, or `None` when the spool is full.
    pub(crate) fn reserve(self: &Arc<Self>) -> Option<Slot> {
        let mut state = self.lock();
        if state.queue.len() + state.reserved >= self.limits.records || state.bytes >= self.limits.bytes {
            return None;
        }
        state.reserved += 1;
        Some(Slot {
            spool: Arc::clone(self),
            filled: false,
        })
    }

    /// Whether the next request would find a place.
    pub(crate) fn has_room(self: &Arc<Self>) -> bool {
        self.reserve().is_some()
    }

    /// The oldest records, at most `most`; they stay until acknowledged.
    pub(crate) fn peek(&self, most: usize) -> Vec<Arc<InterceptionRecord>> {
        self.lock().queue.iter().take(most).cloned().collect()
    }

    /// The `count` oldest records are committed (or set aside for ever).
    pub(crate) fn acknowledge(&self, count: usize) {
        let mut state = self.lock();
        let count = count.min(state.queue.len());
        let gone: usize = state.queue.drain(..count).map(|record| weight(&record)).sum();
        state.bytes = state.bytes.saturating_sub(gone);
        if state.queue.is_empty() {
            self.emptied.notify_waiters();
        }
    }

    /// Puts the oldest record behind all others.
    pub(crate) fn rotate(&self) {
        let mut state = self.lock();
        if !state.queue.is_empty() {
            state.queue.rotate_left(1);
        }
    }

    /// Records not yet acknowledged.
    pub(crate) fn depth(&self) -> usize {
        self.lock().queue.len()
    }

    /// Returns once there is a record.
    pub(crate) async fn until_filled(&self) {
        // A permit is kept when nobody waits, so a record that comes in between is not missed.
        while self.depth() == 0 {
            self.filled.notified().await;
        }
    }

    /// Returns once there is none.
    pub(crate) async fn until_empty(&self) {
        loop {
            let emptied = self.emptied.notified();
            if self.depth() == 0 {
                return;
            }
            emptied.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    /// Puts the record in its place.
    pub(crate) fn fill(mut self, record: InterceptionRecord) {
        self.filled = true;
        let bytes = weight(&record);
        let first = {
            let mut state = self.spool.lock();
            state.reserved -= 1;
            state.bytes += bytes;
            state.queue.push_back(Arc::new(record));
            state.queue.len() == 1
        };
        if first {
            self.spool.filled.notify_one();
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        if !self.filled {
            self.spool.lock().reserved -= 1;
        }
    }
}

/// About how much memory a record takes.
fn weight(record: &InterceptionRecord) -> usize {
    let text = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    let prompts: usize = record.prompts.iter().map(|prompt| prompt.prompt.len()).sum();
    let tools: usize = record
        .tool_usages
        .iter()
        .map(|tool| 128 + tool.tool.len() + tool.input.len())
        .sum();
    let thoughts: usize = record
        .model_thoughts
        .iter()
        .map(|thought| 64 + thought.content.len())
        .sum();
    1024 + record.user_agent.len() + text(&record.error_message) + prompts + tools + thoughts
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::meter::tests::a_record;

    fn spool(records: usize, bytes: usize) -> Arc<Spool> {
        Spool::new(SpoolLimits { records, bytes })
    }

    #[test]
    fn a_place_is_kept_until_filled_or_given_back() {
        let spool = spool(2, usize::MAX);
        let first = spool.reserve().unwrap();
        let second = spool.reserve().unwrap();
        assert!(spool.reserve().is_none());
        drop(first);
        let third = spool.reserve().unwrap();
        second.fill(a_record());
        third.fill(a_record());
        assert!(!spool.has_room());
        assert_eq!(spool.peek(9).len(), 2);
        assert_eq!(spool.depth(), 2);
        spool.acknowledge(1);
        assert!(spool.has_room());
    }

    #[test]
    fn bytes_count_too_and_come_back() {
        let spool = spool(100, 1000);
        spool.reserve().unwrap().fill(a_record());
        assert!(!spool.has_room());
        spool.acknowledge(1);
        assert!(spool.has_room());
    }

    #[test]
    fn peeking_takes_nothing_and_rotation_moves_the_oldest_back() {
        let spool = spool(9, usize::MAX);
        for model in ["a", "b", "c"] {
            spool.reserve().unwrap().fill(InterceptionRecord {
                model: model.into(),
                ..a_record()
            });
        }
        let models = |most| {
            spool
                .peek(most)
                .iter()
                .map(|record| record.model.clone())
                .collect::<String>()
        };
        assert_eq!((models(2), models(9)), ("ab".into(), "abc".into()));
        spool.rotate();
        assert_eq!(models(9), "bca");
        spool.acknowledge(2);
        assert_eq!(models(9), "a");
    }

    #[tokio::test]
    async fn waiting_for_the_first_and_the_last() {
        let spool = spool(9, usize::MAX);
        spool.until_empty().await;
        let filled = tokio::spawn({
            let spool = Arc::clone(&spool);
            async move { spool.until_filled().await }
        });
        spool.reserve().unwrap().fill(a_record());
        filled.await.unwrap();
        let emptied = tokio::spawn({
            let spool = Arc::clone(&spool);
            async move { spool.until_empty().await }
        });
        spool.acknowledge(1);
        emptied.await.unwrap();
    }
}
