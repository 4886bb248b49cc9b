//! Failed authentications of replicas: counted and limited per source address, reported in aggregate. All state is bounded, and
//! a source over its limit costs no look-up in the database.

use lychgate_telemetry::metrics::Tally;
use lychgate_types::KeyRefusal;
use parking_lot::{Mutex, MutexGuard};
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::time::Duration;
use tokio::time::Instant;

/// Failures of one source within [`WINDOW`] after which it is refused without a look-up.
const LIMIT: u32 = 10;
const WINDOW: Duration = Duration::from_secs(60);
/// Sources beyond these share one count, and reports beyond these one report.
const MAX_SOURCES: usize = 4096;
const MAX_REPORTS: usize = 256;

/// The failed authentications of this control plane.
#[derive(Default)]
pub(crate) struct FailedAuth {
    state: Mutex<State>,
    /// All of them, by reason.
    pub(crate) refusals: Tally<KeyRefusal>,
}

#[derive(Default)]
struct State {
    /// Per source: failures, and when the first of them was. `None` counts for all sources without an entry of their own.
    failures: HashMap<Option<IpAddr>, (u32, Instant)>,
    unreported: HashMap<Failure, u64>,
}

/// What failed; failures that are equal in this are reported as one.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Failure {
    /// The address; for IPv6 its network.
    pub(crate) source: Option<IpAddr>,
    /// The name of the reason.
    pub(crate) reason: &'static str,
    /// The key's public prefix, if its checksum was right.
    pub(crate) prefix: Option<String>,
}

impl FailedAuth {
    /// Whether this source may try.
    pub(crate) fn may_try(&self, source: Option<IpAddr>) -> bool {
        let state = self.state();
        let slot = state.slot(source.map(network));
        state
            .failures
            .get(&slot)
            .is_none_or(|(count, since)| *count < LIMIT || since.elapsed() >= WINDOW)
    }

    /// A failure that counts against its source.
    pub(crate) fn count(&self, source: Option<IpAddr>, reason: KeyRefusal, prefix: Option<&str>) {
        self.refusals.count(reason);
        let mut state = self.state();
        let slot = state.slot(source.map(network));
        let entry = state.failures.entry(slot).or_insert_with(|| (0, Instant::now()));
        if entry.1.elapsed() >= WINDOW {
            *entry = (0, Instant::now());
        }
        entry.0 = entry.0.saturating_add(1);
        state.report(source, reason.as_str(), prefix);
    }

    /// A failure with a key of this deployment: reported, but not counted against its source.
    pub(crate) fn report(&self, source: Option<IpAddr>, reason: KeyRefusal, prefix: Option<&str>) {
        self.refusals.count(reason);
        self.state().report(source, reason.as_str(), prefix);
    }

    /// Takes what was not reported yet, the most frequent first, and forgets sources whose window is over.
    pub(crate) fn take_report(&self) -> Vec<(Failure, u64)> {
        let mut state = self.state();
        state.failures.retain(|_, (_, since)| since.elapsed() < WINDOW);
        let mut report: Vec<_> = state.unreported.drain().collect();
        report.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        report
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl State {
    fn report(&mut self, source: Option<IpAddr>, reason: &'static str, prefix: Option<&str>) {
        let mut failure = Failure {
            source: source.map(network),
            reason,
            prefix: prefix.map(str::to_owned),
        };
        if self.unreported.len() >= MAX_REPORTS && !self.unreported.contains_key(&failure) {
            failure = Failure {
                source: None,
                reason: "various",
                prefix: None,
            };
        }
        *self.unreported.entry(failure).or_insert(0) += 1;
    }

    fn slot(&self, source: Option<IpAddr>) -> Option<IpAddr> {
        source.filter(|_| self.failures.len() < MAX_SOURCES || self.failures.contains_key(&source))
    }
}

/// An IPv6 host can use any address of its /64.
fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX))),
        v4 => v4,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(last: u8) -> Option<IpAddr> {
        Some(IpAddr::from([192, 0, 2, last]))
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_is_limited_alone_and_for_a_while() {
        let failed_auth = FailedAuth::default();
        for _ in 0..LIMIT {
            assert!(failed_auth.may_try(v4(1)));
            failed_auth.count(v4(1), KeyRefusal::Unknown, None);
        }
        assert!(!failed_auth.may_try(v4(1)));
        assert!(failed_auth.may_try(v4(2)));
        tokio::time::advance(WINDOW).await;
        assert!(failed_auth.may_try(v4(1)));
        failed_auth.count(v4(1), KeyRefusal::Unknown, None);
        assert!(failed_auth.may_try(v4(1)), "a new window begins at one");
    }

    #[tokio::test(start_paused = true)]
    async fn a_flood_is_bounded() {
        let failed_auth = FailedAuth::default();
        for n in 0..20_000u32 {
            failed_auth.count(
                Some(IpAddr::from(n.to_be_bytes())),
                KeyRefusal::Unknown,
                Some(&n.to_string()),
            );
        }
        assert_eq!(failed_auth.state().failures.len(), MAX_SOURCES + 1);
        let report = failed_auth.take_report();
        assert_eq!(report.len(), MAX_REPORTS + 1);
        assert_eq!(report.iter().map(|(_, count)| count).sum::<u64>(), 20_000);
        assert_eq!((report[0].0.reason, report[0].0.source), ("various", None));
        assert!(failed_auth.take_report().is_empty());
        tokio::time::advance(WINDOW).await;
        failed_auth.take_report();
        assert!(failed_auth.state().failures.is_empty());
    }

    #[test]
    fn an_ipv6_source_is_its_network() {
        let near = |text: &str| network(text.parse().unwrap());
        assert_eq!(near("2001:db8::1"), near("2001:db8::ffff:1"));
        assert_ne!(near("2001:db8::1"), near("2001:db8:0:1::1"));
        assert_eq!(near("::ffff:192.0.2.1"), near("192.0.2.1"));
    }
}
