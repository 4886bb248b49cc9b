//! The models for which a provider refuses to tell usage in streams: asking it again would cost each request a further one.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::Instant;

/// Most models that are remembered of one provider. Clients choose their names.
pub(crate) const MODELS: usize = 256;
/// After so long the provider is asked again: it may have learnt it.
const MEMORY: Duration = Duration::from_secs(3600);

/// The models of one provider, as breakers name them, of one version of its API each, and when each was refused.
#[derive(Debug, Default)]
pub(crate) struct UsageRefusals(Mutex<HashMap<u64, Instant>>);

impl UsageRefusals {
    pub(crate) fn add(&self, model: u64) {
        let mut models = self.0.lock();
        if models.len() >= MODELS {
            models.clear();
        }
        models.insert(model, Instant::now());
    }

    pub(crate) fn has(&self, model: u64) -> bool {
        let models = self.0.lock();
        models.get(&model).is_some_and(|refused| refused.elapsed() < MEMORY)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_models_that_are_remembered_are_bounded() {
        let refusals = UsageRefusals::default();
        for model in 0..10 * MODELS as u64 {
            refusals.add(model);
            assert!(refusals.has(model));
            assert!(refusals.0.lock().len() <= MODELS);
        }
        assert!(!refusals.has(0), "it is asked again");
    }
}
