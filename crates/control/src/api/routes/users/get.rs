//! `GET /api/v1/users/{user}`

use super::User;
use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::PathText;
use crate::api::routes::problems::{Always, NotFound};
use crate::state::App;
use axum::extract::State;

/// Shows one user.
#[utoipa::path(get, path = "/users/{user}", operation_id = "user_get", tag = "users",
    params(("user" = String, Path, description = "Id or username.")),
    responses((status = 200, description = "The user.", body = User), Always, NotFound))]
pub(crate) async fn user_get(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathText(user): PathText,
) -> Result<axum::Json<User>, ApiError> {
    Ok(axum::Json(
        app.store.user_find(&caller, &user).await.map_err(about("user"))?.into(),
    ))
}
