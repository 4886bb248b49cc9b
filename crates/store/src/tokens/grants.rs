//! Grants: which gateway key was told that a token works. Only its replicas hear of the token's end, and only they deliver records of
//! it.
//!
//! A grant is written before the answer that it is about, once. It is of a key, not of a replica: one that is started anew has other
//! memory but the same key and spool. A process that goes on with another key takes along what it was told.

use crate::connect::Store;
use crate::error::StoreError;
use crate::sql::replicas;
use crate::sql::tokens::grants as sql;
use lychgate_authz::{Action, Caller, Principal, Resource, Target, authorise};
use lychgate_types::secret::SecretHash;
use lychgate_types::{GatewayKeyId, TokenId};

impl Store {
    /// Records that the caller's gateway key is about to be told that this token works. Look the token up again afterwards: an end
    /// between the look-up before and this has reached nobody. `process` is of the secret that the replica's process showed: if it
    /// is attached with another key by now, that is told, too.
    pub async fn token_grant(
        &self,
        caller: &Caller,
        token: TokenId,
        process: Option<SecretHash>,
    ) -> Result<(), StoreError> {
        authorise(&caller.principal, Action::Read, Resource::Token, Target::Shared)?;
        let Some(key) = gateway_key(caller) else { return Ok(()) };
        let mut tx = self.engine.begin().await?;
        let attached = match process {
            Some(process) => replicas::key_of_process(tx.conn(), process).await?,
            None => None,
        };
        sql::insert(tx.conn(), token, key).await?;
        if let Some(attached) = attached.filter(|attached| *attached != key) {
            sql::insert(tx.conn(), token, attached).await?;
        }
        tx.commit().await
    }
}

/// The gateway key that the caller has shown.
pub(crate) const fn gateway_key(caller: &Caller) -> Option<GatewayKeyId> {
    match caller.principal {
        Principal::Replica { gateway_key_id } => Some(gateway_key_id),
        Principal::User(_) | Principal::ControlPlane => None,
    }
}
