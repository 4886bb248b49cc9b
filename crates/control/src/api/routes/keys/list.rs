//! `GET /api/v1/ai-gateway/keys`

use super::{Key, live_replicas};
use crate::api::authenticate::Authenticated;
use crate::api::error::ApiError;
use crate::api::extract::Query;
use crate::api::routes::problems::{Always, BadQuery};
use crate::api::validate::Validations;
use crate::state::App;
use axum::extract::State;
use lychgate_store::{GatewayKey, KeyFilter};
use serde::{Deserialize, Serialize};

/// Which gateway keys, and which page of them.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct KeyListQuery {
    /// Only those with this text in their name.
    q: Option<String>,
    /// Maximum number of entries.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// One page of gateway keys.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct KeyList {
    keys: Vec<Key>,
    /// Pass it as `after` to get the next page; null on the last page.
    next: Option<String>,
}

/// Lists gateway keys, oldest first.
#[utoipa::path(get, path = "/ai-gateway/keys", operation_id = "ai_gateway_key_list", tag = "ai-gateway/keys",
    params(KeyListQuery),
    responses((status = 200, description = "One page of gateway keys.", body = KeyList), Always, BadQuery))]
pub(crate) async fn ai_gateway_key_list(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    Query(query): Query<KeyListQuery>,
) -> Result<axum::Json<KeyList>, ApiError> {
    let mut validations = Validations::default();
    let page = validations.page(query.limit.as_deref(), query.after.as_deref());
    let page = validations.all(Some(page))?;
    let found = app
        .store
        .ai_gateway_key_list(&caller, &KeyFilter { q: query.q }, page)
        .await?;
    let ids: Vec<_> = found.items.iter().map(|key| key.id).collect();
    let live = live_replicas(&app, &ids).await?;
    let now = app.ambient.now();
    let with_live = |key: GatewayKey| {
        let live = live.get(&key.id).copied().unwrap_or(0);
        Key::at(now, key, live)
    };
    let keys = found.items.into_iter().map(with_live).collect();
    Ok(axum::Json(KeyList {
        keys,
        next: found.next.map(|cursor| cursor.to_string()),
    }))
}
