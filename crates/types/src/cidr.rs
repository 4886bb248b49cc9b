//! Networks in CIDR notation: where a gateway key may be used from.

use ipnet::{IpNet, Ipv4Net, Ipv6Net};
use serde::{Serialize, Serializer};
use std::net::IpAddr;

/// The prefix length of `::ffff:0:0/96`, under which IPv6 writes IPv4 addresses.
const MAPPED: u8 = 96;

/// A network, or a single address (a network of one). No bit beyond the prefix is set.
///
/// IPv4 and IPv6 are apart: `::/0` holds no IPv4 address. An IPv4 address in IPv6's spelling (`::ffff:192.0.2.1`) is the IPv4
/// address that it embeds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr(IpNet);

/// Text that is not a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CidrError {
    /// Neither an address nor a network.
    #[error("not a network: write an address or a network, for example 192.0.2.7, 10.20.0.0/16 or 2001:db8::/32")]
    Shape,
    /// Bits beyond the prefix are set, so it is not clear whether the network or the address is meant.
    #[error("bits beyond the prefix are set: write {network} for the network, or {address} for the one address")]
    HostBits {
        /// The network.
        network: IpNet,
        /// The address.
        address: IpAddr,
    },
}

impl Cidr {
    /// Whether the address lies in it.
    pub fn contains(&self, address: IpAddr) -> bool {
        self.0.contains(&address.to_canonical())
    }
}

/// An IPv4-mapped IPv6 network as the IPv4 network that it embeds; others as they are.
fn canonical(network: IpNet) -> IpNet {
    let mapped = |v6: &Ipv6Net| {
        let length = v6.prefix_len().checked_sub(MAPPED)?;
        Ipv4Net::new(v6.addr().to_ipv4_mapped()?, length).ok()
    };
    match &network {
        IpNet::V6(v6) => mapped(v6).map_or(network, IpNet::V4),
        IpNet::V4(_) => network,
    }
}

impl std::str::FromStr for Cidr {
    type Err = CidrError;
    fn from_str(text: &str) -> Result<Self, CidrError> {
        let network = match text.parse::<IpAddr>() {
            Ok(address) => IpNet::from(address),
            Err(_) => text.parse().map_err(|_| CidrError::Shape)?,
        };
        let network = canonical(network);
        if network.trunc() == network {
            return Ok(Self(network));
        }
        Err(CidrError::HostBits {
            network: network.trunc(),
            address: network.addr(),
        })
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for Cidr {
    fn serialize<S: Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.collect_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{Cidr, CidrError};

    fn cidr(text: &str) -> Cidr {
        text.parse().unwrap()
    }

    #[test]
    fn networks_and_addresses_have_one_spelling() {
        for (text, shown) in [
            ("10.20.0.0/16", "10.20.0.0/16"),
            ("192.0.2.7", "192.0.2.7/32"),
            ("0.0.0.0/0", "0.0.0.0/0"),
            ("2001:DB8::/32", "2001:db8::/32"),
            ("2001:db8::1", "2001:db8::1/128"),
            ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
            ("::ffff:192.0.2.7", "192.0.2.7/32"),
        ] {
            assert_eq!(cidr(text).to_string(), shown);
            assert_eq!(cidr(shown), cidr(text));
        }
    }

    #[test]
    fn what_is_no_network_is_refused_and_what_is_unclear_too() {
        for bad in [
            "",
            "10",
            "10.0.0.0/33",
            "10.0.0.0/-1",
            "10.0.0.0/",
            "/8",
            "10.0.0.0/8 ",
            "::/129",
            "fe80::1%eth0",
            "010.0.0.1",
        ] {
            assert_eq!(bad.parse::<Cidr>(), Err(CidrError::Shape), "{bad:?}");
        }
        let unclear = "10.1.2.3/8".parse::<Cidr>().unwrap_err().to_string();
        assert!(
            unclear.contains("10.0.0.0/8") && unclear.contains("10.1.2.3"),
            "{unclear}"
        );
    }

    #[test]
    fn an_address_is_in_it_or_not() {
        let holds = |network: &str, address: &str| cidr(network).contains(address.parse().unwrap());
        assert!(holds("10.20.0.0/16", "10.20.255.1") && holds("10.20.0.0/16", "::ffff:10.20.0.1"));
        assert!(!holds("10.20.0.0/16", "10.21.0.0") && !holds("10.20.0.0/16", "2001:db8::1"));
        assert!(holds("192.0.2.7", "192.0.2.7") && !holds("192.0.2.7", "192.0.2.8"));
        assert!(holds("2001:db8::/32", "2001:db8:ffff::1") && !holds("2001:db8::/32", "2001:db9::1"));
        assert!(holds("0.0.0.0/0", "203.0.113.1") && !holds("::/0", "203.0.113.1") && holds("::/0", "::1"));
    }
}
