//! Which objects that providers store are whose, as far as this replica knows: those of the last requests, by the token.

use crate::generations::Generations;
use aws_lc_rs::digest;
use lychgate_link::places::PlaceLimits;
use lychgate_types::UnfinishedInterception;
use lychgate_types::secret::SecretHash;
use parking_lot::Mutex;
use std::sync::Arc;

/// Once so many are known, the older half is forgotten at the next but as many.
pub(crate) const GENERATION: usize = 1 << 15;

/// Ends that wait for the record of what they complete, and of them those that were shown to one user.
pub(crate) const LATE_ENDS: PlaceLimits = PlaceLimits { all: 256, one: 32 };

/// Of an object's id, with a token or without.
pub(crate) type Key = [u8; 16];

/// What is known of an object: the interception that made it, where that goes on in the background and its end was not seen here.
pub(crate) type Known = Option<Arc<UnfinishedInterception>>;

/// Bounded: what was not made or used for long is forgotten, and asked for again.
#[derive(Debug)]
pub(crate) struct MadeObjects(Mutex<Generations<Key, Known>>);

impl Default for MadeObjects {
    fn default() -> Self {
        Self(Mutex::new(Generations::new(GENERATION)))
    }
}

impl MadeObjects {
    /// What is known of the object, where the user of this token made it, as far as is known.
    pub(crate) fn of(&self, token: SecretHash, object: &str) -> Option<Known> {
        self.find(key(Some(token), object))
    }

    /// What is known of the object, where anybody is known to have made it.
    pub(crate) fn of_anybody(&self, object: &str) -> Option<Known> {
        self.find(key(None, object))
    }

    fn find(&self, key: Key) -> Option<Known> {
        self.0.lock().find(key)
    }

    /// The user of this token made the object.
    pub(crate) fn remember(&self, token: SecretHash, object: &str, known: Known) {
        let mut generations = self.0.lock();
        generations.add(key(Some(token), object), known.clone());
        generations.add(key(None, object), known);
    }

    /// The end of what made the object was seen. False if it had been seen here before.
    pub(crate) fn has_ended(&self, token: SecretHash, object: &str) -> bool {
        let keys = [key(Some(token), object), key(None, object)];
        let known = keys.map(|key| self.find(key));
        for (key, _) in keys.into_iter().zip(&known).filter(|(_, known)| known.is_some()) {
            self.0.lock().add(key, None);
        }
        !matches!(known, [Some(None), _] | [None, Some(None)])
    }
}

/// The key of what is known of an object to this token, or to anybody.
pub(crate) fn key(token: Option<SecretHash>, object: &str) -> Key {
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
