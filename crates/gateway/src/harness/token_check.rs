//! The token check by itself, for `bench/` to measure. Not used by the product.

use crate::auth::credentials;
use crate::auth::leases::{Leases, PersistedLease, Verdict};
use http::HeaderMap;
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::SecretHash;
use lychgate_types::{Ambient, Holder};
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(3600);

/// The leases of a replica, without a control plane to ask.
#[derive(Debug)]
pub struct Checker(Leases);

impl Checker {
    /// Holds leases on these tokens, for an hour.
    pub fn knowing(tokens: &[SecretHash], ambient: &Ambient) -> Self {
        let (leases, now) = (Leases::default(), ambient.now());
        let valid = tokens.iter().map(|token| PersistedLease {
            token: *token,
            allowed: Some(Holder::default()),
            until: now.plus(LEASE),
        });
        leases.restore(&valid.collect::<Vec<_>>(), now);
        Self(leases)
    }

    /// What a request costs before it is accepted: its token is read from the headers, hashed and looked up.
    pub fn check(&self, provider: ProviderType, headers: &HeaderMap) -> bool {
        let Ok(credentials) = credentials::read(provider, headers) else {
            return false;
        };
        self.0.known(&credentials.token) == Some(Verdict::Allowed(Holder::default()))
    }
}
