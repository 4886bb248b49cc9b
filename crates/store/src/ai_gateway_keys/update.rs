//! Changing a gateway key: what it is called, until when it works, what it serves, and where from. Not its name, which
//! operators and audit entries hold on to, and not its secret (`rotate`).

use crate::connect::Store;
use crate::error::StoreError;
use crate::mutation::Mutation;
use crate::name_or_id::NameOrId;
use crate::rows::ai_gateway_keys::{GatewayKey, GatewayKeyPatch};
use crate::rows::changes::Change;
use crate::sql::{ai_gateway_keys as sql, providers};
use lychgate_authz::{Action, Caller};
use lychgate_types::GatewayKeyId;

impl GatewayKeyPatch {
    /// What changes, for the audit log.
    fn words(&self) -> String {
        let mut words = Vec::new();
        if self.description.is_some() {
            words.push("description".to_owned());
        }
        match self.expires_at {
            Some(Some(at)) => words.push(format!("expires at {at}")),
            Some(None) => words.push("does not expire".to_owned()),
            None => {}
        }
        match self.disabled {
            Some(true) => words.push("disabled".to_owned()),
            Some(false) => words.push("enabled".to_owned()),
            None => {}
        }
        match &self.providers {
            Some(Some(providers)) => words.push(format!("providers: {}", list(providers))),
            Some(None) => words.push("all providers".to_owned()),
            None => {}
        }
        match &self.allowed_cidrs {
            Some(Some(cidrs)) => words.push(format!("from {}", list(cidrs))),
            Some(None) => words.push("from anywhere".to_owned()),
            None => {}
        }
        words.join("; ")
    }
}

/// What the key serves is part of its replicas' configuration.
fn changes(id: GatewayKeyId, patch: &GatewayKeyPatch) -> Vec<Change> {
    let mut changes = vec![Change::GatewayKey(id)];
    if patch.providers.is_some() {
        changes.push(Change::Configuration);
    }
    changes
}

fn list(values: &[impl ToString]) -> String {
    values.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
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
        let key = sql::get(&mut tx, key.id, now).await?;
        mutation.set_prefix(&key.secret_prefix);
        mutation.set_detail(patch.words());
        mutation.commit(tx, &changes(key.id, patch)).await?;
        Ok(key)
    }
}
