//! Failed authentications of replicas: counted, and reported in aggregate. Nobody is refused for those of others, however alike
//! their addresses are. All state is bounded.

use lychgate_telemetry::metrics::Tally;
use lychgate_types::KeyRefusal;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};

/// Reports beyond these are one.
const MAX_REPORTS: usize = 256;

/// The failed authentications of this control plane.
#[derive(Default)]
pub(crate) struct FailedAuth {
    unreported: Mutex<HashMap<Failure, u64>>,
    /// All of them, by reason.
    pub(crate) refusals: Tally<KeyRefusal>,
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

impl Failure {
    /// What is not told apart.
    pub(crate) const VARIOUS: Self = Self {
        source: None,
        reason: "various",
        prefix: None,
    };
}

impl FailedAuth {
    /// Counts a failure, to be reported.
    pub(crate) fn report(&self, source: Option<IpAddr>, reason: KeyRefusal, prefix: Option<&str>) {
        self.refusals.count(reason);
        let failure = Failure {
            source: source.map(network),
            reason: reason.as_str(),
            prefix: prefix.map(str::to_owned),
        };
        self.put_back([(failure, 1)]);
    }

    /// Counts failures (again), to be reported.
    pub(crate) fn put_back(&self, report: impl IntoIterator<Item = (Failure, u64)>) {
        let mut unreported = self.unreported.lock();
        for (mut failure, count) in report {
            if unreported.len() >= MAX_REPORTS && !unreported.contains_key(&failure) {
                failure = Failure::VARIOUS;
            }
            *unreported.entry(failure).or_insert(0) += count;
        }
    }

    /// Takes what was not reported yet, the most frequent first.
    pub(crate) fn take_report(&self) -> Vec<(Failure, u64)> {
        let mut report: Vec<_> = self.unreported.lock().drain().collect();
        report.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        report
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

    #[test]
    fn a_flood_is_bounded() {
        let failed_auth = FailedAuth::default();
        for n in 0..20_000u32 {
            let source = Some(IpAddr::from(n.to_be_bytes()));
            failed_auth.report(source, KeyRefusal::Unknown, Some(&n.to_string()));
        }
        let report = failed_auth.take_report();
        assert_eq!(report.len(), MAX_REPORTS + 1);
        assert_eq!(report.iter().map(|(_, count)| count).sum::<u64>(), 20_000);
        assert_eq!((report[0].0.reason, report[0].0.source), ("various", None));
        assert!(failed_auth.take_report().is_empty());
        failed_auth.put_back(report.clone());
        failed_auth.put_back(report);
        let report = failed_auth.take_report();
        assert!(report.len() <= MAX_REPORTS + 1, "{}", report.len());
        assert_eq!(report.iter().map(|(_, count)| count).sum::<u64>(), 40_000);
    }

    #[test]
    fn an_ipv6_source_is_its_network() {
        let near = |text: &str| network(text.parse().unwrap());
        assert_eq!(near("2001:db8::1"), near("2001:db8::ffff:1"));
        assert_ne!(near("2001:db8::1"), near("2001:db8:0:1::1"));
        assert_eq!(near("::ffff:192.0.2.1"), near("192.0.2.1"));
    }
}
