//! Where the handshake of one call looks things up: in the simulated database.

use super::ControlPlane;
use crate::link::handshake::Lookups;
use crate::link::key_check::check_cached;
use crate::state::attachments::ReplicaIdentity;
use crate::state::key_cache::KeySession;
use crate::state::outbox::Beginning;
use async_trait::async_trait;
use lychgate_link::{Configuration, LinkError};
use lychgate_store::TokenAuthentication;
use lychgate_types::KeyRefusal;
use lychgate_types::secret::SecretHash;
use std::sync::Arc;

/// One call of a replica.
pub(super) struct CallLookups<'a> {
    pub(super) control_plane: &'a ControlPlane,
    pub(super) session: Arc<KeySession>,
    pub(super) process: SecretHash,
}

#[async_trait]
impl Lookups for CallLookups<'_> {
    async fn refresh_key(&self) -> Result<(), LinkError> {
        self.control_plane.look_key_up(&self.session).await
    }

    fn check_key(&self) -> Result<(), LinkError> {
        check_cached(&self.session, None)
    }

    async fn beginning(&self, applied: u64) -> Result<Beginning, LinkError> {
        if applied == 0 {
            return Ok(Beginning::Fresh);
        }
        self.control_plane.cluster.look_up().await?;
        let database = self.control_plane.cluster.database();
        Ok(database
            .revoked_since(applied, self.session.key_id)
            .map_or(Beginning::Fresh, |revoked| Beginning::Resumed {
                after: applied,
                revoked,
                upto: database.last(),
            }))
    }

    async fn configuration(&self) -> Result<Arc<Configuration>, LinkError> {
        self.control_plane.cluster.look_up().await?;
        Ok(self.control_plane.cluster.database().configuration())
    }

    async fn record_attachment(&self, identity: &ReplicaIdentity) -> Result<bool, LinkError> {
        self.control_plane.cluster.look_up().await?;
        let recorded = self.control_plane.cluster.database().attach(&identity.attachment);
        recorded.ok_or(LinkError::refused(KeyRefusal::ReplicaIdTaken))
    }

    async fn token(&self, token: &SecretHash) -> Result<Option<TokenAuthentication>, LinkError> {
        self.control_plane.cluster.look_up().await?;
        let found = self.control_plane.cluster.database().token(token, self.session.key_id);
        // The answer takes time as well: the database may have moved on.
        self.control_plane.cluster.answer().await;
        Ok(found)
    }

    async fn grant(&self, token: &TokenAuthentication) -> Result<(), LinkError> {
        // It takes the time of the look-ups before and after: whatever comes between it and either of them is tried.
        self.control_plane
            .cluster
            .database()
            .grant(token.token_id, self.session.key_id, self.process);
        Ok(())
    }
}
