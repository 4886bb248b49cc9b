//! The order in which a control plane accepts a replica and answers it: what matters is what is looked up after what.
//!
//! Not here: where things are looked up ([`Lookups`]).

use super::authorization::check_token;
use crate::state::attachments::{Attachments, Registration, ReplicaIdentity};
use crate::state::outbox::Beginning;
use async_trait::async_trait;
use lychgate_link::{Attachment, Configuration, LinkError};
use lychgate_store::TokenAuthentication;
use lychgate_types::Timestamp;
use lychgate_types::secret::SecretHash;
use std::sync::Arc;

/// What is looked up for one call of a replica, or of the embedded gateway.
#[async_trait]
pub(crate) trait Lookups: Send + Sync {
    /// Looks the gateway key up again.
    async fn refresh_key(&self) -> Result<(), LinkError>;

    /// Whether, as far as is known here, the gateway key is accepted.
    fn check_key(&self) -> Result<(), LinkError>;

    /// How an attachment begins for a replica that has applied the feed up to this position (0: nothing of it).
    async fn beginning(&self, applied: u64) -> Result<Beginning, LinkError>;

    /// The configuration for this caller.
    async fn configuration(&self) -> Result<Arc<Configuration>, LinkError>;

    /// Records the attachment of a replica, unless its id belongs to another process; returns whether the replica is to drain.
    async fn record_attachment(&self, identity: &ReplicaIdentity) -> Result<bool, LinkError>;

    /// Looks a token up.
    async fn token(&self, token: &SecretHash) -> Result<Option<TokenAuthentication>, LinkError>;

    /// Records that the gateway key is told that this token works.
    async fn grant(&self, token: &TokenAuthentication) -> Result<(), LinkError>;
}

/// Makes an attachment of a registration, for a replica or (`None`) the embedded gateway.
pub(crate) async fn attach(
    lookups: &impl Lookups,
    registration: Registration,
    identity: Option<&ReplicaIdentity>,
    applied: u64,
) -> Result<Attachment, LinkError> {
    // The key is looked up only now, when a change of it would find this registration.
    lookups.refresh_key().await?;
    lookups.check_key()?;
    let drain = match identity {
        Some(identity) => lookups.record_attachment(identity).await?,
        None => false,
    };
    // Likewise: what is revoked from now on goes into the registration's mailbox. Only by now the key counts as told of what the
    // process was told by the one before.
    let beginning = lookups.beginning(applied).await?;
    let first = lookups.configuration().await?;
    lookups.check_key()?;
    Ok(registration.into_attachment(&first, beginning, drain))
}

/// Looks a token up, as it is when the answer is sent.
pub(crate) async fn token(
    lookups: &impl Lookups,
    attachments: &Attachments,
    token: &SecretHash,
    now: Timestamp,
) -> Result<Option<TokenAuthentication>, LinkError> {
    loop {
        let before = attachments.revocations();
        let found = lookups.token(token).await?;
        if let Some(found) = found.as_ref().filter(|found| !found.is_granted)
            && check_token(found, now).is_ok()
        {
            lookups.grant(found).await?;
            // Whoever reads of a revocation from now on finds the grant; one before is found here.
            continue;
        }
        // A revocation during the look-up may have been sent down before this answer could be.
        if attachments.revocations() != before {
            continue;
        }
        lookups.check_key()?;
        return Ok(found);
    }
}
