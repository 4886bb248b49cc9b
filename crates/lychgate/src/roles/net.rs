//! Addresses to listen on.

use super::args::TrustedProxyArgs;
use crate::config::Settings;
use crate::failure::{Failure, Outcome};
use lychgate_types::Cidr;
use std::fmt;
use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::str::FromStr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// An address to listen on, as a flag gives it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listen(pub(crate) SocketAddr);

impl Listen {
    /// A port of this machine alone.
    pub(crate) const fn local(port: u16) -> Self {
        Self(SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), port))
    }
}

impl FromStr for Listen {
    type Err = ListenError;
    fn from_str(text: &str) -> Result<Self, ListenError> {
        text.parse().map(Self).map_err(|_| ListenError)
    }
}

/// Text that is not such an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ListenError;

impl fmt::Display for ListenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("write an IP address and a port, for example 127.0.0.1:8080, 0.0.0.0:8080 or [::1]:8080")
    }
}

/// The networks of the proxies whose word for a client's address is taken.
pub(crate) fn read_trusted_proxies(settings: &mut Settings, args: TrustedProxyArgs) -> Arc<[Cidr]> {
    let mut networks = Vec::new();
    for given in settings.list("trusted-proxy", args.trusted_proxy) {
        match given.text.parse() {
            Ok(network) => networks.push(network),
            Err(why) => settings.problem(format!("{}: `{}`: {why}", given.origin, given.text)),
        }
    }
    networks.into()
}

/// Listens on the address that `flag` gave.
pub(crate) fn bind(flag: &str, listen: Listen) -> Outcome<TcpListener> {
    lychgate_gateway::listen(listen.0).map_err(|why| cant_listen(flag, listen.0, &why))
}

/// Warns where other machines can connect: tokens and content would travel unencrypted.
pub(crate) fn warn_of_clear_text(listen: Listen) {
    if !listen.0.ip().is_loopback() {
        tracing::warn!(
            listen = %listen.0,
            "other machines can connect without encryption; put a TLS proxy in front, and let only the proxy reach this port"
        );
    }
}

/// Says why an address can't be listened on, and which flag to change.
pub(crate) fn cant_listen(flag: &str, address: SocketAddr, why: &std::io::Error) -> Failure {
    let reason = match why.kind() {
        ErrorKind::AddrInUse => "another program already listens there".to_owned(),
        ErrorKind::AddrNotAvailable => "this machine has no such address".to_owned(),
        ErrorKind::PermissionDenied => "permission denied; ports below 1024 need special privileges".to_owned(),
        _ => why.to_string(),
    };
    Failure::Failed(format!(
        "can't listen on {address}: {reason}. Choose another address or port with {flag} IP:PORT"
    ))
}

/// Where this machine itself reaches what listens on `address`.
pub(crate) fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    SocketAddr::new(ip, address.port())
}

/// The host's name, for replicas that were given none.
pub(crate) fn host_name() -> String {
    let name = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
    name.filter(|name| !name.is_empty())
        .unwrap_or_else(|| "unnamed".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_to_listen_on() {
        assert_eq!("127.0.0.1:8080".parse(), Ok(Listen::local(8080)));
        assert!("[::1]:0".parse::<Listen>().is_ok());
        for bad in [
            "",
            "8080",
            ":8080",
            "localhost:8080",
            "127.0.0.1",
            "127.0.0.1:65536",
            "::1:80x",
        ] {
            assert_eq!(bad.parse::<Listen>(), Err(ListenError), "{bad:?}");
        }
    }

    #[test]
    fn an_unspecified_address_is_reached_by_loopback() {
        let reached = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(reached("0.0.0.0:1"), "127.0.0.1:1");
        assert_eq!(reached("[::]:1"), "[::1]:1");
        assert_eq!(reached("10.1.2.3:1"), "10.1.2.3:1");
    }

    #[tokio::test]
    async fn a_taken_port_names_the_flag() {
        let taken = bind("--listen", Listen::local(0)).unwrap();
        let again = bind("--gateway-listen", Listen(taken.local_addr().unwrap())).unwrap_err();
        let message = again.to_string();
        assert!(message.contains("another program already listens there"), "{message}");
        assert!(message.contains("--gateway-listen IP:PORT"), "{message}");
    }
}
