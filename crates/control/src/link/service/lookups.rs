//! Where the handshake of one call looks things up: in the store, on behalf of the caller.

use super::super::errors::store_failed;
use super::super::handshake::Lookups;
use super::super::{configuration, key_check};
use crate::audit;
use crate::state::App;
use crate::state::attachments::ReplicaIdentity;
use crate::state::key_cache::KeySession;
use crate::state::outbox::{self, Beginning};
use async_trait::async_trait;
use lychgate_authz::Caller;
use lychgate_link::{Configuration, LinkError};
use lychgate_store::{StoreError, TokenAuthentication};
use lychgate_types::KeyRefusal;
use lychgate_types::secret::SecretHash;
use std::net::IpAddr;
use std::sync::Arc;

/// One call's access to the store.
pub(super) struct CallLookups<'a> {
    pub(super) app: &'a App,
    /// `None` for the embedded gateway.
    pub(super) session: Option<&'a KeySession>,
    pub(super) source: Option<IpAddr>,
    /// Of the secret that the replica's process showed.
    pub(super) process: Option<SecretHash>,
    pub(super) caller: Caller,
}

impl CallLookups<'_> {
    fn failed(&self, error: &StoreError) -> LinkError {
        store_failed(self.app, &self.caller, error)
    }
}

#[async_trait]
impl Lookups for CallLookups<'_> {
    async fn refresh_key(&self) -> Result<(), LinkError> {
        match self.session {
            Some(session) => key_check::look_up(self.app, session).await,
            None => Ok(()),
        }
    }

    fn check_key(&self) -> Result<(), LinkError> {
        self.session
            .map_or(Ok(()), |session| key_check::check_cached(session, self.source))
    }

    async fn beginning(&self, applied: u64) -> Result<Beginning, LinkError> {
        if applied == 0 {
            return Ok(Beginning::Fresh);
        }
        let (store, caller) = (&self.app.store, Caller::control_plane());
        let key = self.session.map(|session| session.key_id);
        let since = store.changes_tokens_revoked(&caller, applied, outbox::MOST_REVOKED, key);
        let since = since.await.map_err(|error| self.failed(&error))?;
        Ok(since.map_or(Beginning::Fresh, |since| Beginning::Resumed {
            after: applied,
            revoked: since.hashes,
            upto: since.upto,
        }))
    }

    async fn configuration(&self) -> Result<Arc<Configuration>, LinkError> {
        let loaded = configuration::load(self.app, &self.caller).await;
        let loaded = loaded.map_err(|error| self.failed(&error))?;
        Ok(loaded.of(self.session.map(|session| session.key_id)))
    }

    async fn record_attachment(&self, identity: &ReplicaIdentity) -> Result<bool, LinkError> {
        let entry = audit::replica("attach", &identity.session, identity.attachment.replica_id);
        let caller = audit::caller(&self.caller);
        let recorded = self.app.store.replica_attach(&caller, &identity.attachment, &entry);
        let drain = recorded.await.map_err(|error| self.failed(&error))?;
        drain.ok_or_else(|| {
            let prefix = Some(&*identity.session.prefix);
            self.app
                .failed_auth
                .report(identity.source, KeyRefusal::ReplicaIdTaken, prefix);
            LinkError::refused(KeyRefusal::ReplicaIdTaken)
        })
    }

    async fn token(&self, token: &SecretHash) -> Result<Option<TokenAuthentication>, LinkError> {
        let found = self.app.store.token_authenticate(&self.caller, token).await;
        found.map_err(|error| self.failed(&error))
    }

    async fn grant(&self, token: &TokenAuthentication) -> Result<(), LinkError> {
        let granted = self
            .app
            .store
            .token_grant(&self.caller, token.token_id, self.process)
            .await;
        granted.map_err(|error| self.failed(&error))
    }
}
