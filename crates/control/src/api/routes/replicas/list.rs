//! `GET /api/v1/ai-gateway/replicas`

use super::Replica;
use crate::api::authenticate::Authenticated;
use crate::api::error::ApiError;
use crate::api::extract::Query;
use crate::api::routes::problems::{Always, BadQuery};
use crate::api::schemas;
use crate::api::validate::Validations;
use crate::state::App;
use axum::extract::State;
use lychgate_store::{NameOrId, ReplicaFilter, ReplicaState};
use serde::{Deserialize, Serialize};

/// Which replicas, and which page of them.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ReplicaListQuery {
    /// Only those that authenticated with this gateway key, by id or name.
    key: Option<String>,
    /// Only those in this state.
    #[param(schema_with = schemas::one_of::<ReplicaState>)]
    state: Option<String>,
    /// Maximum number of entries.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// One page of replicas.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ReplicaList {
    replicas: Vec<Replica>,
    /// Pass it as `after` to get the next page; null on the last page.
    next: Option<String>,
}

/// Lists the replicas of all control planes, in the order in which they first attached. One that is gone is listed for a week.
#[utoipa::path(get, path = "/ai-gateway/replicas", operation_id = "replica_list", tag = "ai-gateway/replicas",
    params(ReplicaListQuery),
    responses((status = 200, description = "One page of replicas.", body = ReplicaList), Always, BadQuery))]
pub(crate) async fn replica_list(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    Query(query): Query<ReplicaListQuery>,
) -> Result<axum::Json<ReplicaList>, ApiError> {
    let mut validations = Validations::default();
    let state = validations.parse("state", query.state.as_deref());
    let page = validations.page(query.limit.as_deref(), query.after.as_deref());
    let page = validations.all(Some(page))?;
    let gateway_key = query.key.as_ref().map(NameOrId::from);
    let filter = ReplicaFilter { gateway_key, state };
    let found = app.store.replica_list(&caller, &filter, page).await?;
    Ok(axum::Json(ReplicaList {
        replicas: found.items.into_iter().map(Replica::from).collect(),
        next: found.next.map(|cursor| cursor.to_string()),
    }))
}
