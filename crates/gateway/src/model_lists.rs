//! What is known of a provider's models: a place for each list that clients ask for, kept for as long as the provider is. A list that
//! has become old is still told while it is asked for anew; nothing is asked for before a client does.
//!
//! Not here: answering (`exchange::models`), and asking the provider (`exchange::models::learning`).

use bytes::Bytes;
use http::HeaderValue;
use lychgate_wire::model_list::{Model, ModelQuestion};
use parking_lot::Mutex;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

/// A list of this age is asked for anew when somebody wants it.
const FRESH: Duration = Duration::from_secs(300);
/// A provider that was asked and gave none is asked again after this. Nothing that asks lasts longer.
pub(crate) const ASK_AGAIN: Duration = Duration::from_secs(30);
/// Lists of one provider that differ by the client's version. A further one has a place once a place was not used for as long as a
/// list is fresh; until then the list for no version is told.
pub(crate) const VERSIONS: usize = 8;

/// The lists of one provider.
#[derive(Debug, Default)]
pub(crate) struct ModelLists(Mutex<Vec<Arc<KeptList>>>);

/// The place of a list, whether it is there or not.
#[derive(Debug)]
pub(crate) struct KeptList {
    pub(crate) question: ModelQuestion,
    /// Where it is asked for: another address may be another provider.
    base_url: String,
    kept: Mutex<Kept>,
    /// Who asked for it has come to an end.
    over: Notify,
}

#[derive(Debug)]
struct Kept {
    list: Option<Arc<Vec<Model>>>,
    /// The last answer that was made of it.
    answer: Option<Arc<ListAnswer>>,
    /// When it is to be asked for again.
    due: Instant,
    /// Since when somebody asks for it.
    asked_since: Option<Instant>,
    used: Instant,
}

/// An answer, and what it was made for.
#[derive(Debug)]
pub(crate) struct ListAnswer {
    pub(crate) query: Option<String>,
    /// Of the configuration, whose routes have a part in it.
    pub(crate) configuration: u64,
    pub(crate) body: Bytes,
    pub(crate) tag: HeaderValue,
}

/// The right and the duty to ask a provider. Dropped without [`Self::landed`], it found nothing.
#[derive(Debug)]
pub(crate) struct Flight(Arc<KeptList>);

impl ModelLists {
    /// The place of the list that answers this question at this address.
    pub(crate) fn place(&self, question: &ModelQuestion, base_url: &str) -> Arc<KeptList> {
        let now = Instant::now();
        let mut all = self.0.lock();
        all.retain(|place| place.base_url == base_url);
        let find = |all: &[Arc<KeptList>], question: &ModelQuestion| {
            let place = all.iter().find(|place| place.question.key() == question.key())?;
            place.kept.lock().used = now;
            Some(Arc::clone(place))
        };
        if let Some(place) = find(&all, question) {
            return place;
        }
        let question = match question.names_version() && !has_room(&mut all, now) {
            true => question.without_version(),
            false => question.clone(),
        };
        find(&all, &question).unwrap_or_else(|| {
            let place = Arc::new(KeptList::new(question, base_url, now));
            all.push(Arc::clone(&place));
            place
        })
    }
}

/// Makes room for a list for one more version, where it can be made.
fn has_room(all: &mut Vec<Arc<KeptList>>, now: Instant) -> bool {
    let with_version = |place: &&Arc<KeptList>| place.question.names_version();
    if all.iter().filter(with_version).count() < VERSIONS {
        return true;
    }
    let unused = all
        .iter()
        .position(|place| with_version(&place) && now.duration_since(place.kept.lock().used) >= FRESH);
    unused.map(|at| all.swap_remove(at)).is_some()
}

impl KeptList {
    fn new(question: ModelQuestion, base_url: &str, now: Instant) -> Self {
        Self {
            question,
            base_url: base_url.to_owned(),
            kept: Mutex::new(Kept {
                list: None,
                answer: None,
                due: now,
                asked_since: None,
                used: now,
            }),
            over: Notify::new(),
        }
    }

    /// The right to ask the provider, if it is to be asked now.
    pub(crate) fn flight(self: &Arc<Self>) -> Option<Flight> {
        let now = Instant::now();
        let mut kept = self.kept.lock();
        if kept.due > now {
            return None;
        }
        kept.due = now + ASK_AGAIN;
        kept.asked_since = Some(now);
        Some(Flight(Arc::clone(self)))
    }

    /// What is known.
    pub(crate) fn known(&self) -> Option<Arc<Vec<Model>>> {
        self.kept.lock().list.clone()
    }

    /// What is known once it has been asked for as long as this, or sooner.
    pub(crate) async fn known_within(&self, patience: Duration) -> Option<Arc<Vec<Model>>> {
        let mut over = pin!(self.over.notified());
        over.as_mut().enable();
        let (list, asked_since) = {
            let kept = self.kept.lock();
            (kept.list.clone(), kept.asked_since)
        };
        match (list, asked_since) {
            (None, Some(since)) => {
                let _ = timeout_at(since + patience, over).await;
                self.known()
            }
            (list, _) => list,
        }
    }

    /// The answer for this query under this configuration, if it was the last that was made of this list.
    pub(crate) fn answer(
        &self,
        list: &Arc<Vec<Model>>,
        query: Option<&str>,
        configuration: u64,
    ) -> Option<Arc<ListAnswer>> {
        let kept = self.kept.lock();
        let answer = kept.answer.as_ref().filter(|_| kept.has(list))?;
        let fits = answer.query.as_deref() == query && answer.configuration == configuration;
        fits.then(|| Arc::clone(answer))
    }

    /// Keeps an answer that was made of this list.
    pub(crate) fn keep(&self, list: &Arc<Vec<Model>>, answer: Arc<ListAnswer>) {
        let mut kept = self.kept.lock();
        if kept.has(list) {
            kept.answer = Some(answer);
        }
    }
}

impl Kept {
    fn has(&self, list: &Arc<Vec<Model>>) -> bool {
        self.list.as_ref().is_some_and(|known| Arc::ptr_eq(known, list))
    }
}

impl Flight {
    /// The question that is to be asked.
    pub(crate) fn question(&self) -> &ModelQuestion {
        &self.0.question
    }

    /// The provider gave this list.
    pub(crate) fn landed(self, list: Vec<Model>) {
        let mut kept = self.0.kept.lock();
        kept.list = Some(Arc::new(list));
        kept.answer = None;
        kept.due = Instant::now() + FRESH;
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        self.0.kept.lock().asked_since = None;
        self.0.over.notify_waiters();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lychgate_types::provider::WireFamily;
    use tokio::time::advance;

    const PATIENCE: Duration = Duration::from_millis(700);

    fn question(version: &str) -> ModelQuestion {
        let query = format!("client_version={version}");
        ModelQuestion::new(WireFamily::OpenAi, "", Some(&query)).unwrap()
    }

    fn list() -> Vec<Model> {
        vec![Model {
            id: "m".to_owned(),
            json: "{}".to_owned(),
        }]
    }

    #[tokio::test(start_paused = true)]
    async fn a_list_that_does_not_come_is_asked_for_again() {
        let lists = ModelLists::default();
        let place = lists.place(&question("1"), "https://a");
        let flight = place.flight().unwrap();
        assert!(place.flight().is_none(), "one at a time");
        let (told, ()) = tokio::join!(place.known_within(PATIENCE), async { drop(flight) });
        assert!(told.is_none());
        assert!(place.flight().is_none());
        advance(ASK_AGAIN).await;
        // One that does not end holds up nobody for ever, and who waits for it is told in time.
        let stuck = place.flight().unwrap();
        let begun = Instant::now();
        assert!(place.known_within(PATIENCE).await.is_none());
        assert_eq!(begun.elapsed().as_millis(), PATIENCE.as_millis());
        advance(ASK_AGAIN).await;
        let flight = place.flight().unwrap();
        let (told, ()) = tokio::join!(place.known_within(PATIENCE), async { flight.landed(list()) });
        assert!(told.is_some());
        drop(stuck);
        assert!(place.flight().is_none() && place.known().is_some());
        // What is old is told until there is a newer one, also when that does not come.
        advance(FRESH).await;
        drop(place.flight().unwrap());
        assert!(place.flight().is_none() && place.known().is_some());
        // At another address there is another provider.
        assert!(lists.place(&question("1"), "https://a").known().is_some());
        assert!(lists.place(&question("1"), "https://b").known().is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn versions_without_end_displace_none_that_is_in_use() {
        let lists = ModelLists::default();
        let places: Vec<_> = (0..VERSIONS)
            .map(|version| lists.place(&question(&version.to_string()), "https://a"))
            .collect();
        for place in &places {
            place.flight().unwrap().landed(list());
        }
        advance(FRESH.checked_sub(Duration::from_secs(1)).unwrap()).await;
        let known = |version: &str| lists.place(&question(version), "https://a");
        assert!(Arc::ptr_eq(&known("0"), &places[0]));
        let plain = known("new");
        assert!(!plain.question.names_version() && Arc::ptr_eq(&plain, &known("newer")));
        advance(Duration::from_secs(1)).await;
        assert!(known("new").question.names_version());
        assert!(Arc::ptr_eq(&known("0"), &places[0]));
        assert_eq!(lists.0.lock().len(), VERSIONS + 1);
    }
}
