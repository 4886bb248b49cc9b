//! The requests for which a provider refuses to tell usage in streams: asking it again would cost each one like them a further one.
//! Like them are those for the same model, to the same version of the API, with members of the same names: some servers refuse it only
//! beside another member, and one such request must not keep the usage of all others off the books.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Most kinds of requests that are remembered of one provider. Clients choose the names of models and members.
pub(crate) const KINDS: usize = 256;
/// After so long the provider is asked again: it may have learnt it.
const MEMORY: Duration = Duration::from_secs(3600);

/// The kinds of requests to one provider, as hashes, and when each was refused.
#[derive(Debug, Default)]
pub(crate) struct UsageRefusals(Mutex<HashMap<u64, Instant>>);

impl UsageRefusals {
    pub(crate) fn add(&self, kind: u64) {
        let mut kinds = self.0.lock();
        if kinds.len() >= KINDS {
            kinds.clear();
        }
        kinds.insert(kind, Instant::now());
    }

    /// Whether it has refused none, so that nobody has to look up a kind.
    pub(crate) fn is_empty(&self) -> bool {
        self.0.lock().is_empty()
    }

    pub(crate) fn has(&self, kind: u64) -> bool {
        let kinds = self.0.lock();
        kinds.get(&kind).is_some_and(|refused| refused.elapsed() < MEMORY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kinds_that_are_remembered_are_bounded() {
        let refusals = UsageRefusals::default();
        for kind in 0..10 * KINDS as u64 {
            refusals.add(kind);
            assert!(refusals.has(kind));
            assert!(refusals.0.lock().len() <= KINDS);
        }
        assert!(!refusals.has(0), "it is asked again");
    }
}
