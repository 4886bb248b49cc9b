//! Questions to the control plane about stored objects. Whoever asks the same at the same time shares one, and that nobody is known
//! to have made an object is remembered for a moment. What is the user's own is remembered for longer (`made_objects`).
//!
//! Not here: what follows from the answer (`exchange::objects`).

use crate::made_objects::{Key, key};
use futures_util::FutureExt as _;
use futures_util::future::{BoxFuture, Shared};
use lychgate_link::ControlLink;
use lychgate_link::places::{Place, PlaceLimits, Places};
use lychgate_types::secret::SecretHash;
use lychgate_types::{Ownership, StoredObject};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// Requests that ask about the objects that they name, and of them those with one token.
pub(crate) const ASKING: PlaceLimits = PlaceLimits { all: 512, one: 32 };
/// Longest wait for an answer.
pub(crate) const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);
/// So long it is remembered that nobody is known to have made an object.
const UNKNOWN_FOR: Duration = Duration::from_secs(1);
/// Of so many objects.
const MOST_UNKNOWN: usize = 4096;

/// `None`: it was not answered.
type Answer = Option<StoredObject>;
type Question = Shared<BoxFuture<'static, Answer>>;

#[derive(Debug)]
pub(crate) struct ObjectLookups {
    places: Arc<Places<SecretHash>>,
    asked: Mutex<HashMap<Key, Question>>,
    unknown: Mutex<HashMap<Key, Instant>>,
}

impl Default for ObjectLookups {
    fn default() -> Self {
        Self {
            places: Places::new(ASKING),
            asked: Mutex::default(),
            unknown: Mutex::default(),
        }
    }
}

impl ObjectLookups {
    /// A place to ask from; `None` where too many others ask with this token, or with any.
    pub(crate) fn place(&self, token: SecretHash) -> Option<Place<SecretHash>> {
        self.places.take(token)
    }

    /// Whether it was unknown a moment ago.
    pub(crate) fn is_unknown(&self, token: SecretHash, object: &str) -> bool {
        let since = self.unknown.lock().get(&key(Some(token), object)).copied();
        since.is_some_and(|since| since.elapsed() < UNKNOWN_FOR)
    }

    /// What the control plane knows of the object now.
    pub(crate) async fn ask(&self, link: &Arc<dyn ControlLink>, token: SecretHash, object: &str) -> Answer {
        let key = key(Some(token), object);
        let question = self
            .asked
            .lock()
            .entry(key)
            .or_insert_with(|| question(Arc::clone(link), token, object.into()))
            .clone();
        let asking = Asking {
            lookups: self,
            key,
            question: Some(question.clone()),
        };
        let answer = question.await;
        drop(asking);
        if answer
            .as_ref()
            .is_some_and(|found| found.ownership == Ownership::Unknown)
        {
            self.remember_unknown(key);
        }
        answer
    }

    fn remember_unknown(&self, key: Key) {
        let mut unknown = self.unknown.lock();
        if unknown.len() >= MOST_UNKNOWN {
            unknown.retain(|_, since| since.elapsed() < UNKNOWN_FOR);
            if unknown.len() >= MOST_UNKNOWN {
                unknown.clear();
            }
        }
        unknown.insert(key, Instant::now());
    }
}

fn question(link: Arc<dyn ControlLink>, token: SecretHash, object: Box<str>) -> Question {
    let asked = async move { timeout(LOOKUP_TIMEOUT, link.owns(token, &object)).await.ok()?.ok() };
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
