//! Gateway keys.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;

use crate::app::App;
use crate::routes::users::UserRef;
use lychgate_types::{GatewayKeyId, Timestamp};
use serde::Serialize;

/// A gateway key, without its secret.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Key {
    #[schema(value_type = String, format = Uuid)]
    id: GatewayKeyId,
    /// Lower-case; follows the name rule.
    name: String,
    /// The first 11 characters of the secret: public, to recognise it by.
    key_prefix: String,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    /// To the minute; null until a replica first came in by it.
    #[schema(value_type = Option<String>, format = DateTime)]
    last_used_at: Option<Timestamp>,
    /// Null where it does not expire.
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
    /// Who made it.
    created_by: Option<UserRef>,
    description: Option<String>,
    /// `active` or `expired`.
    state: &'static str,
    /// How many replicas are attached to this control plane by it.
    live_replicas: usize,
}

impl Key {
    fn of(app: &App, key: lychgate_store::GatewayKey) -> Self {
        Self {
            id: key.id,
            state: key.state(app.ambient.now()).as_str(),
            live_replicas: app.hub.replicas_of(key.id).len(),
            name: key.name,
            key_prefix: key.secret_prefix,
            created_at: key.created_at,
            last_used_at: key.last_used_at,
            expires_at: key.expires_at,
            created_by: key.created_by.map(UserRef::from),
            description: key.description,
        }
    }
}
