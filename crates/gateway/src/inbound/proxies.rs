//! The address that a request comes from, where proxies stand before the listener.
//!
//! Only proxies that the operator named are believed; what stands further left in the header is written by whoever wants to.

use http::HeaderMap;
use lychgate_types::Cidr;
use std::net::{IpAddr, SocketAddr};

const FORWARDED_FOR: &str = "x-forwarded-for";
/// So many addresses are looked at, from the right: no deployment has longer chains of proxies.
const MOST_HOPS: usize = 16;

/// The client's address in the place of the proxy's, with the port of the connection.
pub(super) fn name_the_client(peer: SocketAddr, headers: &HeaderMap, trusted: &[Cidr]) -> SocketAddr {
    if trusted.is_empty() {
        return peer;
    }
    SocketAddr::new(client(peer.ip(), headers, trusted), peer.port())
}

/// The last address that no trusted proxy has.
fn client(peer: IpAddr, headers: &HeaderMap, trusted: &[Cidr]) -> IpAddr {
    let is_proxy = |address: IpAddr| trusted.iter().any(|network| network.contains(address));
    let mut client = peer;
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    // As bytes: what a client put further left may be none of a string, and must not hide what a proxy wrote behind it.
    let hops = lines.flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    for hop in hops.take(MOST_HOPS) {
        if !is_proxy(client) {
            break;
        }
        // What can't be read ends what is known: the proxy that wrote it is the last one that is.
        let Some(address) = read(hop) else { break };
        client = address;
    }
    client
}

/// An address, with or without a port.
fn read(hop: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(hop).ok()?.trim();
    let address = text
        .parse::<IpAddr>()
        .or_else(|_| text.parse::<SocketAddr>().map(|with| with.ip()));
    Some(address.ok()?.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use proptest::prelude::*;

    fn from(peer: &str, lines: &[&str], trusted: &[&str]) -> String {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        let trusted: Vec<Cidr> = trusted.iter().map(|text| text.parse().unwrap()).collect();
        client(peer.parse().unwrap(), &headers, &trusted).to_string()
    }

    #[test]
    fn only_trusted_proxies_name_the_client() {
        let proxies = ["10.0.0.0/8", "2001:db8::/32"];
        for (peer, lines, client) in [
            ("192.0.2.1", &["198.51.100.7"][..], "192.0.2.1"),
            ("10.0.0.1", &["198.51.100.7"], "198.51.100.7"),
            ("::ffff:10.0.0.1", &["198.51.100.7:4711"], "198.51.100.7"),
            ("10.0.0.1", &["[2001:db9::1]:1"], "2001:db9::1"),
            ("10.0.0.1", &["1.2.3.4, 198.51.100.7, 10.0.0.2"], "198.51.100.7"),
            ("10.0.0.1", &["1.2.3.4", "198.51.100.7", "2001:db8::5"], "198.51.100.7"),
            ("10.0.0.1", &["10.0.0.3, 10.0.0.2"], "10.0.0.3"),
            ("10.0.0.1", &["198.51.100.7, unknown"], "10.0.0.1"),
            ("10.0.0.1", &["\u{ff}, 198.51.100.7"], "198.51.100.7"),
            ("10.0.0.1", &["198.51.100.7, \u{ff}"], "10.0.0.1"),
            ("10.0.0.1", &[], "10.0.0.1"),
        ] {
            assert_eq!(from(peer, lines, &proxies), client, "{peer} {lines:?}");
        }
        assert_eq!(from("10.0.0.1", &["198.51.100.7"], &[]), "10.0.0.1");
    }

    proptest! {
        #[test]
        fn no_bytes_further_left_hide_what_a_proxy_wrote(
            left in prop::collection::vec(prop_oneof![Just(b'\t'), b' '..127, 128..=255_u8], 0..40),
            gap in "[ \t]{0,2}",
            is_a_line_of_its_own in any::<bool>(),
        ) {
            let written = format!("{gap}198.51.100.7{gap}");
            let mut headers = HeaderMap::new();
            let mut line = left;
            if !is_a_line_of_its_own {
                line.extend([b",", written.as_bytes()].concat());
            }
            headers.append(FORWARDED_FOR, HeaderValue::from_bytes(&line).unwrap());
            if is_a_line_of_its_own {
                headers.append(FORWARDED_FOR, HeaderValue::from_str(&written).unwrap());
            }
            let found = client([10, 0, 0, 1].into(), &headers, &["10.0.0.0/8".parse().unwrap()]);
            prop_assert_eq!(found.to_string(), "198.51.100.7");
        }
    }

    #[test]
    fn a_long_header_is_not_read_to_its_end() {
        let long = "10.0.0.2,".repeat(MOST_HOPS) + "10.0.0.2";
        assert_eq!(
            from("10.0.0.1", &[&format!("1.2.3.4,{long}")], &["10.0.0.0/8"]),
            "10.0.0.2"
        );
    }
}
