//! `DELETE /api/v1/ai-gateway/keys/{key}`

use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::PathText;
use crate::api::routes::problems::{Always, NotFound};
use crate::link::announce;
use crate::state::App;
use axum::extract::State;
use http::StatusCode;

/// Deletes a gateway key. All control planes close the connections of its replicas within a second.
#[utoipa::path(delete, path = "/ai-gateway/keys/{key}", operation_id = "ai_gateway_key_delete", tag = "ai-gateway/keys",
    params(("key" = String, Path, description = "Id or name.")),
    responses((status = 204, description = "Deleted."), Always, NotFound))]
pub(crate) async fn ai_gateway_key_delete(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathText(key): PathText,
) -> Result<StatusCode, ApiError> {
    let deleted = app.store.ai_gateway_key_delete(&caller, &key).await;
    let id = deleted.map_err(about("gateway key"))?;
    announce::key_deleted(&app, id);
    Ok(StatusCode::NO_CONTENT)
}
