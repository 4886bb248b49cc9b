//! `GET /api/v1/ai-gateway/providers`

use super::Provider;
use crate::api::authenticate::Authenticated;
use crate::api::error::ApiError;
use crate::api::extract::Query;
use crate::api::routes::problems::{Always, BadQuery};
use crate::api::validate::Validations;
use crate::state::App;
use axum::extract::State;
use serde::{Deserialize, Serialize};

/// Which page of providers.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct ProviderListQuery {
    /// Maximum number of entries.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// One page of providers.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct ProviderList {
    providers: Vec<Provider>,
    /// Pass it as `after` to get the next page; null on the last page.
    next: Option<String>,
}

/// Lists providers, oldest first.
#[utoipa::path(get, path = "/ai-gateway/providers", operation_id = "provider_list", tag = "ai-gateway/providers",
    params(ProviderListQuery),
    responses((status = 200, description = "One page of providers.", body = ProviderList), Always, BadQuery))]
pub(crate) async fn provider_list(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    Query(query): Query<ProviderListQuery>,
) -> Result<axum::Json<ProviderList>, ApiError> {
    let mut validations = Validations::default();
    let page = validations.page(query.limit.as_deref(), query.after.as_deref());
    let page = validations.all(Some(page))?;
    let found = app.store.provider_list(&caller, page).await?;
    let providers = found.items.into_iter().map(Provider::from).collect();
    Ok(axum::Json(ProviderList {
        providers,
        next: found.next.map(|cursor| cursor.to_string()),
    }))
}
