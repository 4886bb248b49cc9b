//! `DELETE /api/v1/ai-gateway/providers/{provider}`

use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::PathText;
use crate::api::routes::problems::{Always, Conflict, NotFound};
use crate::link::announce;
use crate::state::App;
use axum::extract::State;
use http::StatusCode;

/// Deletes a provider and its keys. Replicas get the change within a second; interceptions stay. A provider that a route names
/// can't be deleted.
#[utoipa::path(delete, path = "/ai-gateway/providers/{provider}", operation_id = "provider_delete", tag = "ai-gateway/providers",
    params(("provider" = String, Path, description = "Id or name.")),
    responses((status = 204, description = "Deleted."), Always, NotFound, Conflict))]
pub(crate) async fn provider_delete(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathText(provider): PathText,
) -> Result<StatusCode, ApiError> {
    let deleted = app.store.provider_delete(&caller, &provider).await;
    deleted.map_err(about("provider"))?;
    announce::configuration_changed(&app).await;
    Ok(StatusCode::NO_CONTENT)
}
