//! Rotation of gateway keys: a new secret in the place of the present one, which goes on working for a while. At any time at
//! most two secrets of a key let in. A replaced secret is remembered for longer than it works, so that whoever still shows it
//! hears that it was rotated rather than that it is unknown.

use crate::connect::Store;
use crate::error::{RuleBroken, StoreError};
use crate::guard::Event;
use crate::rows::ai_gateway_keys::{GatewayKey, GatewayKeyRotation, KeyExpiry};
use crate::rows::changes::Change;
use crate::sql::ai_gateway_keys as sql;
use crate::sql::ai_gateway_keys::rotate as secrets;
use lychgate_authz::{Action, Caller, Resource, Target, authorise};
use lychgate_types::{GatewayKeyId, Timestamp};
use std::time::Duration;

/// How long a replaced secret is remembered after it stopped working.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(30 * 24 * 60 * 60);

impl Store {
    /// Gives a gateway key a new secret. While the grace of an earlier rotation runs, only by force
    /// ([`RuleBroken::RotationInGrace`]).
    pub async fn ai_gateway_key_rotate(
        &self,
        caller: &Caller,
        id: GatewayKeyId,
        rotation: GatewayKeyRotation,
    ) -> Result<GatewayKey, StoreError> {
        let event = Event::new("rotate", Resource::AiGatewayKey).id(id.as_uuid());
        self.admit(caller, Action::Update, Target::Shared, &event).await?;
        let done = self.replace_secret(caller, id, &rotation, &event).await;
        self.refused(caller, &event, done).await
    }

    async fn replace_secret(
        &self,
        caller: &Caller,
        id: GatewayKeyId,
        rotation: &GatewayKeyRotation,
        event: &Event,
    ) -> Result<GatewayKey, StoreError> {
        let now = self.now();
        let valid_until = now.plus(rotation.grace);
        let mut tx = self.engine.begin().await?;
        // First, since it makes concurrent rotations of one key wait for each other.
        if !secrets::mark_rotated(tx.conn(), id, now).await? {
            return Err(StoreError::NotFound);
        }
        match secrets::grace_end(tx.conn(), id, now).await? {
            Some(until) if !rotation.force => return Err(RuleBroken::RotationInGrace { until }.into()),
            Some(_) => secrets::end_grace(tx.conn(), id, now).await?,
            None => {}
        }
        secrets::retire(tx.conn(), id, now, valid_until).await?;
        secrets::replace(tx.conn(), id, rotation).await?;
        let key = sql::get(&mut tx, id, now).await?;
        let words = format!("the secret before works until {valid_until}");
        let event = event.clone().name(&key.name).prefix(&key.secret_prefix).detail(words);
        self.record(&mut tx, caller, &event).await?;
        self.announce(&mut tx, &[Change::GatewayKey(id)]).await?;
        tx.commit().await?;
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

    /// Gateway keys that let in now and will not after this time, the next to end first; at most a thousand.
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
