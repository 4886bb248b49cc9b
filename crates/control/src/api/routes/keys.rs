//! Gateway keys.

mod bounds;
pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
pub(crate) mod rotate;
pub(crate) mod update;

use crate::api::error::ApiError;
use crate::api::routes::users::UserRef;
use crate::state::{App, KEY_EXPIRES_SOON};
use lychgate_authz::Caller;
use lychgate_store::{KeyState, ProviderRef, StoreError};
use lychgate_types::{Cidr, GatewayKeyId, ProviderId, Timestamp};
use serde::Serialize;
use std::collections::HashMap;

/// A gateway key, without its secret.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Key {
    #[schema(value_type = String, format = Uuid)]
    id: GatewayKeyId,
    /// Lower-case; follows the name rule.
    name: String,
    /// The first 11 characters of the secret, which are public and identify it.
    key_prefix: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// To the minute; null until a replica authenticates with it.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    /// Null if it does not expire.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// Whether it is active and expires within 14 days.
    expires_soon: bool,
    /// Who created it.
    created_by: Option<UserRef>,
    description: Option<String>,
    /// `active`, `expired` or `disabled`.
    state: &'static str,
    /// When it was last rotated; null if it never was.
    #[schema(value_type = Option<String>, format = DateTime)]
    rotated_at: Option<Timestamp>,
    /// Until when the previous secret works, too; null if it no longer does.
    #[schema(value_type = Option<String>, format = DateTime)]
    previous_valid_until: Option<Timestamp>,
    /// The providers that its replicas serve; null means all. Deleted providers are left out.
    providers: Option<Vec<KeyProvider>>,
    /// The networks that its replicas may connect from; null means anywhere.
    #[schema(value_type = Option<Vec<String>>)]
    allowed_cidrs: Option<Vec<Cidr>>,
    /// How many replicas are attached with it, on all control planes.
    live_replicas: u64,
}

/// A provider, in a gateway key.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct KeyProvider {
    #[schema(value_type = String, format = Uuid)]
    id: ProviderId,
    name: String,
}

impl From<ProviderRef> for KeyProvider {
    fn from(provider: ProviderRef) -> Self {
        Self {
            id: provider.id,
            name: provider.name,
        }
    }
}

impl Key {
    fn at(now: Timestamp, key: lychgate_store::GatewayKey, live_replicas: u64) -> Self {
        let state = key.state(now);
        let near = |at: Timestamp| at <= now.plus(KEY_EXPIRES_SOON);
        Self {
            id: key.id,
            state: state.as_str(),
            live_replicas,
            name: key.name,
            key_prefix: key.secret_prefix,
            created_at: key.created_at,
            last_used_at: key.last_used_at,
            expires_at: key.expires_at,
            expires_soon: state == KeyState::Active && key.expires_at.is_some_and(near),
            created_by: key.created_by.map(UserRef::from),
            description: key.description,
            rotated_at: key.rotated_at,
            previous_valid_until: key.previous_valid_until,
            providers: key
                .providers
                .map(|all| all.into_iter().map(KeyProvider::from).collect()),
            allowed_cidrs: key.allowed_cidrs,
        }
    }
}

/// How many replicas are attached by each of these keys. Part of a key: who may see one may see this.
async fn live_replicas(app: &App, keys: &[GatewayKeyId]) -> Result<HashMap<GatewayKeyId, u64>, ApiError> {
    let caller = Caller::control_plane();
    Ok(app.store.ai_gateway_key_live_replicas(&caller, keys).await?)
}

/// A key with its live replicas.
async fn whole(app: &App, key: lychgate_store::GatewayKey) -> Result<Key, ApiError> {
    let live = live_replicas_of(app, key.id).await?;
    Ok(Key::at(app.ambient.now(), key, live))
}

/// How many replicas are attached by one key.
async fn live_replicas_of(app: &App, key: GatewayKeyId) -> Result<u64, ApiError> {
    Ok(live_replicas(app, &[key]).await?.get(&key).copied().unwrap_or(0))
}

/// The id that a path names; see `users::id_of` for the why.
pub(crate) async fn id_of(app: &App, id_or_name: &str) -> Result<GatewayKeyId, ApiError> {
    if let Ok(id) = id_or_name.parse() {
        return Ok(id);
    }
    match app
        .store
        .ai_gateway_key_find(&Caller::control_plane(), id_or_name)
        .await
    {
        Ok(key) => Ok(key.id),
        Err(StoreError::NotFound) => Ok(app.ambient.new_id()),
        Err(error) => Err(error.into()),
    }
}
