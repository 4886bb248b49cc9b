//! One request's way through its candidates: where the next attempt goes, with which key, when, and whether there is leave
//! for it.
//!
//! Not here: making the attempt (`attempt`).

use crate::auth::credentials::Outgoing;
use crate::error::Refusal;
use crate::exchange::attempts::UpstreamRequest;
use crate::resilience::breaker::{BreakerTarget, Credential, Permit};
use crate::resilience::retry::{self, RetryDecision, millis};
use crate::routing::provider::Provider;
use crate::routing::routes::{Candidate, Candidates};
use crate::shared::Shared;
use bytes::Bytes;
use http::{StatusCode, Uri};
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::ProviderId;
use lychgate_types::provider::Api;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// The way, and how far it has been gone.
#[derive(Debug)]
pub(crate) struct UpstreamSelector {
    candidates: Candidates,
    /// The user's own credential; it replaces every central key.
    own: Option<Outgoing>,
    api: Api,
    /// The client's model, as breakers name it.
    model: u64,
    /// The body with the client's model.
    body: Bytes,
    begun: Instant,
    progress: Progress,
}

#[derive(Debug, Default)]
struct Progress {
    /// The candidate in hand.
    at: usize,
    /// Attempts on it.
    attempts: u32,
    /// The keys of its attempts but the last.
    used: Vec<usize>,
    key: Option<usize>,
    /// Its body, where its model is another.
    body: Option<Bytes>,
    /// Providers of the candidates before it that were tried.
    tried: Vec<ProviderId>,
}

/// Leave for one attempt.
#[derive(Debug)]
pub(crate) struct AttemptPlan {
    pub(crate) provider: Arc<Provider>,
    /// Which of the provider's central keys goes with it; `None` for the user's own.
    pub(crate) key: Option<usize>,
    pub(crate) url: Uri,
    /// The model that the body asks for, where it is another than the client's.
    pub(crate) model: Option<Arc<str>>,
    pub(crate) body: Bytes,
    /// How long the head may be waited for.
    pub(crate) limit: Duration,
    /// When the whole answer has to be there.
    pub(crate) end: Instant,
}

/// Why there is no leave: what the client is told, and after how long it may be different.
struct Unavailable(Refusal, Option<Duration>);

impl UpstreamSelector {
    pub(crate) fn new(candidates: Candidates, own: Option<Outgoing>, api: Api, model: u64, body: Bytes) -> Self {
        Self {
            candidates,
            own,
            api,
            model,
            body,
            begun: Instant::now(),
            progress: Progress::default(),
        }
    }

    /// Whether another attempt may come after the one that there is a pass for.
    pub(crate) fn may_go_on(&self) -> bool {
        let more = |candidate: &Candidate| {
            self.progress.attempts < candidate.provider.config.policy.retry.max_attempts
                || self.progress.at + 1 < self.candidates.len()
        };
        self.candidates.get(self.progress.at).is_some_and(more)
    }

    /// The credential that goes with a pass.
    pub(crate) fn credential<'a>(&'a self, pass: &'a AttemptPlan) -> Option<&'a Outgoing> {
        match pass.key {
            Some(key) => pass.provider.pool.key(key).map(|key| &key.outgoing),
            None => self.own.as_ref(),
        }
    }

    /// Gets leave for an attempt on the candidate in hand, or on the first one after it that gives some. Refused, it says
    /// when it may be different, where anybody knows.
    pub(crate) fn board(
        &mut self,
        shared: &Shared,
        request: &UpstreamRequest,
    ) -> Result<(AttemptPlan, Permit), Refusal> {
        let mut why: Option<Unavailable> = None;
        while let Some(candidate) = self.candidates.get(self.progress.at).cloned() {
            match self.enter(shared, request, &candidate) {
                Ok(pass) => return Ok(pass),
                Err(barred) => {
                    let sooner = match (&why, barred.1) {
                        (None, _) | (Some(Unavailable(_, None)), Some(_)) => true,
                        (Some(Unavailable(_, Some(known))), Some(wait)) => wait < *known,
                        _ => false,
                    };
                    if sooner {
                        why = Some(barred);
                    }
                    self.leave(&candidate);
                }
            }
        }
        Err(why.map_or_else(|| unavailable(None).0, |Unavailable(refusal, _)| refusal))
    }

    /// After an attempt: how long to wait before [`Self::board`]; `None` when its answer has to do.
    pub(crate) fn next(&mut self, shared: &Shared, decision: RetryDecision) -> Option<Duration> {
        if decision == RetryDecision::Forward {
            return None;
        }
        let candidate = self.candidates.get(self.progress.at)?.clone();
        let retry = &candidate.provider.config.policy.retry;
        self.progress.used.extend(self.progress.key.take());
        let fresh = || self.own.is_none() && candidate.provider.pool.has_fresh(&self.progress.used);
        let wait = match decision {
            _ if self.progress.attempts >= retry.max_attempts => None,
            RetryDecision::RotateKey | RetryDecision::RateLimited(_) if fresh() => Some(Duration::ZERO),
            RetryDecision::RateLimited(asked) | RetryDecision::Retry(asked) => {
                retry::wait(retry, self.progress.attempts.saturating_sub(1), asked, &shared.ambient)
            }
            RetryDecision::RotateKey | RetryDecision::Failover | RetryDecision::Forward => None,
        };
        let budget = &candidate.provider.state.budget;
        if let Some(wait) = wait.filter(|wait| *wait < self.time_left(&candidate))
            && budget.withdraw(retry.budget_percent)
        {
            return Some(wait);
        }
        self.leave(&candidate);
        (self.progress.at < self.candidates.len()).then_some(Duration::ZERO)
    }

    /// Goes on to the next candidate.
    fn leave(&mut self, candidate: &Candidate) {
        let mut tried = std::mem::take(&mut self.progress.tried);
        if self.progress.attempts > 0 {
            tried.push(candidate.provider.config.id);
        }
        self.progress = Progress {
            at: self.progress.at + 1,
            tried,
            ..Progress::default()
        };
    }

    fn enter(
        &mut self,
        shared: &Shared,
        request: &UpstreamRequest,
        candidate: &Candidate,
    ) -> Result<(AttemptPlan, Permit), Unavailable> {
        let provider = &candidate.provider;
        let policy = &provider.config.policy;
        let time_left = self.time_left(candidate);
        if time_left.is_zero() {
            return Err(unavailable(None));
        }
        let url = request.url(provider).map_err(|refusal| Unavailable(refusal, None))?;
        let (model, body) = self.ask_for(shared, candidate)?;
        let (key, permit) = self.admit(shared, provider, model)?;
        if self.progress.attempts == 0 {
            let budget = &provider.state.budget;
            if !self.progress.tried.contains(&provider.config.id) {
                budget.request();
            } else if !budget.withdraw(policy.retry.budget_percent) {
                return Err(unavailable(None));
            }
        }
        self.progress.attempts += 1;
        self.progress.key = key;
        let pass = AttemptPlan {
            provider: Arc::clone(provider),
            key,
            url,
            model: candidate.model.clone().filter(|_| model != self.model),
            body,
            limit: millis(policy.timeouts.headers_ms).min(time_left),
            end: self.begun + millis(policy.timeouts.total_ms),
        };
        Ok((pass, permit))
    }

    /// The candidate's model as breakers name it, and the body that asks for it.
    fn ask_for(&mut self, shared: &Shared, candidate: &Candidate) -> Result<(u64, Bytes), Unavailable> {
        let Some(name) = &candidate.model else {
            return Ok((self.model, self.body.clone()));
        };
        let model = shared.breakers.model(name);
        if model == self.model {
            return Ok((model, self.body.clone()));
        }
        if let Some(body) = &self.progress.body {
            return Ok((model, body.clone()));
        }
        let body = lychgate_wire::with_model(&self.body, name).map(Bytes::from).ok_or_else(|| {
            let message = "a route names another model for this request, but the request's own can't be replaced: name it once, as text";
            Unavailable(Refusal::new(StatusCode::BAD_REQUEST, Refused::RouteUnusable, message), None)
        })?;
        self.progress.body = Some(body.clone());
        Ok((model, body))
    }

    /// A credential whose breaker gives leave.
    fn admit(&self, shared: &Shared, provider: &Provider, model: u64) -> Result<(Option<usize>, Permit), Unavailable> {
        let ask = |credential: Credential<'_>| {
            shared.breakers.admit(BreakerTarget {
                provider: provider.config.id,
                id: shared.breakers.id(provider.config.id, self.api, model, credential),
                policy: provider.config.policy.breaker,
            })
        };
        if let Some(own) = &self.own {
            return match ask(Credential::Own(&own.value)) {
                Ok(permit) => Ok((None, permit)),
                Err(wait) => Err(unavailable(Some(wait))),
            };
        }
        let mut barred = Vec::new();
        let mut soonest: Option<Duration> = None;
        while let Some(index) = provider.pool.pick(&self.progress.used, &barred)
            && let Some(key) = provider.pool.key(index)
        {
            match ask(Credential::Central(key.id)) {
                Ok(permit) => return Ok((Some(index), permit)),
                Err(wait) => {
                    barred.push(index);
                    soonest = Some(soonest.map_or(wait, |known| known.min(wait)));
                }
            }
        }
        Err(match soonest {
            None => Unavailable(Provider::without_key(), None),
            wait => unavailable(wait),
        })
    }

    /// What is left of the time for the whole exchange.
    fn time_left(&self, candidate: &Candidate) -> Duration {
        millis(candidate.provider.config.policy.timeouts.total_ms).saturating_sub(self.begun.elapsed())
    }
}

fn unavailable(wait: Option<Duration>) -> Unavailable {
    let seconds = wait.map_or(1, |wait| {
        u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
    });
    let refusal = Refusal::unavailable(
        Refused::ProviderLeftAlone,
        "this provider has failed too often of late and is left alone for a moment; try again shortly",
        seconds.max(1),
    );
    Unavailable(refusal, wait)
}
