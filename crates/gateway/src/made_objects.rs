//! Which objects that providers store are whose, as far as this replica knows: those of the last requests, by the token.

use aws_lc_rs::digest;
use lychgate_types::secret::SecretHash;
use parking_lot::Mutex;
use std::collections::HashSet;

/// Once so many are known, the older half is forgotten at the next but as many.
const GENERATION: usize = 1 << 15;

/// Of an object's id, with a token or without.
type Key = [u8; 16];

/// Bounded: what was not made or used for long is forgotten, and asked for again.
#[derive(Debug, Default)]
pub(crate) struct MadeObjects(Mutex<Generations>);

#[derive(Debug, Default)]
struct Generations {
    newer: HashSet<Key>,
    older: HashSet<Key>,
}

impl MadeObjects {
    /// Whether the user of this token is known to have made the object.
    pub(crate) fn knows(&self, token: SecretHash, object: &str) -> bool {
        self.has(key(Some(token), object))
    }

    fn has(&self, key: Key) -> bool {
        let mut generations = self.0.lock();
        if generations.newer.contains(&key) {
            return true;
        }
        let known = generations.older.contains(&key);
        if known {
            generations.add(key);
        }
        known
    }

    /// Whether anybody is known to have made the object.
    pub(crate) fn has_maker(&self, object: &str) -> bool {
        self.has(key(None, object))
    }

    /// The user of this token made the object.
    pub(crate) fn remember(&self, token: SecretHash, object: &str) {
        let mut generations = self.0.lock();
        generations.add(key(Some(token), object));
        generations.add(key(None, object));
    }
}

impl Generations {
    fn add(&mut self, key: Key) {
        if self.newer.len() >= GENERATION {
            self.older = std::mem::take(&mut self.newer);
        }
        self.newer.insert(key);
    }
}

fn key(token: Option<SecretHash>, object: &str) -> Key {
    let mut hash = digest::Context::new(&digest::SHA256);
    hash.update(&[token.is_some().into()]);
    if let Some(token) = token {
        hash.update(token.as_bytes());
    }
    hash.update(object.as_bytes());
    let mut key = Key::default();
    key.copy_from_slice(&hash.finish().as_ref()[..size_of::<Key>()]);
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_stays_and_the_rest_is_bounded() {
        let objects = MadeObjects::default();
        let (one, other) = (SecretHash::from_bytes([1; 32]), SecretHash::from_bytes([2; 32]));
        objects.remember(one, "kept");
        objects.remember(one, "forgotten");
        for number in 0..3 * GENERATION {
            objects.remember(other, &number.to_string());
            assert!(objects.knows(one, "kept"));
        }
        assert!(objects.has_maker(&(3 * GENERATION - 1).to_string()) && !objects.has_maker("forgotten"));
        assert!(!objects.knows(one, "forgotten") && !objects.knows(other, "kept") && !objects.knows(other, "0"));
        let generations = objects.0.lock();
        assert!(generations.newer.len() + generations.older.len() <= 2 * GENERATION);
    }
}
