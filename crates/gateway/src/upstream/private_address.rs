//! Addresses that a provider may not have: those inside the operator's own network, unless an owner has allowed it for that
//! provider.

use lychgate_link::ProviderConfig;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// The provider's address is not a public one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the provider's address is private, loopback or link-local; an owner can set allow_private for it")]
pub(crate) struct PrivateAddress;

/// Which addresses a connection may be made to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AddressPolicy {
    PublicOnly,
    Any,
}

impl AddressPolicy {
    /// That of a provider.
    pub(crate) fn of(provider: &ProviderConfig) -> Self {
        if provider.allow_private {
            Self::Any
        } else {
            Self::PublicOnly
        }
    }

    pub(super) fn allows(self, address: IpAddr) -> bool {
        match self {
            Self::Any => true,
            Self::PublicOnly => !is_private(address),
        }
    }
}

/// The host of a URL, if it is an address and not a name (a client connects to those without DNS).
pub(crate) fn literal(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'))
        .unwrap_or(host)
        .parse()
        .ok()
}

/// Whether an address is anything but a public host's. The control plane asks the same before it takes a base URL.
pub fn is_private(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_private_v4(address),
        IpAddr::V6(address) => is_private_v6(address),
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, d] = address.octets();
    address.is_private()
        || address.is_loopback()
        || address.is_link_local() // 169.254.169.254 too, most clouds' metadata
        || address.is_documentation()
        || a == 0
        || a >= 224 // multicast, reserved, broadcast
        || (a == 100 && (64..128).contains(&b)) // carriers' NAT; some clouds' metadata
        || (a, b, c) == (192, 0, 0) // another cloud's metadata
        || (a, b, c, d) == (168, 63, 129, 16) // and another's
        || (a, b, c) == (192, 88, 99) // relays of 6to4
        || (a == 198 && matches!(b, 18 | 19)) // benchmarks
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_private_v4(Ipv4Addr::new(a, b, c, d))
    };
    match address.segments() {
        // IPv4 as it is mapped, translated, and behind NAT64.
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x2002, high, low, ..] => embedded(high, low), // 6to4
        [0x2001, second, ..] if second < 0x200 || second == 0xdb8 => true, // protocols' own (Teredo), documentation
        [0x3fff, second, ..] => second < 0x1000,        // documentation
        // Only 2000::/3 is public; not ::1, fc00::/7, fe80::/10, ff00::/8 and whatever else there is.
        [first, ..] => first & 0xe000 != 0x2000,
    }
}

/// Whether a name belongs to this machine or its network, as far as a name tells: for names that are resolved elsewhere. Names
/// that some resolvers read as an address (`2130706433`, `0x7f.1`) count, too.
pub(crate) fn is_inner_name(name: &str) -> bool {
    const INNER: [&str; 7] = [
        "localhost",
        "localdomain",
        "local",
        "internal",
        "intranet",
        "lan",
        "arpa",
    ];
    let name = name.strip_suffix('.').unwrap_or(name);
    let Some((_, last)) = name.rsplit_once('.') else {
        return true;
    };
    let numeric = |text: &str, radix| !text.is_empty() && text.chars().all(|c| c.is_digit(radix));
    let hexadecimal = last.strip_prefix("0x").or_else(|| last.strip_prefix("0X"));
    numeric(last, 10)
        || hexadecimal.is_some_and(|digits| digits.is_empty() || numeric(digits, 16))
        || INNER.iter().any(|inner| last.eq_ignore_ascii_case(inner))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn private_and_public_addresses() {
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
            "168.63.129.16",
            "192.88.99.1",
            "::ffff:0:10.0.0.1",
            "::ffff:169.254.169.254",
            "::1.1.1.1",
            "64:ff9b::10.0.0.1",
            "2002:a9fe:a9fe::1",
            "2001:2::1",
            "2001:1ff::1",
            "3fff:fff::1",
            "5f00::1",
            "4000::1",
            "1::1",
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
            "::ffff:0:1.1.1.1",
            "2001:200::1",
            "2001:4860:4860::8888",
            "3fff:1000::1",
            "168.63.129.17",
        ] {
            assert!(!is_private(text.parse().unwrap()), "{text}");
        }
    }

    #[test]
    fn inner_and_public_names() {
        for name in [
            "localhost",
            "LOCALHOST.",
            "app.localhost",
            "metadata",
            "metadata.google.internal",
            "printer.local",
            "router.lan",
            "1.0.0.127.in-addr.arpa",
            "2130706433",
            "127.1",
            "0x7f.1",
            "127.0.0.0x1",
            "1.0x",
            "127.0.0.1.",
            "",
        ] {
            assert!(is_inner_name(name), "{name}");
        }
        for name in [
            "api.example.com",
            "api.example.com.",
            "a1.x0f",
            "local.example",
            "0x7f.example",
        ] {
            assert!(!is_inner_name(name), "{name}");
        }
    }

    #[test]
    fn literals_with_and_without_brackets() {
        assert_eq!(literal("[::1]"), Some("::1".parse().unwrap()));
        assert_eq!(literal("127.0.0.1"), Some("127.0.0.1".parse().unwrap()));
        assert_eq!(literal("api.example.com"), None);
    }
}
