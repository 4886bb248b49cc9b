//! `GET /api/v1/ai-gateway/routes/{route}`

use super::Route;
use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::PathText;
use crate::api::routes::problems::{Always, NotFound};
use crate::state::App;
use axum::extract::State;

/// Shows one route.
#[utoipa::path(get, path = "/ai-gateway/routes/{route}", operation_id = "route_get", tag = "ai-gateway/routes",
    params(("route" = String, Path, description = "Id or name.")),
    responses((status = 200, description = "The route.", body = Route), Always, NotFound))]
pub(crate) async fn route_get(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathText(route): PathText,
) -> Result<axum::Json<Route>, ApiError> {
    Ok(axum::Json(
        app.store
            .route_find(&caller, &route)
            .await
            .map_err(about("route"))?
            .into(),
    ))
}
