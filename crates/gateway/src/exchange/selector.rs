//! Plans the next attempt of a request: to which candidate, with which key, when, and whether there may be one.
//!
//! Not here: the order of the candidates (`routing::routes`), what an attempt's end means (`resilience::decision`), and making
//! the attempt (`attempt`).

use crate::auth::credentials::Outgoing;
use crate::error::Refusal;
use crate::exchange::request_body::{RequestBody, Sent};
use crate::exchange::upstream_request::{Position, UpstreamRequest};
use crate::fetched_keys::FetchedKey;
use crate::resilience::breaker::{BreakerPermit, BreakerTarget, Breakers, Credential};
use crate::resilience::decision::{AttemptEnd, BreakerReport, Consequences, RetryDecision};
use crate::resilience::retry::{self, millis};
use crate::routing::provider::Provider;
use crate::routing::routes::{Candidate, Candidates};
use bytes::Bytes;
use http::Uri;
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::policy::StreamUsage;
use lychgate_types::provider::Api;
use lychgate_types::{Ambient, ProviderId, ProviderKeyId};
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;

/// Goes through a request's candidates, attempt by attempt.
#[derive(Debug)]
pub(crate) struct UpstreamSelector {
    candidates: Candidates,
    /// The user's own credential; it replaces every central key.
    own: Option<Arc<Outgoing>>,
    /// The one central key that may be sent, where there is but one.
    only_key: Option<usize>,
    api: Api,
    /// The client's model, as breakers name it.
    model: u64,
    body: RequestBody,
    begun: Instant,
    progress: Progress,
}

#[derive(Debug, Default)]
struct Progress {
    /// Index of the current candidate.
    at: usize,
    /// Attempts on it.
    attempts: u32,
    /// The keys of its attempts but the last.
    used: Vec<usize>,
    key: Option<usize>,
    /// It has refused to tell usage, so that it is asked as the client wrote it.
    is_as_written: bool,
    /// Providers of the candidates before it that were tried.
    tried: Vec<ProviderId>,
}

/// An attempt that may be made: what is sent where, how long to wait for the answer, and the breaker's permit.
#[derive(Debug)]
pub(crate) struct AttemptPlan {
    pub(crate) provider: Arc<Provider>,
    /// Which of the provider's central keys is sent; `None` for the user's own.
    key: Option<usize>,
    pub(crate) credential: Arc<Outgoing>,
    url: Uri,
    /// The model that is asked for, where it is another than the client's.
    pub(crate) model: Option<Arc<str>>,
    sent: Sent,
    /// The kind of the request, where it has to be known whether the provider tells the usage of such streams.
    kind: Option<u64>,
    /// Whether another attempt may follow.
    pub(crate) position: Position,
    /// How long to wait for the head of the answer.
    pub(crate) limit: Duration,
    /// When the whole answer has to be there.
    pub(crate) end: Instant,
    permit: BreakerPermit,
}

/// Why a candidate can't be tried, or none of them.
#[derive(Debug)]
pub(crate) struct Unavailable {
    /// What the client gets, if there was no attempt before.
    pub(crate) refusal: Refusal,
    /// After how long it may be available, where that is known.
    wait: Option<Duration>,
}

impl UpstreamSelector {
    pub(crate) fn new(
        candidates: Candidates,
        own: Option<Arc<Outgoing>>,
        only_key: Option<usize>,
        api: Api,
        model: u64,
        body: RequestBody,
    ) -> Self {
        Self {
            candidates,
            own,
            only_key,
            api,
            model,
            body,
            begun: Instant::now(),
            progress: Progress::default(),
        }
    }

    /// Plans an attempt on the current candidate, or on the first one after it that is available. Where none is, the reason is
    /// that of the candidate that is available first.
    pub(crate) fn next(
        &mut self,
        breakers: &Arc<Breakers>,
        request: &UpstreamRequest,
    ) -> Result<AttemptPlan, Unavailable> {
        let mut soonest: Option<Unavailable> = None;
        while let Some(candidate) = self.candidates.get(self.progress.at).cloned() {
            match self.plan(breakers, request, &candidate) {
                Ok(plan) => return Ok(plan),
                Err(unavailable) => {
                    if soonest
                        .as_ref()
                        .is_none_or(|known| unavailable.is_available_before(known))
                    {
                        soonest = Some(unavailable);
                    }
                    self.advance(&candidate);
                }
            }
        }
        Err(soonest.unwrap_or_else(|| Unavailable::for_now(None)))
    }

    /// The same candidate is asked once more, since there is a newer credential. That is no attempt of its own.
    pub(crate) fn ask_with_renewed(&mut self) {
        self.progress.attempts = self.progress.attempts.saturating_sub(1);
    }

    /// The same candidate is asked once more, this time as the client wrote it. That is no attempt of its own.
    pub(crate) fn ask_as_written(&mut self) {
        self.progress.is_as_written = true;
        self.progress.attempts = self.progress.attempts.saturating_sub(1);
    }

    /// Whether an answer that quotes the request could name what asks for usage.
    pub(crate) fn may_quote_usage(&self) -> bool {
        self.body.may_quote_usage()
    }

    /// After an attempt: how long to wait before [`Self::next`]; `None` if the client gets its answer.
    pub(crate) fn wait_before_next(&mut self, decision: RetryDecision, ambient: &Ambient) -> Option<Duration> {
        if decision == RetryDecision::Forward {
            return None;
        }
        let candidate = self.candidates.get(self.progress.at)?.clone();
        let retry = &candidate.provider.config.policy.retry;
        self.progress.used.extend(self.progress.key.take());
        let has_choice = self.own.is_none() && self.only_key.is_none();
        let has_fresh_key = || has_choice && candidate.provider.pool.has_fresh(&self.progress.used);
        let wait = match decision {
            _ if self.progress.attempts >= retry.max_attempts => None,
            RetryDecision::RotateKey | RetryDecision::RateLimited(_) if has_fresh_key() => Some(Duration::ZERO),
            // What is stored may be there twice then.
            _ if self.api.is_about_objects() => None,
            RetryDecision::RateLimited(asked) | RetryDecision::Retry(asked) => {
                retry::wait(retry, self.progress.attempts.saturating_sub(1), asked, ambient)
            }
            RetryDecision::RotateKey | RetryDecision::Failover | RetryDecision::Forward => None,
        };
        let budget = &candidate.provider.state.budget;
        if let Some(wait) = wait.filter(|wait| *wait < self.time_left(&candidate))
            && budget.withdraw(retry.budget_percent)
        {
            return Some(wait);
        }
        self.advance(&candidate);
        (self.progress.at < self.candidates.len()).then_some(Duration::ZERO)
    }

    /// Goes on to the next candidate.
    fn advance(&mut self, candidate: &Candidate) {
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

    fn plan(
        &mut self,
        breakers: &Arc<Breakers>,
        request: &UpstreamRequest,
        candidate: &Candidate,
    ) -> Result<AttemptPlan, Unavailable> {
        let provider = &candidate.provider;
        let policy = &provider.config.policy;
        let time_left = self.time_left(candidate);
        if time_left.is_zero() {
            return Err(Unavailable::for_now(None));
        }
        // Only another model than the client's has to be put in.
        let other = candidate.model.as_ref().map(|name| (name, breakers.model(name)));
        let other = other.filter(|(_, model)| *model != self.model);
        let model = other.map_or(self.model, |(_, model)| model);
        let name = other.map(|(name, _)| name);
        let path = request.path_at(provider).map_err(Unavailable::for_good)?;
        // A path of the provider's own is written for the client's model, too.
        let written_for = if request.is_for(provider) {
            name
        } else {
            candidate.model.as_ref()
        };
        let url = request.url(provider, path, written_for.map(|name| &**name));
        let url = url.map_err(Unavailable::for_good)?;
        let may_refuse = self.progress.is_as_written || !provider.state.usage_refusals.is_empty();
        let kind = match self.body.lacks_usage() && may_refuse {
            true => self
                .body
                .members()
                .map(|members| breakers.model_and_kind(model, request.version_at(provider).as_deref(), &members)),
            false => None,
        };
        let wants_usage = self.body.lacks_usage() && !self.progress.is_as_written && provider.wants_usage(kind);
        let put_in = match (path.names_model(), self.body.lacks_model()) {
            (true, _) => None,
            (false, true) => candidate.model.as_ref(),
            (false, false) => name,
        };
        let sent = self.body.for_attempt(put_in, wants_usage);
        let sent = sent.map_err(Unavailable::for_good)?;
        let (key, credential, permit) = self.permit(breakers, provider, model)?;
        if self.progress.attempts == 0 {
            let budget = &provider.state.budget;
            if !self.progress.tried.contains(&provider.config.id) {
                budget.request();
            } else if !budget.withdraw(policy.retry.budget_percent) {
                return Err(Unavailable::for_now(None));
            }
        }
        self.progress.attempts += 1;
        self.progress.key = key;
        let more = self.progress.attempts < policy.retry.max_attempts
            || self.progress.at + 1 < self.candidates.len()
            || sent.asks_for_usage
            || (key.is_some() && provider.pool.fetched().next().is_some());
        Ok(AttemptPlan {
            provider: Arc::clone(provider),
            key,
            credential,
            url,
            model: name.map(Arc::clone),
            kind,
            sent,
            position: if more { Position::MoreMayFollow } else { Position::Last },
            limit: millis(policy.timeouts.headers_ms).min(time_left),
            end: self.begun + millis(policy.timeouts.total_ms),
            permit,
        })
    }

    /// A credential whose breaker permits an attempt.
    fn permit(
        &self,
        breakers: &Arc<Breakers>,
        provider: &Provider,
        model: u64,
    ) -> Result<(Option<usize>, Arc<Outgoing>, BreakerPermit), Unavailable> {
        let ask = |credential: Credential<'_>| {
            breakers.admit(BreakerTarget {
                provider: provider.config.id,
                id: breakers.id(provider.config.id, self.api, model, credential),
                policy: provider.config.policy.breaker,
            })
        };
        if let Some(own) = &self.own {
            return match ask(Credential::Own(&own.value)) {
                Ok(permit) => Ok((None, Arc::clone(own), permit)),
                Err(wait) => Err(Unavailable::for_now(Some(wait))),
            };
        }
        let pool = &provider.pool;
        let mut excluded = match self.only_key {
            Some(only) => pool.others(only),
            None => Vec::new(),
        };
        let mut soonest: Option<Duration> = None;
        while let Some((index, credential)) = pool.pick(&self.progress.used, &excluded) {
            let Some(key) = pool.key(index) else { break };
            match ask(Credential::Central(key.id)) {
                Ok(permit) => return Ok((Some(index), credential, permit)),
                Err(wait) => {
                    excluded.push(index);
                    soonest = Some(soonest.map_or(wait, |known| known.min(wait)));
                }
            }
        }
        Err(match soonest {
            None => Unavailable::for_good(provider.without_key()),
            wait => Unavailable::for_now(wait),
        })
    }

    /// What is left of the time for the whole exchange.
    fn time_left(&self, candidate: &Candidate) -> Duration {
        millis(candidate.provider.config.policy.timeouts.total_ms).saturating_sub(self.begun.elapsed())
    }
}

impl AttemptPlan {
    /// Whether it is made with one of the provider's central keys.
    pub(crate) fn uses_central_key(&self) -> bool {
        self.key.is_some()
    }

    /// The URL and the body. To be taken once.
    pub(crate) fn take_target(&mut self) -> (Uri, Bytes) {
        (std::mem::take(&mut self.url), std::mem::take(&mut self.sent.bytes))
    }

    /// Applies what the attempt's end means to the breaker and the key, and says what to do next.
    pub(crate) fn settle(&mut self, end: AttemptEnd, breakers: &Breakers) -> RetryDecision {
        let key_cooldown = self.key.map(|_| self.provider.key_cooldown());
        let policy = &self.provider.config.policy.breaker;
        let consequences = end.consequences(key_cooldown, policy.failure_status);
        let changed = self.permit.report(consequences.breaker, breakers);
        self.provider.log(end, &consequences, changed);
        self.cool_down(end, &consequences);
        consequences.decision
    }

    /// The same of an error that came later over the connection that the attempt has opened, about a request for this model.
    pub(crate) fn settle_later(&self, end: AttemptEnd, api: Api, model: u64, breakers: &Breakers) {
        let config = &self.provider.config;
        let policy = config.policy.breaker;
        let key_cooldown = self.key.map(|_| self.provider.key_cooldown());
        let consequences = end.consequences(key_cooldown, policy.failure_status);
        let credential = match self.key_id() {
            Some(key) => Credential::Central(key),
            None => Credential::Own(&self.credential.value),
        };
        let target = BreakerTarget {
            provider: config.id,
            id: breakers.id(config.id, api, model, credential),
            policy,
        };
        let opened = consequences.breaker == BreakerReport::Failure && breakers.failed(target);
        self.provider.log(end, &consequences, opened);
        self.cool_down(end, &consequences);
    }

    fn cool_down(&self, end: AttemptEnd, consequences: &Consequences) {
        let status = match end {
            AttemptEnd::Answered { status, .. } | AttemptEnd::OutOfCredit { status } => Some(status),
            _ => None,
        };
        if let (Some(key), Some(term), Some(status)) = (self.key, consequences.cooldown, status) {
            self.provider.cool_down(key, &self.credential, status, term);
        }
    }

    /// The key by which the credential was fetched that was sent, where the provider refused it and has no other to be tried.
    pub(crate) fn refused_fetched(&self, end: AttemptEnd) -> Option<Arc<FetchedKey>> {
        let key = self
            .key
            .filter(|_| matches!(end, AttemptEnd::Answered { status: 401, .. }))?;
        let pool = &self.provider.pool;
        (!pool.has_fresh(&[key])).then(|| pool.key(key)?.fetched().map(Arc::clone))?
    }

    /// Which of the provider's central keys is sent; `None` for the user's own.
    pub(crate) fn key_id(&self) -> Option<ProviderKeyId> {
        Some(self.provider.pool.key(self.key?)?.id)
    }

    /// Whether the gateway has asked for usage, so that the chunk which tells it is not for the client.
    pub(crate) fn asks_for_usage(&self) -> bool {
        self.sent.asks_for_usage
    }

    /// Whether the same may go to the provider again without.
    pub(crate) fn may_ask_as_written(&self) -> bool {
        self.provider.config.policy.relay.stream_usage != StreamUsage::Always
    }

    /// Remembers that the provider tells no usage in such streams: it refused to, and took the request without.
    pub(crate) fn refuses_usage(&self) {
        if let Some(kind) = self.kind {
            self.provider.state.usage_refusals.add(kind);
        }
    }

    /// Where it counts if the body of the answer ends badly.
    pub(crate) fn breaker(&self) -> BreakerTarget {
        self.permit.target()
    }
}

impl Unavailable {
    fn for_now(wait: Option<Duration>) -> Self {
        let seconds = wait.map_or(1, |wait| {
            u32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(u32::MAX)
        });
        let refusal = Refusal::unavailable(
            Refused::CircuitOpen,
            "the circuit breaker for this provider is open because it failed too often; try again shortly",
            seconds.max(1),
        );
        Self { refusal, wait }
    }

    /// It won't be available soon.
    fn for_good(refusal: Refusal) -> Self {
        Self { refusal, wait: None }
    }

    fn is_available_before(&self, other: &Self) -> bool {
        match (self.wait, other.wait) {
            (Some(wait), Some(known)) => wait < known,
            (Some(_), None) => true,
            (None, _) => false,
        }
    }
}
