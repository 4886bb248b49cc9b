//! Where a provider may not live: addresses inside the operator's own network, unless the owner allowed it for that
//! provider. A name is checked after each look-up, and the connection goes to the very address that was checked, so a name
//! that changes its mind afterwards gains nothing.

use hyper_util::client::legacy::connect::dns::{GaiAddrs, GaiResolver, Name};
use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// The provider's address is not a public one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the provider's address is private, loopback or link-local; an owner can set allow_private for it")]
pub(crate) struct PrivateAddress;

/// Why a name gave no address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error(transparent)]
    Private(#[from] PrivateAddress),
    #[error("the name can't be resolved")]
    Dns(#[source] std::io::Error),
}

/// The host of a URL, where it is an address and not a name (a client connects to those without a look-up).
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
        .parse()
        .ok()
}

/// Whether an address is anything but a public host's.
pub(crate) fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => is_private_v6(address),
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local() // 169.254.169.254 too, the clouds' metadata
        || address.is_documentation()
        || a == 0
        || a >= 224 // multicast, reserved, broadcast
        || (a == 100 && (64..128).contains(&b)) // carriers' NAT; some clouds' metadata
        || (a, b, c) == (192, 0, 0)
        || (a == 198 && matches!(b, 18 | 19)) // benchmarks
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_private_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // ::, ::1, and IPv4 in its compatible and mapped forms.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => embedded(high, low) || segments[5] == 0,
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low), // NAT64
        [0x64, 0xff9b, 1, ..] => true,                                // NAT64 of a local network
        [0x2002, high, low, ..] => embedded(high, low),               // 6to4
        [0x2001, 0, .., high, low] => embedded(!high, !low),          // Teredo
        [0x2001, 0xdb8, ..] | [0x100, 0, 0, 0, ..] => true,           // documentation, discard
        // Unique local (fc00::/7), link-local (fe80::/10), site-local (fec0::/10), multicast (ff00::/8).
        [first, ..] => first & 0xfe00 == 0xfc00 || first & 0xff80 == 0xfe80 || first & 0xff00 == 0xff00,
    }
}

/// The system's resolver, with private answers left out unless they are allowed.
#[derive(Debug, Clone)]
pub(crate) struct Resolver {
    system: GaiResolver,
    allow_private: bool,
}

impl Resolver {
    pub(crate) fn new(allow_private: bool) -> Self {
        Self {
            system: GaiResolver::new(),
            allow_private,
        }
    }
}

impl Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = ResolveError;
    type Future = Resolving;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ResolveError>> {
        self.system.poll_ready(cx).map_err(ResolveError::Dns)
    }

    fn call(&mut self, name: Name) -> Resolving {
        Resolving {
            system: self.system.call(name),
            allow_private: self.allow_private,
        }
    }
}

/// A look-up under way.
pub(crate) struct Resolving {
    system: <GaiResolver as Service<Name>>::Future,
    allow_private: bool,
}

impl Future for Resolving {
    type Output = Result<std::vec::IntoIter<SocketAddr>, ResolveError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let found: GaiAddrs = ready!(Pin::new(&mut self.system).poll(cx)).map_err(ResolveError::Dns)?;
        let allow_private = self.allow_private;
        Poll::Ready(allowed(found, allow_private))
    }
}

fn allowed(
    found: impl Iterator<Item = SocketAddr>,
    allow_private: bool,
) -> Result<std::vec::IntoIter<SocketAddr>, ResolveError> {
    let usable: Vec<SocketAddr> = found
        .filter(|address| allow_private || !is_private(address.ip()))
        .collect();
    if usable.is_empty() {
        Err(PrivateAddress.into())
    } else {
        Ok(usable.into_iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_private() {
        for text in [
            "127.0.0.1",
            "127.9.9.9",
            "10.0.0.1",
            "172.16.0.1",
            "172.31.255.255",
            "192.168.1.1",
            "169.254.169.254",
            "0.0.0.0",
            "0.1.2.3",
            "100.64.0.1",
            "100.100.100.200",
            "192.0.0.192",
            "192.0.2.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "240.0.0.1",
            "::",
            "::1",
            "::ffff:127.0.0.1",
            "::ffff:10.0.0.1",
            "::127.0.0.1",
            "64:ff9b::a9fe:a9fe",
            "64:ff9b:1::1",
            "2002:7f00:1::",
            "2002:0a00:0001::1",
            "2001:0:1::80ff:fffe",
            "fd00:ec2::254",
            "fc00::1",
            "fe80::1",
            "febf::1",
            "fec0::1",
            "ff02::1",
            "2001:db8::1",
            "100::1",
        ] {
            assert!(is_private(text.parse().unwrap()), "{text}");
        }
        for text in [
            "1.1.1.1",
            "172.32.0.1",
            "100.128.0.1",
            "192.0.1.1",
            "198.20.0.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::",
        ] {
            assert!(!is_private(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn a_name_with_a_private_answer_keeps_only_the_public_ones() {
        let public: SocketAddr = "1.1.1.1:443".parse().unwrap();
        let private: SocketAddr = "10.0.0.1:443".parse().unwrap();
        let only =
            |found: &[SocketAddr], open| allowed(found.iter().copied(), open).map(|kept| kept.collect::<Vec<_>>());
        assert_eq!(only(&[private, public], false).unwrap(), [public]);
        assert_eq!(only(&[private], true).unwrap(), [private]);
        assert!(matches!(
            only(&[private], false),
            Err(ResolveError::Private(PrivateAddress))
        ));
    }

    #[test]
    fn literals_with_and_without_brackets() {
        assert_eq!(literal("[::1]"), Some("::1".parse().unwrap()));
        assert_eq!(literal("127.0.0.1"), Some("127.0.0.1".parse().unwrap()));
        assert_eq!(literal("api.example.com"), None);
    }
}
