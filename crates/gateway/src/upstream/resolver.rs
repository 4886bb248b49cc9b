//! Resolves providers' names. The addresses are checked each time, and the connection goes to the very address that was checked, so
//! DNS rebinding gains nothing.

use super::private_address::{AddressPolicy, PrivateAddress};
use hyper_util::client::legacy::connect::dns::{GaiAddrs, GaiResolver, Name};
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tower_service::Service;

/// Why a name gave no address.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResolveError {
    #[error(transparent)]
    Private(#[from] PrivateAddress),
    #[error("the name can't be resolved")]
    Dns(#[source] std::io::Error),
}

/// The system's resolver, without private addresses unless they are allowed.
#[derive(Debug, Clone)]
pub(super) struct Resolver {
    system: GaiResolver,
    policy: AddressPolicy,
}

impl Resolver {
    pub(super) fn new(policy: AddressPolicy) -> Self {
        Self {
            system: GaiResolver::new(),
            policy,
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
            policy: self.policy,
        }
    }
}

/// A look-up in progress.
pub(super) struct Resolving {
    system: <GaiResolver as Service<Name>>::Future,
    policy: AddressPolicy,
}

impl Future for Resolving {
    type Output = Result<std::vec::IntoIter<SocketAddr>, ResolveError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let found: GaiAddrs = ready!(Pin::new(&mut self.system).poll(cx)).map_err(ResolveError::Dns)?;
        Poll::Ready(allowed(found, self.policy))
    }
}

fn allowed(
    found: impl Iterator<Item = SocketAddr>,
    policy: AddressPolicy,
) -> Result<std::vec::IntoIter<SocketAddr>, ResolveError> {
    let usable: Vec<SocketAddr> = found.filter(|address| policy.allows(address.ip())).collect();
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
    fn a_name_with_a_private_answer_keeps_only_the_public_ones() {
        let public: SocketAddr = "1.1.1.1:443".parse().unwrap();
        let private: SocketAddr = "10.0.0.1:443".parse().unwrap();
        let only =
            |found: &[SocketAddr], policy| allowed(found.iter().copied(), policy).map(|kept| kept.collect::<Vec<_>>());
        assert_eq!(only(&[private, public], AddressPolicy::PublicOnly).unwrap(), [public]);
        assert_eq!(only(&[private], AddressPolicy::Any).unwrap(), [private]);
        assert!(matches!(
            only(&[private], AddressPolicy::PublicOnly),
            Err(ResolveError::Private(PrivateAddress))
        ));
    }
}
