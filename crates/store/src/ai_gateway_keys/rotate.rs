//! Rotation of gateway keys: a new secret in the place of the present one, which goes on working for a while. At any time at
//! most two secrets of a key work. A replaced secret is remembered for longer than it works, so that a replica which still
//! presents it is told "rotated" rather than "unknown".

use crate::connect::Store;
use crate::error::{RuleBroken, StoreError};
use crate::mutation::Mutation;
use crate::name_or_id::NameOrId;
use crate::rows::ai_gateway_keys::{GatewayKey, GatewayKeyRotation, KeyExpiry};
use crate::rows::changes::Change;
use crate::rows::idempotency::{Idempotency, Operation};
use crate::sql::ai_gateway_keys as sql;
use crate::sql::ai_gateway_keys::rotate as secrets;
use lychgate_authz::{Action, Caller, Resource, Target, authorise};
use lychgate_types::{GatewayKeyId, Timestamp};
use std::time::Duration;

/// How long a replaced secret is remembered after it stopped working.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Store {
    /// Gives a gateway key a new secret. While the grace period of an earlier rotation runs, only by force
    /// ([`RuleBroken::RotationInGrace`]).
    pub async fn ai_gateway_key_rotate(
        &self,
        caller: &Caller,
        key: impl Into<NameOrId<GatewayKeyId>>,
        rotation: GatewayKeyRotation,
        idempotency: Option<Idempotency<'_, GatewayKey>>,
    ) -> Result<GatewayKey, StoreError> {
        let key = key.into();
        let mut mutation = self
            .change_of::<GatewayKey>(caller, Action::Update, "rotate", (&key).into())
            .await?;
        let done = self
            .replace_secret(caller, &mut mutation, &key, &rotation, idempotency)
            .await;
        mutation.settle(done).await
    }

    async fn replace_secret(
        &self,
        caller: &Caller,
        mutation: &mut Mutation<'_>,
        key: &NameOrId<GatewayKeyId>,
        rotation: &GatewayKeyRotation,
        idempotency: Option<Idempotency<'_, GatewayKey>>,
    ) -> Result<GatewayKey, StoreError> {
        let now = self.now();
        let valid_until = now.plus(rotation.grace);
        let mut tx = self.engine.begin().await?;
        let operation = Operation::AiGatewayKeyRotate;
        let claim = self.claim(&mut tx, caller, operation, idempotency).await?;
        let key = mutation.find(sql::find(&mut tx, key, now).await?)?;
        // Before its secrets are read, since it makes concurrent rotations of one key wait for each other.
        if !secrets::mark_rotated(tx.conn(), &key, now).await? {
            return Err(StoreError::NotFound);
        }
        match secrets::grace_end(tx.conn(), &key, now).await? {
            Some(until) if !rotation.force => return Err(RuleBroken::RotationInGrace { until }.into()),
            Some(_) => secrets::end_grace(tx.conn(), &key, now).await?,
            None => {}
        }
        secrets::retire(tx.conn(), &key, now, valid_until).await?;
        secrets::replace(tx.conn(), &key, rotation).await?;
        let key = sql::get(&mut tx, key.id, now).await?;
        mutation.set_prefix(&key.secret_prefix);
        mutation.set_detail(format!("the secret before works until {valid_until}"));
        claim.settle(&mut tx, &key).await?;
        mutation.became(&key);
        mutation.commit(tx, &[Change::GatewayKey(key.id)]).await?;
        Ok(key)
    }

    /// Forgets replaced secrets that stopped working 30 days ago; gives their number.
    pub async fn ai_gateway_key_secrets_prune(&self, caller: &Caller) -> Result<u64, StoreError> {
        authorise(
            &caller.principal,
            Action::Update,
            Resource::AiGatewayKey,
            Target::Shared,
        )?;
        let mut held = self.engine.write().await?;
        secrets::prune(held.conn(), self.now().minus(REMEMBERED)).await
    }

    /// Gateway keys that work now and will not after this time, the next to end first; at most a thousand.
    pub async fn ai_gateway_key_expiring(
        &self,
        caller: &Caller,
        until: Timestamp,
    ) -> Result<Vec<KeyExpiry>, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::AiGatewayKey, Target::Shared)?;
        let mut held = self.engine.read().await?;
        sql::expiring(held.conn(), self.now(), until).await
    }
}
