//! The order in which a control plane lets a replica in and answers it: what matters is what is looked up after what.
//!
//! Not here: where things are looked up ([`Lookups`]), and what follows from them.

use crate::state::attachments::{Attachments, Registration, ReplicaIdentity};
use crate::state::outbox::Beginning;
use async_trait::async_trait;
use lychgate_link::{Attachment, Configuration, LinkError};
use lychgate_store::TokenAuthentication;
use lychgate_types::secret::SecretHash;
use std::sync::Arc;

/// What is looked up for one call of a replica, or of the embedded gateway.
#[async_trait]
pub(crate) trait Lookups: Send + Sync {
    /// Looks the gateway key up again.
    async fn key(&self) -> Result<(), LinkError>;

    /// Whether, as far as is known here, the gateway key lets in.
    fn still_open(&self) -> Result<(), LinkError>;

    /// How an attachment begins for a replica that has applied the feed up to this place (0: nothing of it).
    async fn beginning(&self, applied: u64) -> Result<Beginning, LinkError>;

    /// What this caller is to be told.
    async fn configuration(&self) -> Result<Arc<Configuration>, LinkError>;

    /// Writes the attachment of a replica down; whether it is to take no requests.
    async fn record_attachment(&self, by: &ReplicaIdentity) -> Result<bool, LinkError>;

    /// Looks a token up.
    async fn token(&self, token: &SecretHash) -> Result<Option<TokenAuthentication>, LinkError>;
}

/// Makes an attachment of a registration, for a replica (`by`) or the embedded gateway.
pub(crate) async fn attach(
    lookups: &impl Lookups,
    registration: Registration,
    by: Option<&ReplicaIdentity>,
    applied: u64,
) -> Result<Attachment, LinkError> {
    // Only now that a change of the key would find this attachment is the key looked up (again).
    lookups.key().await?;
    lookups.still_open()?;
    // Likewise: what is revoked from now on goes into the registration's mailbox.
    let beginning = lookups.beginning(applied).await?;
    let first = lookups.configuration().await?;
    let drain = match by {
        Some(by) => lookups.record_attachment(by).await?,
        None => false,
    };
    lookups.still_open()?;
    Ok(registration.into_attachment(&first, beginning, drain))
}

/// Looks a token up, such as it is when the answer goes out.
pub(crate) async fn token(
    lookups: &impl Lookups,
    attachments: &Attachments,
    token: &SecretHash,
) -> Result<Option<TokenAuthentication>, LinkError> {
    loop {
        let before = attachments.revocations();
        let found = lookups.token(token).await?;
        // A revocation while the look-up was under way: its push may have gone down before this answer could.
        if attachments.revocations() != before {
            continue;
        }
        lookups.still_open()?;
        return Ok(found);
    }
}
