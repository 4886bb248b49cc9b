//! Which of several control planes is called: of two drawn at random, the one with fewer calls in flight, among those that work.
//! One that does not answer is not called for a while, and another takes its place.

use super::endpoint::Endpoint;
use crate::error::LinkError;
use lychgate_types::{Ambient, KeyRefusal};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout};

/// All control planes of a replica.
pub(super) struct Pool<T> {
    endpoints: Vec<Arc<Endpoint<T>>>,
    pub(super) ambient: Ambient,
}

/// How long a call may take.
#[derive(Clone, Copy)]
pub(super) struct Deadlines {
    /// Longest time for all attempts together.
    pub(super) total: Duration,
    /// Longest time for one attempt while another control plane is left.
    pub(super) attempt: Duration,
    /// Whether control planes that back off are called too if there is no other, even at first.
    pub(super) ignores_backoff: bool,
    /// Whether a control plane that does not answer such a call in time is taken for one that works no longer.
    pub(super) is_telling: bool,
}

impl<T> Pool<T> {
    pub(super) const fn new(endpoints: Vec<Arc<Endpoint<T>>>, ambient: Ambient) -> Self {
        Self { endpoints, ambient }
    }

    pub(super) fn endpoints(&self) -> &[Arc<Endpoint<T>>] {
        &self.endpoints
    }

    /// Makes a call, on one control plane after another until one answers, each at most once. It fails at once if all of them
    /// back off. An error that is an answer is final, but for that of one that is of an earlier version than this replica.
    pub(super) async fn call<A, F, Attempt>(&self, deadlines: Deadlines, mut attempt: F) -> Result<A, LinkError>
    where
        F: FnMut(Arc<Endpoint<T>>, Duration) -> Attempt + Send,
        Attempt: Future<Output = Result<A, LinkError>> + Send,
    {
        let deadline = Instant::now() + deadlines.total;
        let mut untried: Vec<&Arc<Endpoint<T>>> = self.endpoints.iter().collect();
        let mut last = None;
        loop {
            // A call that has failed once tries all others in the time that is left: they may just have been slow for other calls.
            let ignores_backoff = deadlines.ignores_backoff || last.is_some();
            let Some(endpoint) = self.choose(&mut untried, ignores_backoff) else {
                break;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            let another = untried.iter().any(|other| ignores_backoff || other.is_available());
            let time = if another { left.min(deadlines.attempt) } else { left };
            if time.is_zero() {
                break;
            }
            let (in_flight, begun) = (endpoint.begin(), Instant::now());
            let answer = timeout(time, attempt(Arc::clone(endpoint), time)).await;
            drop(in_flight);
            match answer.unwrap_or_else(|_| Err(LinkError::Unreachable("it did not answer in time".to_owned()))) {
                Err(LinkError::Unreachable(why)) => {
                    // Of one that had failed before, this was the probe, and others wait for its outcome.
                    if deadlines.is_telling || begun.elapsed() < time || endpoint.why().is_some() {
                        endpoint.failed(&why, &self.ambient);
                    }
                    last = Some(LinkError::Unreachable(why));
                }
                Err(LinkError::Refused(refusal)) if refusal.reason == KeyRefusal::ProtocolVersion => {
                    endpoint.failed(&refusal.message, &self.ambient);
                    last = Some(LinkError::Refused(refusal));
                }
                answer => {
                    endpoint.succeeded();
                    return answer;
                }
            }
        }
        Err(last.unwrap_or_else(|| {
            let why = self.endpoints.iter().find_map(|endpoint| endpoint.why());
            LinkError::Unreachable(why.unwrap_or_else(|| "there was no time left".to_owned()))
        }))
    }

    /// Takes the one to call next out of `untried`.
    fn choose<'a>(
        &self,
        untried: &mut Vec<&'a Arc<Endpoint<T>>>,
        ignores_backoff: bool,
    ) -> Option<&'a Arc<Endpoint<T>>> {
        let available: Vec<usize> = (0..untried.len()).filter(|at| untried[*at].is_available()).collect();
        let chosen = match available.as_slice() {
            [] if ignores_backoff => (0..untried.len()).min_by_key(|at| untried[*at].available_at())?,
            [] => return None,
            [only] => *only,
            several => {
                let first = self.draw(several.len());
                let second = (first + 1 + self.draw(several.len() - 1)) % several.len();
                let (first, second) = (several[first], several[second]);
                if untried[second].in_flight() < untried[first].in_flight() {
                    second
                } else {
                    first
                }
            }
        };
        Some(untried.swap_remove(chosen))
    }

    /// Drawn evenly from 0 up to, not including, `below`.
    fn draw(&self, below: usize) -> usize {
        let mut bytes = [0; 8];
        self.ambient.fill(&mut bytes);
        usize::try_from(u64::from_ne_bytes(bytes) % below as u64).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use futures_util::FutureExt;
    use std::sync::Mutex;

    /// Longer than any backoff.
    const LONG: Duration = Duration::from_secs(60);
    const DEADLINES: Deadlines = Deadlines {
        total: Duration::from_secs(5),
        attempt: Duration::from_secs(1),
        ignores_backoff: false,
        is_telling: true,
    };

    fn pool(count: usize) -> Pool<()> {
        let endpoint = |at| Arc::new(Endpoint::new(&format!("http://{at}"), ()));
        Pool::new((0..count).map(endpoint).collect(), Ambient::system())
    }

    fn name(endpoint: &Endpoint<()>) -> char {
        endpoint.url.chars().last().unwrap()
    }

    /// Makes one call; `behave` says how each control plane answers. Returns the answer, and which were called.
    async fn call(
        pool: &Pool<()>,
        deadlines: Deadlines,
        behave: impl Fn(char) -> Option<Result<char, LinkError>> + Sync,
    ) -> (Result<char, LinkError>, String) {
        let called = Mutex::new(String::new());
        let answer = pool
            .call(deadlines, |endpoint, _| {
                called.lock().unwrap().push(name(&endpoint));
                let answer = behave(name(&endpoint));
                async move {
                    match answer {
                        Some(answer) => answer,
                        None => std::future::pending().await,
                    }
                }
            })
            .await;
        (answer, called.into_inner().unwrap())
    }

    fn unreachable_answer() -> Option<Result<char, LinkError>> {
        Some(Err(LinkError::Unreachable("gone".into())))
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_fails_is_skipped_and_backs_off() {
        let pool = pool(2);
        let only_1 = |name| {
            if name == '0' {
                unreachable_answer()
            } else {
                Some(Ok(name))
            }
        };
        let mut failures = 0;
        for _ in 0..50 {
            let (answer, called) = call(&pool, DEADLINES, only_1).await;
            assert_eq!(answer, Ok('1'));
            failures += called.matches('0').count();
        }
        assert_eq!(failures, 1, "no time passed");
        tokio::time::advance(LONG).await;
        assert!(pool.endpoints[0].is_available());
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_back_off_a_call_fails_at_once_until_it_is_time_to_try() {
        let pool = pool(2);
        let error = LinkError::Unreachable("gone".into());
        let (answer, called) = call(&pool, DEADLINES, |_| unreachable_answer()).await;
        assert_eq!((answer, called.len()), (Err(error.clone()), 2));
        assert_eq!(
            call(&pool, DEADLINES, |_| unreachable_answer()).await,
            (Err(error.clone()), String::new())
        );
        let insistent = Deadlines {
            ignores_backoff: true,
            ..DEADLINES
        };
        let (answer, called) = call(&pool, insistent, |_| unreachable_answer()).await;
        assert_eq!((answer, called.len()), (Err(error), 2));
        tokio::time::advance(LONG).await;
        assert!(call(&pool, DEADLINES, |name| Some(Ok(name))).await.0.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_hangs_costs_a_part_of_the_time_and_the_last_gets_what_is_left() {
        let pool = pool(2);
        let begun = Instant::now();
        let (answer, called) = call(&pool, DEADLINES, |_| None).await;
        assert_eq!(answer, Err(LinkError::Unreachable("it did not answer in time".into())));
        assert_eq!((called.len(), begun.elapsed()), (2, DEADLINES.total));
        tokio::time::advance(LONG).await;
        let begun = Instant::now();
        let hangs = |name| (name != '0').then_some(Ok(name));
        while call(&pool, DEADLINES, hangs).await.1 != "01" {}
        assert_eq!(begun.elapsed(), DEADLINES.attempt);
    }

    #[tokio::test(start_paused = true)]
    async fn where_that_tells_nothing_one_that_takes_long_goes_on_being_called() {
        let pool = pool(2);
        let patient = Deadlines {
            is_telling: false,
            ..DEADLINES
        };
        let (answer, called) = call(&pool, patient, |_| None).await;
        assert_eq!((answer.is_err(), called.len()), (true, 2));
        assert!(pool.endpoints.iter().all(|endpoint| endpoint.is_available()));
        call(&pool, patient, |_| unreachable_answer()).await.0.unwrap_err();
        assert!(!pool.endpoints.iter().any(|endpoint| endpoint.is_available()));
        tokio::time::advance(LONG).await;
        call(&pool, patient, |_| None).await.0.unwrap_err();
        let away = pool
            .endpoints
            .iter()
            .filter_map(|endpoint| endpoint.available_at())
            .map(|at| at - Instant::now());
        assert!(
            away.max().unwrap() <= super::super::endpoint::BACKOFF.1,
            "what was a probe has an outcome"
        );
    }

    /// Found by the simulation: two control planes that took a little longer than one attempt may were marked as failed by some
    /// calls, and others gave up with most of their time left.
    #[tokio::test(start_paused = true)]
    async fn a_call_that_failed_once_tries_those_that_back_off() {
        let pool = pool(2);
        pool.endpoints[1].failed("gone", &pool.ambient);
        let only_1 = |name| {
            if name == '0' {
                unreachable_answer()
            } else {
                Some(Ok(name))
            }
        };
        assert_eq!(call(&pool, DEADLINES, only_1).await, (Ok('1'), "01".to_owned()));
    }

    #[tokio::test(start_paused = true)]
    async fn an_error_that_is_an_answer_is_final() {
        let pool = pool(2);
        let internal = LinkError::Internal { request_id: "r".into() };
        let (answer, called) = call(&pool, DEADLINES, |_| Some(Err(internal.clone()))).await;
        assert_eq!((answer, called.len()), (Err(internal.clone()), 1));
        assert!(pool.endpoints.iter().all(|endpoint| endpoint.is_available()));
    }

    #[tokio::test(start_paused = true)]
    async fn one_of_an_earlier_version_gives_way_to_another() {
        let pool = pool(2);
        let behind = LinkError::refused(KeyRefusal::ProtocolVersion);
        let only_1 = |name| Some(if name == '0' { Err(behind.clone()) } else { Ok(name) });
        for _ in 0..10 {
            assert_eq!(call(&pool, DEADLINES, only_1).await.0, Ok('1'));
        }
        assert!(!pool.endpoints[0].is_available());
        let (answer, called) = call(&pool, DEADLINES, |_| Some(Err(behind.clone()))).await;
        assert_eq!((answer, called.len()), (Err(behind.clone()), 2), "all are");
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_failed_is_probed_by_one_call_alone() {
        let pool = pool(1);
        call(&pool, DEADLINES, |_| unreachable_answer()).await.0.unwrap_err();
        tokio::time::advance(LONG).await;
        let probe = pool.call(DEADLINES, |_, _| std::future::pending::<Result<char, LinkError>>());
        let mut probe = std::pin::pin!(probe);
        assert!((&mut probe).now_or_never().is_none());
        assert_eq!(call(&pool, DEADLINES, |name| Some(Ok(name))).await.1, "");
    }

    /// Found by the simulation: one lost answer, and much later all but one of several calls at once were refused.
    #[tokio::test(start_paused = true)]
    async fn one_that_is_attached_to_needs_no_probe() {
        let pool = pool(1);
        let _attached = pool.endpoints[0].attach();
        call(&pool, DEADLINES, |_| unreachable_answer()).await.0.unwrap_err();
        assert_eq!(
            call(&pool, DEADLINES, |name| Some(Ok(name))).await.1,
            "",
            "it backs off"
        );
        tokio::time::advance(LONG).await;
        let first = pool.call(DEADLINES, |_, _| std::future::pending::<Result<char, LinkError>>());
        let mut first = std::pin::pin!(first);
        assert!((&mut first).now_or_never().is_none());
        assert_eq!(call(&pool, DEADLINES, |name| Some(Ok(name))).await.1, "0");
    }

    #[tokio::test]
    async fn the_busier_of_two_is_spared() {
        let pool = pool(3);
        let _busy: Vec<_> = [0, 0, 0, 1, 1].map(|at: usize| pool.endpoints[at].begin()).into();
        let mut counts = [0; 3];
        for _ in 0..3000 {
            let mut untried = pool.endpoints.iter().collect();
            let chosen = pool.choose(&mut untried, false).unwrap();
            counts[name(chosen).to_digit(10).unwrap() as usize] += 1;
        }
        // The busiest loses every draw; the least busy wins the two of three that it is in.
        assert_eq!(counts[0], 0);
        assert!((1800..2200).contains(&counts[2]), "{counts:?}");
    }
}
