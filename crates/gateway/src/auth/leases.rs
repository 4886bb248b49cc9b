//! What this replica believes about user tokens, and for how long.
//!
//! A token is asked about once, however many requests come with it; an answer that was under way when the token was
//! revoked is not believed. All sizes are bounded, and a flood of unknown tokens can't push known ones out.
//!
//! Not here: the look-up itself (a [`ControlLink`]).

mod shards;

use crate::counts::LeaseCounts;
use lychgate_link::{Authorization, ControlLink, DenyReason, LinkError};
use lychgate_telemetry::metrics::labels::Lookup;
use lychgate_types::Timestamp;
use lychgate_types::secret::SecretHash;
use parking_lot::{Mutex, MutexGuard};
use shards::{Lease, Shards};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::Instant;

/// Tokens asked about at the same time; beyond that, unknown ones have to wait outside.
const FLIGHTS: usize = 1024;
/// A client waits for this answer, so it gets little time.
const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// A token revoked this often while being asked about is not asked about again.
const ASK_ATTEMPTS: u32 = 3;
/// No lease is longer, whatever the control plane says.
const LONGEST_LEASE: Duration = Duration::from_secs(24 * 3600);

/// What to do with a token's request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Let it through.
    Allowed,
    /// The token is good, but not for AI requests.
    Forbidden,
    /// The token is not good.
    Denied(DenyReason),
    /// Nobody can tell at present.
    Unknown,
}

/// The cache.
#[derive(Debug, Default)]
pub(crate) struct Leases {
    believed: Shards,
    /// Tokens being asked about. Held while an answer is taken in and while a token is revoked, so that neither passes the
    /// other by.
    flights: Mutex<HashMap<SecretHash, Flight>>,
    /// Grows whenever anything is believed, or no longer.
    changes: AtomicU64,
    pub(crate) counts: LeaseCounts,
}

/// A lease on a good token, as it outlives the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Kept {
    pub(crate) token: SecretHash,
    pub(crate) may_send_requests: bool,
    pub(crate) until: Timestamp,
}

#[derive(Debug)]
struct Flight {
    answer: watch::Receiver<Option<Verdict>>,
    /// The token was revoked after the question went out.
    stale: bool,
}

impl Leases {
    /// What is known without asking.
    pub(crate) fn known(&self, token: &SecretHash) -> Option<Verdict> {
        let lease = self.believed.find(token)?;
        (lease.until > Instant::now()).then_some(lease.verdict)
    }

    /// Asks the control plane, together with whoever asks about the same token at the same time. The question goes on when
    /// its askers leave, so that they find the answer when they come again.
    pub(crate) async fn ask(self: &Arc<Self>, link: &Arc<dyn ControlLink>, token: SecretHash) -> Verdict {
        let mut answer = match self.board(link, token) {
            Ok(answer) => answer,
            Err(verdict) => return verdict,
        };
        match answer.wait_for(Option::is_some).await {
            Ok(verdict) => verdict.unwrap_or(Verdict::Unknown),
            Err(_) => Verdict::Unknown,
        }
    }

    /// These tokens must not be believed any longer.
    pub(crate) fn revoke(&self, tokens: &[SecretHash]) {
        let mut flights = self.flights();
        for token in tokens {
            if let Some(flight) = flights.get_mut(token) {
                flight.stale = true;
            }
            self.believed.forget(token);
        }
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// Nothing is to be believed any longer: revocations may have been missed.
    pub(crate) fn forget_all(&self) {
        let mut flights = self.flights();
        flights.values_mut().for_each(|flight| flight.stale = true);
        self.believed.forget_all();
        self.changes.fetch_add(1, Ordering::AcqRel);
    }

    /// How many tokens something is believed of: good ones, and others.
    pub(crate) fn count(&self) -> (usize, usize) {
        self.believed.count()
    }

    /// How many tokens are being asked about.
    pub(crate) fn asked_about(&self) -> usize {
        self.flights().len()
    }

    /// A number that another one follows once anything is believed, or no longer.
    pub(crate) fn changes(&self) -> u64 {
        self.changes.load(Ordering::Acquire)
    }

    /// All good tokens' leases.
    pub(crate) fn all(&self, now: Timestamp) -> Vec<Kept> {
        let at = Instant::now();
        let good = self.believed.good();
        let left = good.into_iter().filter(|(_, lease)| lease.until > at);
        left.map(|(token, lease)| Kept {
            token,
            may_send_requests: lease.verdict == Verdict::Allowed,
            until: now.plus(lease.until - at),
        })
        .collect()
    }

    /// Believes in what an earlier process believed in.
    pub(crate) fn restore(&self, kept: &[Kept], now: Timestamp) {
        let at = Instant::now();
        for kept in kept {
            let left = kept.until.as_micros().saturating_sub(now.as_micros());
            let Some(left) = u64::try_from(left).ok().filter(|left| *left > 0) else {
                continue;
            };
            let lease = Lease {
                verdict: if kept.may_send_requests {
                    Verdict::Allowed
                } else {
                    Verdict::Forbidden
                },
                until: at + Duration::from_micros(left).min(LONGEST_LEASE),
            };
            self.believed.believe(kept.token, lease);
        }
    }

    /// Joins the token's flight, or starts one. An error where that is not needed, or not possible: the verdict.
    fn board(
        self: &Arc<Self>,
        link: &Arc<dyn ControlLink>,
        token: SecretHash,
    ) -> Result<watch::Receiver<Option<Verdict>>, Verdict> {
        let mut flights = self.flights();
        if let Some(flight) = flights.get(&token) {
            return Ok(flight.answer.clone());
        }
        // It may have landed since the caller looked.
        if let Some(verdict) = self.known(&token) {
            return Err(verdict);
        }
        if flights.len() >= FLIGHTS {
            return Err(Verdict::Unknown);
        }
        let (landed, answer) = watch::channel(None);
        flights.insert(
            token,
            Flight {
                answer: answer.clone(),
                stale: false,
            },
        );
        let ticket = Ticket {
            leases: Arc::clone(self),
            token,
        };
        let link = Arc::clone(link);
        tokio::spawn(async move {
            let verdict = fly(&ticket, &*link).await;
            ticket.leases.counts.lookups.count(lookup(verdict));
            drop(ticket);
            landed.send_replace(Some(verdict));
        });
        Ok(answer)
    }

    /// Takes an answer in. `None` when the token was revoked meanwhile and must be asked about again.
    fn land(&self, token: &SecretHash, authorization: Authorization) -> Option<Verdict> {
        let mut flights = self.flights();
        let flight = flights.get_mut(token)?;
        if std::mem::take(&mut flight.stale) {
            return None;
        }
        let (verdict, lease) = read(authorization);
        let until = Instant::now() + lease.min(LONGEST_LEASE);
        self.believed.believe(*token, Lease { verdict, until });
        self.changes.fetch_add(1, Ordering::AcqRel);
        Some(verdict)
    }

    fn flights(&self) -> MutexGuard<'_, HashMap<SecretHash, Flight>> {
        self.flights.lock()
    }
}

/// Takes the flight off the list, also when its task panics.
struct Ticket {
    leases: Arc<Leases>,
    token: SecretHash,
}

impl Drop for Ticket {
    fn drop(&mut self) {
        self.leases.flights().remove(&self.token);
    }
}

async fn fly(ticket: &Ticket, link: &dyn ControlLink) -> Verdict {
    for _ in 0..ASK_ATTEMPTS {
        let authorization = match tokio::time::timeout(ASK_TIMEOUT, link.authorize(ticket.token)).await {
            Ok(Ok(authorization)) => authorization,
            Ok(Err(error)) => return unanswered(&error),
            Err(_) => return unanswered(&LinkError::Unreachable("it did not answer in time".to_owned())),
        };
        if let Some(verdict) = ticket.leases.land(&ticket.token, authorization) {
            return verdict;
        }
    }
    Verdict::Denied(DenyReason::Revoked)
}

fn lookup(verdict: Verdict) -> Lookup {
    match verdict {
        Verdict::Allowed => Lookup::Allowed,
        Verdict::Forbidden => Lookup::Forbidden,
        Verdict::Denied(DenyReason::Unknown) => Lookup::Unknown,
        Verdict::Denied(DenyReason::Expired) => Lookup::Expired,
        Verdict::Denied(DenyReason::Revoked) => Lookup::Revoked,
        Verdict::Denied(DenyReason::Suspended) => Lookup::Suspended,
        Verdict::Unknown => Lookup::Unanswered,
    }
}

fn unanswered(error: &LinkError) -> Verdict {
    tracing::warn!(%error, "a token could not be looked up");
    Verdict::Unknown
}

fn read(authorization: Authorization) -> (Verdict, Duration) {
    match authorization {
        Authorization::Known {
            may_send_requests: true,
            lease,
        } => (Verdict::Allowed, lease),
        Authorization::Known {
            may_send_requests: false,
            lease,
        } => (Verdict::Forbidden, lease),
        Authorization::Denied { reason, lease } => (Verdict::Denied(reason), lease),
    }
}

#[cfg(test)]
mod tests;
