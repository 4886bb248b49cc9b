//! What is known of a provider's models: the lists that it gave, kept for as long as the provider is. A list that has become old is
//! still told while it is asked for anew, by one flight at a time; nothing is asked for before a client does.
//!
//! Not here: answering (`exchange::models`), and asking the provider (`exchange::models::learning`).

use lychgate_wire::model_list::{Model, ModelQuestion};
use parking_lot::Mutex;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// A list of this age is asked for anew when somebody wants it.
const FRESH: Duration = Duration::from_secs(300);
/// A provider that gave none is asked again after this.
pub(crate) const ASK_AGAIN: Duration = Duration::from_secs(15);
/// For so long one flight keeps others from asking.
pub(crate) const LONGEST_FLIGHT: Duration = Duration::from_secs(30);
/// Lists of one provider: one for each shape, and of one shape for each version of the client.
pub(crate) const LISTS: usize = 8;

/// The lists of one provider.
#[derive(Debug, Default)]
pub(crate) struct ModelLists(Mutex<Vec<Kept>>);

#[derive(Debug)]
struct Kept {
    shape: &'static str,
    version: String,
    /// Where it was asked for: another address may be another provider.
    base_url: String,
    list: Option<Arc<Vec<Model>>>,
    /// When it is to be asked for again.
    due: Option<Instant>,
    /// Is closed when the flight under way has ended.
    flight: Option<watch::Receiver<()>>,
    used: Instant,
}

/// What is known, and what comes.
#[derive(Debug)]
pub(crate) struct Asked {
    pub(crate) list: Option<Arc<Vec<Model>>>,
    /// The caller has to ask the provider.
    pub(crate) flight: Option<Flight>,
    /// Ends with the flight under way.
    pub(crate) under_way: Option<watch::Receiver<()>>,
}

/// The right and the duty to ask a provider. Dropped without [`Self::landed`], it found nothing.
#[derive(Debug)]
pub(crate) struct Flight {
    lists: Arc<ModelLists>,
    question: ModelQuestion,
    base_url: String,
    list: Option<Vec<Model>>,
    /// Closed by its drop.
    _under_way: watch::Sender<()>,
}

impl ModelLists {
    /// Looks up what is known at this address, and says whether it is to be asked for.
    pub(crate) fn ask(self: &Arc<Self>, question: &ModelQuestion, base_url: &str) -> Asked {
        let now = Instant::now();
        let mut all = self.0.lock();
        let at = place(&all, question, base_url).unwrap_or_else(|| {
            if all.len() >= LISTS {
                let oldest = all.iter().enumerate().min_by_key(|(_, kept)| kept.used);
                let oldest = oldest.map_or(0, |(at, _)| at);
                all.swap_remove(oldest);
            }
            let (shape, version) = question.key();
            all.push(Kept {
                shape,
                version: version.to_owned(),
                base_url: base_url.to_owned(),
                list: None,
                due: None,
                flight: None,
                used: now,
            });
            all.len() - 1
        });
        let kept = &mut all[at];
        kept.used = now;
        let is_due = kept.due.is_none_or(|due| due <= now);
        let flight = is_due.then(|| {
            kept.due = Some(now + LONGEST_FLIGHT);
            let (under_way, ended) = watch::channel(());
            kept.flight = Some(ended);
            Flight {
                lists: Arc::clone(self),
                question: question.clone(),
                base_url: base_url.to_owned(),
                list: None,
                _under_way: under_way,
            }
        });
        Asked {
            list: kept.list.clone(),
            flight,
            under_way: kept.flight.clone(),
        }
    }

    /// What is known by now.
    pub(crate) fn known(&self, question: &ModelQuestion, base_url: &str) -> Option<Arc<Vec<Model>>> {
        let all = self.0.lock();
        all[place(&all, question, base_url)?].list.clone()
    }

    fn ended(&self, flight: &Flight, list: Option<Vec<Model>>) {
        let mut all = self.0.lock();
        let Some(at) = place(&all, &flight.question, &flight.base_url) else {
            return;
        };
        let kept = &mut all[at];
        kept.flight = None;
        let rest = if list.is_some() { FRESH } else { ASK_AGAIN };
        kept.due = Some(Instant::now() + rest);
        if let Some(list) = list {
            kept.list = Some(Arc::new(list));
        }
    }
}

impl Flight {
    /// The question that is to be asked.
    pub(crate) fn question(&self) -> &ModelQuestion {
        &self.question
    }

    /// The provider gave this list.
    pub(crate) fn landed(mut self, list: Vec<Model>) {
        self.list = Some(list);
    }
}

impl Drop for Flight {
    fn drop(&mut self) {
        let list = self.list.take();
        self.lists.ended(self, list);
    }
}

fn place(all: &[Kept], question: &ModelQuestion, base_url: &str) -> Option<usize> {
    let key = question.key();
    let fits = |kept: &Kept| (kept.shape, kept.version.as_str()) == key && kept.base_url == base_url;
    all.iter().position(fits)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lychgate_types::provider::WireFamily;
    use tokio::time::advance;

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
        let lists = Arc::new(ModelLists::default());
        let question = question("1");
        let ask = || lists.ask(&question, "https://a");
        let first = ask();
        let flight = first.flight.unwrap();
        let second = ask();
        assert!(second.flight.is_none() && second.list.is_none(), "one at a time");
        drop(flight);
        assert!(second.under_way.unwrap().changed().await.is_err(), "who waited is told");
        assert!(ask().flight.is_none() && ask().under_way.is_none());
        advance(ASK_AGAIN).await;
        ask().flight.unwrap().landed(list());
        assert!(ask().flight.is_none() && ask().list.is_some());
        // What is old is told until there is a newer one, also when that does not come.
        advance(FRESH).await;
        let old = ask();
        assert!(old.list.is_some());
        drop(old.flight.unwrap());
        assert!(ask().flight.is_none() && ask().list.is_some());
        // One that does not end holds up nobody for ever.
        advance(ASK_AGAIN).await;
        let stuck = ask().flight.unwrap();
        advance(LONGEST_FLIGHT).await;
        ask().flight.unwrap().landed(list());
        drop(stuck);
        assert!(ask().list.is_some());
        // At another address there is another provider.
        assert!(lists.known(&question, "https://a").is_some());
        assert!(lists.known(&question, "https://b").is_none());
    }

    #[tokio::test(start_paused = true)]
    async fn the_list_that_was_not_asked_for_the_longest_makes_room() {
        let lists = Arc::new(ModelLists::default());
        for version in 0..LISTS {
            advance(Duration::from_secs(1)).await;
            let asked = lists.ask(&question(&version.to_string()), "https://a");
            asked.flight.unwrap().landed(list());
        }
        advance(Duration::from_secs(1)).await;
        lists.ask(&question("0"), "https://a");
        advance(Duration::from_secs(1)).await;
        let late = lists.ask(&question("new"), "https://a").flight.unwrap();
        assert!(lists.known(&question("0"), "https://a").is_some());
        assert!(lists.known(&question("1"), "https://a").is_none());
        assert_eq!(lists.0.lock().len(), LISTS);
        // A flight whose place was given away changes nothing.
        lists.0.lock().clear();
        late.landed(list());
        assert!(lists.0.lock().is_empty());
    }
}
