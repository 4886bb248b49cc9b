//! Places for those who are not known yet: some in all, and a share of them for one source, so that a flood from one does not
//! shut out the rest. They are few, and apart from the places of requests that are authenticated.
//!
//! Not here: what waits in a place.

use parking_lot::Mutex;
use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

/// Leading bits of an IPv6 address that one source is told from others by: a network gives that many to one customer.
const IPV6_SOURCE_BITS: u32 = 64;

/// How many places there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlaceLimits {
    /// For all together.
    pub all: usize,
    /// For one of those who take them, for example a [`Source`].
    pub one: usize,
}

/// The places, taken and free; `By` tells those who take them apart.
#[derive(Debug)]
pub struct Places<By: Copy + Eq + Hash = Source> {
    limits: PlaceLimits,
    taken: Mutex<Taken<By>>,
}

#[derive(Debug)]
struct Taken<By> {
    all: usize,
    of: HashMap<By, usize>,
}

/// Who sends something, as far as its address tells: an IPv4 address, or an IPv6 network of 64 bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Source(IpAddr);

/// A place that is taken; free again once dropped.
#[derive(Debug)]
pub struct Place<By: Copy + Eq + Hash = Source> {
    places: Arc<Places<By>>,
    by: By,
}

impl Source {
    /// The address that a connection comes from.
    pub fn new(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => {
                let network = address.to_bits() & (u128::MAX << (u128::BITS - IPV6_SOURCE_BITS));
                IpAddr::V6(Ipv6Addr::from_bits(network))
            }
            address => address,
        })
    }

    /// Where no address is known, all are one.
    pub const fn unknown() -> Self {
        Self(IpAddr::V6(Ipv6Addr::UNSPECIFIED))
    }
}

impl<By: Copy + Eq + Hash> Places<By> {
    /// All of them free.
    pub fn new(limits: PlaceLimits) -> Arc<Self> {
        let taken = Taken {
            all: 0,
            of: HashMap::new(),
        };
        Arc::new(Self {
            limits,
            taken: Mutex::new(taken),
        })
    }

    /// Takes a place; `None` where none is free for this one.
    pub fn take(self: &Arc<Self>, by: By) -> Option<Place<By>> {
        let mut taken = self.taken.lock();
        if taken.all >= self.limits.all {
            return None;
        }
        let one = taken.of.entry(by).or_default();
        if *one >= self.limits.one {
            return None;
        }
        *one += 1;
        taken.all += 1;
        Some(Place {
            places: Arc::clone(self),
            by,
        })
    }

    /// How many are taken.
    pub fn taken(&self) -> usize {
        self.taken.lock().all
    }
}

impl<By: Copy + Eq + Hash> Drop for Place<By> {
    fn drop(&mut self) {
        let mut taken = self.places.taken.lock();
        taken.all -= 1;
        if let Some(one) = taken.of.get_mut(&self.by) {
            *one -= 1;
            if *one == 0 {
                taken.of.remove(&self.by);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(text: &str) -> Source {
        Source::new(text.parse().unwrap())
    }

    #[test]
    fn one_source_takes_its_share_and_all_take_what_there_is() {
        let places = Places::new(PlaceLimits { all: 3, one: 2 });
        let first = places.take(source("10.0.0.1")).unwrap();
        let _second = places.take(source("::ffff:10.0.0.1")).unwrap();
        assert!(places.take(source("10.0.0.1")).is_none());
        let third = places.take(source("2001:db8::1")).unwrap();
        assert!(places.take(source("10.0.0.2")).is_none());
        drop(third);
        let _fourth = places.take(source("10.0.0.2")).unwrap();
        drop(first);
        let _fifth = places.take(source("10.0.0.1")).unwrap();
        assert_eq!(places.taken.lock().of.len(), 2, "sources without a place are forgotten");
        assert_eq!(places.taken(), 3);
    }

    #[test]
    fn addresses_of_one_customer_are_one_source() {
        assert_eq!(source("2001:db8:1:2::1"), source("2001:db8:1:2:ffff::9"));
        assert_ne!(source("2001:db8:1:2::1"), source("2001:db8:1:3::1"));
        assert_ne!(source("10.0.0.1"), source("10.0.0.2"));
    }
}
