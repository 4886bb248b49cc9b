//! `DELETE /api/v1/ai-gateway/routes/{route}`

use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::PathText;
use crate::api::routes::problems::{Always, NotFound};
use crate::link::announce;
use crate::state::App;
use axum::extract::State;
use http::StatusCode;

/// Deletes a route. Replicas get the change within a second.
#[utoipa::path(delete, path = "/ai-gateway/routes/{route}", operation_id = "route_delete", tag = "ai-gateway/routes",
    params(("route" = String, Path, description = "Id or name.")),
    responses((status = 204, description = "Deleted."), Always, NotFound))]
pub(crate) async fn route_delete(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathText(route): PathText,
) -> Result<StatusCode, ApiError> {
    app.store.route_delete(&caller, &route).await.map_err(about("route"))?;
    announce::configuration_changed(&app).await;
    Ok(StatusCode::NO_CONTENT)
}
