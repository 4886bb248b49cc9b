//! Whose an object is that a provider stores (a response, a conversation): the user's who made it.
//!
//! Not here: what replicas do about it (crate `gateway`).

use crate::connect::Store;
use crate::engine::Held;
use crate::error::StoreError;
use crate::sql::interceptions::completion::is_shared;
use crate::sql::{ai_gateway_keys, providers, stored_objects as sql};
use crate::tokens::grants::gateway_key;
use lychgate_authz::{Action, Caller, Resource, Target, authorise};
use lychgate_types::secret::SecretHash;
use lychgate_types::{GatewayKeyId, Ownership, StoredObject};
use std::collections::HashMap;
use std::time::Duration;

/// Providers keep responses for a month; conversations stay until they are deleted, but few are taken up after a year.
pub(crate) const KEPT: Duration = Duration::from_secs(400 * 24 * 3600);

impl Store {
    /// What is known of the objects with these ids, in their order, as seen from the user of the token with this hash. A gateway key
    /// is told nothing for tokens that it was not told of: they own nothing there.
    pub async fn stored_objects_get(
        &self,
        caller: &Caller,
        token: &SecretHash,
        objects: &[String],
    ) -> Result<Vec<StoredObject>, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::Token, Target::Shared)?;
        let mut held = self.engine.read().await?;
        let gateway_key = gateway_key(caller);
        if let Some(key) = gateway_key
            && !sql::is_granted(held.conn(), token, key).await?
        {
            return Ok(vec![Ownership::Anothers.into(); objects.len()]);
        }
        let mut all = sql::find(held.conn(), objects, token).await?;
        // By provider, of which a request names objects of one or two.
        let mut told = HashMap::new();
        for object in &mut all {
            let Some(unfinished) = &object.unfinished else {
                continue;
            };
            let provider = &unfinished.provider;
            let (is_shared, is_served) = match told.get(provider) {
                Some(known) => *known,
                None => {
                    let is_shared = is_shared(held.conn(), provider).await?;
                    let known = (is_shared, serves(&mut held, gateway_key, provider).await?);
                    told.insert(provider.clone(), known);
                    known
                }
            };
            if !(is_served && (is_shared || object.ownership == Ownership::Own)) {
                object.unfinished = None;
            }
        }
        Ok(all)
    }
}

/// Whether the key serves the provider of this name; the embedded gateway serves all.
async fn serves(held: &mut Held, key: Option<GatewayKeyId>, provider: &str) -> Result<bool, StoreError> {
    let Some(key) = key else { return Ok(true) };
    let served = match ai_gateway_keys::scopes(held.conn(), Some(key)).await?.remove(&key) {
        Some(None) => return Ok(true),
        Some(Some(served)) => served,
        None => return Ok(false),
    };
    let all = providers::refs(held.conn()).await?;
    Ok(all
        .iter()
        .any(|(known, _)| known.name == provider && served.contains(&known.id)))
}
