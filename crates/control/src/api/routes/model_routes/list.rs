//! `GET /api/v1/ai-gateway/routes`

use super::Route;
use crate::api::authenticate::Authenticated;
use crate::api::error::ApiError;
use crate::api::extract::Query;
use crate::api::routes::problems::{Always, BadQuery};
use crate::api::validate::Validations;
use crate::state::App;
use axum::extract::State;
use serde::{Deserialize, Serialize};

/// Which page of routes.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct RouteListQuery {
    /// Maximum number of entries.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// One page of routes.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RouteList {
    routes: Vec<Route>,
    /// Pass it as `after` to get the next page; null on the last page.
    next: Option<String>,
}

/// Lists routes, oldest first.
#[utoipa::path(get, path = "/ai-gateway/routes", operation_id = "route_list", tag = "ai-gateway/routes",
    params(RouteListQuery),
    responses((status = 200, description = "One page of routes.", body = RouteList), Always, BadQuery))]
pub(crate) async fn route_list(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    Query(query): Query<RouteListQuery>,
) -> Result<axum::Json<RouteList>, ApiError> {
    let mut validations = Validations::default();
    let page = validations.page(query.limit.as_deref(), query.after.as_deref());
    let page = validations.all(Some(page))?;
    let found = app.store.route_list(&caller, page).await?;
    let routes = found.items.into_iter().map(Route::from).collect();
    Ok(axum::Json(RouteList {
        routes,
        next: found.next.map(|cursor| cursor.to_string()),
    }))
}
