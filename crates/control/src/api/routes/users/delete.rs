//! `DELETE /api/v1/users/{user}`

use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::PathText;
use crate::api::routes::problems::{Always, Conflict, NotFound};
use crate::link::announce;
use crate::state::App;
use axum::extract::State;
use http::StatusCode;

/// Deletes a user. Their tokens stop working at once, their interceptions stay, and the username becomes available again.
#[utoipa::path(delete, path = "/users/{user}", operation_id = "user_delete", tag = "users",
    params(("user" = String, Path, description = "Id or username.")),
    responses((status = 204, description = "Deleted."), Always, NotFound, Conflict))]
pub(crate) async fn user_delete(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathText(user): PathText,
) -> Result<StatusCode, ApiError> {
    let tokens = app.store.user_delete(&caller, &user).await.map_err(about("user"))?;
    announce::tokens_revoked(&app, &tokens).await;
    Ok(StatusCode::NO_CONTENT)
}
