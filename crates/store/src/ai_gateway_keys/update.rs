//! Changing a gateway key: what it is called, until when it works, what it serves, and where from. Not its name, which
//! operators and audit entries hold on to, and not its secret (`rotate`).

use crate::ai_gateway_keys::past_providers;
use crate::connect::Store;
use crate::error::StoreError;
use crate::mutation::Mutation;
use crate::name_or_id::NameOrId;
use crate::rows::ai_gateway_keys::{GatewayKey, GatewayKeyPatch};
use crate::rows::changes::Change;
use crate::sql::{ai_gateway_keys as sql, providers};
use lychgate_authz::{Action, Caller};
use lychgate_types::GatewayKeyId;

fn changes(id: GatewayKeyId, patch: &GatewayKeyPatch) -> Vec<Change> {
    let mut changes = vec![Change::GatewayKey(id)];
    if patch.providers.is_some() {
        changes.push(Change::Configuration);
    }
    changes
}

impl Store {
    /// Changes a gateway key. A change of its providers counts the configuration version up.
    pub async fn ai_gateway_key_update(
        &self,
        caller: &Caller,
        key: impl Into<NameOrId<GatewayKeyId>>,
        patch: GatewayKeyPatch,
    ) -> Result<GatewayKey, StoreError> {
        let key = key.into();
        let mut mutation = self
            .change_of::<GatewayKey>(caller, Action::Update, "update", (&key).into())
            .await?;
        let done = self.change_key(&mut mutation, &key, &patch).await;
        mutation.settle(done).await
    }

    async fn change_key(
        &self,
        mutation: &mut Mutation<'_>,
        key: &NameOrId<GatewayKeyId>,
        patch: &GatewayKeyPatch,
    ) -> Result<GatewayKey, StoreError> {
        let now = self.now();
        let mut tx = self.engine.begin().await?;
        if patch.providers.is_some() {
            // First, since it makes concurrent changes wait for each other.
            providers::bump_version(tx.conn()).await?;
        }
        let key = mutation.find(sql::find(&mut tx, key, now).await?)?;
        if !sql::update(tx.conn(), &key, now, patch).await? {
            return Err(StoreError::NotFound);
        }
        if let Some(Some(kept)) = &patch.providers {
            past_providers::narrow(&mut tx, &key, kept, now).await?;
        }
        let key = sql::get(&mut tx, key.id, now).await?;
        mutation.set_prefix(&key.secret_prefix);
        mutation.became(&key);
        mutation.commit(tx, &changes(key.id, patch)).await?;
        Ok(key)
    }
}
