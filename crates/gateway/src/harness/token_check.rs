//! The token check by itself, for the bench to measure. No role of the product uses it.

use crate::auth::credentials;
use crate::auth::leases::{Kept, Leases, Verdict};
use http::HeaderMap;
use lychgate_types::Ambient;
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::SecretHash;
use std::time::Duration;

const LEASE: Duration = Duration::from_secs(3600);

/// What a replica believes, without a control plane to ask.
#[derive(Debug)]
pub struct Checker(Leases);

impl Checker {
    /// Believes in these tokens for an hour.
    pub fn knowing(tokens: &[SecretHash], ambient: &Ambient) -> Self {
        let (leases, now) = (Leases::default(), ambient.now());
        let kept = tokens.iter().map(|token| Kept {
            token: *token,
            may_send_requests: true,
            until: now.plus(LEASE),
        });
        leases.restore(&kept.collect::<Vec<_>>(), now);
        Self(leases)
    }

    /// What a request costs before it is let through: its token read from the headers, hashed and looked up.
    pub fn check(&self, provider: ProviderType, headers: &HeaderMap) -> bool {
        let Ok(credentials) = credentials::read(provider, headers) else {
            return false;
        };
        self.0.known(&credentials.token) == Some(Verdict::Allowed)
    }
}
