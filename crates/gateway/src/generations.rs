//! A map that forgets: once so many entries are new, what was neither added nor found since as many came before is gone.

use std::collections::HashMap;
use std::hash::Hash;

/// At most twice `generation` entries.
#[derive(Debug)]
pub(crate) struct Generations<K, V> {
    generation: usize,
    newer: HashMap<K, V>,
    older: HashMap<K, V>,
}

impl<K: Copy + Eq + Hash, V: Clone> Generations<K, V> {
    pub(crate) fn new(generation: usize) -> Self {
        Self {
            generation,
            newer: HashMap::new(),
            older: HashMap::new(),
        }
    }

    /// What is found stays.
    pub(crate) fn find(&mut self, key: K) -> Option<V> {
        if let Some(value) = self.newer.get(&key) {
            return Some(value.clone());
        }
        let value = self.older.get(&key)?.clone();
        self.add(key, value.clone());
        Some(value)
    }

    pub(crate) fn add(&mut self, key: K, value: V) {
        if self.newer.len() >= self.generation {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_is_bounded() {
        let mut map = Generations::new(100);
        map.add(0, "kept");
        map.add(1, "forgotten");
        for key in 2..300 {
            map.add(key, "another");
            assert_eq!(map.find(0), Some("kept"));
            assert!(map.newer.len() <= 100 && map.older.len() <= 100);
        }
        assert_eq!((map.find(1), map.find(299)), (None, Some("another")));
    }
}
