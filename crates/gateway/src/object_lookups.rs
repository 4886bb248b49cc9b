//! Questions to the control plane about stored objects: one for all that a request names. Whoever asks the same at the same time shares
//! one, and that nobody is known to have made an object is remembered for a moment. What is the user's own is remembered for longer
//! (`made_objects`).
//!
//! Not here: what follows from the answer (`exchange::objects`).

use crate::generations::Generations;
use crate::made_objects::{Key, key};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use lychgate_link::ControlLink;
use lychgate_link::places::{Place, PlaceLimits, Places};
use lychgate_types::secret::SecretHash;
use lychgate_types::{Holder, Ownership, StoredObject};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Requests that ask about the objects that they name, and of them those of one user.
pub(crate) const ASKING: PlaceLimits = PlaceLimits { all: 512, one: 32 };
/// Longest wait for an answer.
pub(crate) const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// So long it is remembered that nobody is known to have made an object.
pub(crate) const UNKNOWN_FOR: Duration = Duration::from_secs(1);
/// Of so many objects twice, as [`Generations`] are kept.
pub(crate) const UNKNOWN_GENERATION: usize = 2048;

/// What is known of each object, in the question's order; `None`: it was not answered.
type Answer = Option<Arc<[StoredObject]>>;
type Question = Shared<BoxFuture<'static, Answer>>;

#[derive(Debug)]
pub(crate) struct ObjectLookups {
    places: Arc<Places<Holder>>,
    asked: Mutex<HashMap<Key, Question>>,
    unknown: Mutex<Generations<Key, Instant>>,
}

impl Default for ObjectLookups {
    fn default() -> Self {
        Self {
            places: Places::new(ASKING),
            asked: Mutex::default(),
            unknown: Mutex::new(Generations::new(UNKNOWN_GENERATION)),
        }
    }
}

impl ObjectLookups {
    /// A place to ask from; `None` where too many requests of this user ask, or of all.
    pub(crate) fn place(&self, holder: Holder) -> Option<Place<Holder>> {
        self.places.take(holder)
    }

    /// Whether it was unknown a moment ago.
    pub(crate) fn is_unknown(&self, token: SecretHash, object: &str) -> bool {
        let since = self.unknown.lock().find(key(Some(token), object));
        since.is_some_and(|since| since.elapsed() < UNKNOWN_FOR)
    }

    /// What the control plane knows of the objects now.
    pub(crate) async fn ask(&self, link: &Arc<dyn ControlLink>, token: SecretHash, objects: &[&str]) -> Answer {
        // Each with its length, so that no two lists are one text.
        let all: String = objects
            .iter()
            .map(|object| format!("{}:{object}", object.len()))
            .collect();
        let key = key(Some(token), &all);
        let question = self
            .asked
            .lock()
            .entry(key)
            .or_insert_with(|| question(Arc::clone(link), token, objects))
            .clone();
        let asking = Asking {
            lookups: self,
            key,
            question: Some(question.clone()),
        };
        let answer = question.await;
        drop(asking);
        for (object, found) in objects.iter().zip(answer.iter().flat_map(|answer| &**answer)) {
            if found.ownership == Ownership::Unknown {
                self.remember_unknown(token, object);
            }
        }
        answer
    }

    fn remember_unknown(&self, token: SecretHash, object: &str) {
        self.unknown.lock().add(key(Some(token), object), Instant::now());
    }
}

fn question(link: Arc<dyn ControlLink>, token: SecretHash, objects: &[&str]) -> Question {
    let objects: Vec<String> = objects.iter().map(|object| (*object).to_owned()).collect();
    let asked = async move {
        let answer = timeout(LOOKUP_TIMEOUT, link.owns(token, &objects)).await.ok()?.ok()?;
        (answer.len() == objects.len()).then(|| answer.into())
    };
    asked.boxed().shared()
}

/// One who waits for an answer. A question goes once it is answered, or nobody waits for it any longer.
struct Asking<'a> {
    lookups: &'a ObjectLookups,
    key: Key,
    question: Option<Question>,
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        let mut asked = self.lookups.asked.lock();
        let own = self.question.take();
        let is_answered = own.as_ref().is_some_and(|question| question.peek().is_some());
        let is_same = asked
            .get(&self.key)
            .is_some_and(|kept| own.as_ref().is_some_and(|own| own.ptr_eq(kept)));
        drop(own);
        let is_last = || asked.get(&self.key).is_some_and(|kept| kept.strong_count() == Some(1));
        if is_same && (is_answered || is_last()) {
            asked.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn that_nobody_made_an_object_is_remembered_for_a_moment_and_of_so_many() {
        let (lookups, token) = (ObjectLookups::default(), SecretHash::from_bytes([1; 32]));
        lookups.remember_unknown(token, "first");
        assert!(lookups.is_unknown(token, "first"));
        assert!(!lookups.is_unknown(SecretHash::from_bytes([2; 32]), "first"));
        for n in 0..2 * UNKNOWN_GENERATION {
            lookups.remember_unknown(token, &n.to_string());
        }
        assert!(!lookups.is_unknown(token, "first"));
        assert!(lookups.is_unknown(token, &UNKNOWN_GENERATION.to_string()));
        tokio::time::advance(UNKNOWN_FOR).await;
        assert!(!lookups.is_unknown(token, &UNKNOWN_GENERATION.to_string()));
    }
}
