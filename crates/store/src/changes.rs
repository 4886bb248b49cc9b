//! The feed of changes that replicas must learn of. Each is written in the transaction of the change itself, and every control
//! plane reads the feed on.
//!
//! Numbers grow by one and become visible in their order, so a reader that has seen `n` has seen all up to `n`. What is older
//! than [`KEPT`] is forgotten. Not here: what is told to replicas, and how (the control plane's hub).

use crate::connect::Store;
use crate::engine::Listener;
use crate::error::StoreError;
use crate::guard::only_control_plane;
use crate::rows::changes::{Change, Changes, RevokedTokens};
use crate::sql::changes as sql;
use lychgate_authz::{Action, Caller, Resource, Target, authorise};
use lychgate_types::GatewayKeyId;
use lychgate_types::secret::SecretHash;
use std::time::Duration;

/// How long the feed remembers.
pub(crate) const KEPT: Duration = Duration::from_secs(24 * 3600);

/// Wakes a task that waits for changes that other control planes made.
pub struct ChangeListener(Listener);

impl std::fmt::Debug for ChangeListener {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ChangeListener")
    }
}

impl ChangeListener {
    /// Waits until there may be something new in the feed. After an error nothing is heard until the next call connects
    /// again: look by yourself meanwhile.
    pub async fn wait(&mut self) -> Result<(), StoreError> {
        self.0.wait().await
    }

    /// Gives the connection up, for when something new was not heard of: the next call makes another.
    pub fn renew(&mut self) {
        self.0.renew();
    }
}

impl Store {
    /// The number of the last change.
    pub async fn changes_last(&self, caller: &Caller) -> Result<u64, StoreError> {
        may_follow(caller)?;
        let mut held = self.engine.read().await?;
        sql::last(held.conn()).await
    }

    /// Up to `most` changes after number `after`.
    pub async fn changes_since(&self, caller: &Caller, after: u64, most: u32) -> Result<Changes, StoreError> {
        may_follow(caller)?;
        let mut held = self.engine.read().await?;
        sql::since(&mut held, after, most).await
    }

    /// The tokens that stopped working after number `after`, of those that this gateway key was told of (`None`: of all); `None` where
    /// the feed does not reach back so far, or where they are more than `most`.
    pub async fn changes_tokens_revoked(
        &self,
        caller: &Caller,
        after: u64,
        most: u32,
        key: Option<GatewayKeyId>,
    ) -> Result<Option<RevokedTokens>, StoreError> {
        may_follow(caller)?;
        let mut held = self.engine.read().await?;
        let found = sql::tokens_revoked(held.conn(), after, most, key).await?;
        Ok(found.filter(|found| found.hashes.len() <= most as usize))
    }

    /// Something to wait on for changes.
    pub fn changes_listen(&self, caller: &Caller) -> Result<ChangeListener, StoreError> {
        may_follow(caller)?;
        Ok(ChangeListener(self.engine.listener()))
    }
}

/// The feed tells of all tokens and all gateway keys.
fn may_follow(caller: &Caller) -> Result<(), StoreError> {
    authorise(&caller.principal, Action::Read, Resource::Token, Target::Shared)?;
    authorise(&caller.principal, Action::Read, Resource::AiGatewayKey, Target::Shared)?;
    Ok(only_control_plane(caller)?)
}

/// The tokens with these hashes, as changes.
pub(crate) fn tokens_revoked(hashes: &[SecretHash]) -> Vec<Change> {
    hashes.iter().copied().map(Change::TokenRevoked).collect()
}
