//! `POST /api/v1/users/{user}/activate`

use super::User;
use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::PathText;
use crate::api::routes::problems::{Always, NotFound};
use crate::state::App;
use axum::extract::State;
use lychgate_store::UserState;

/// Activates a suspended user; their tokens work again.
#[utoipa::path(post, path = "/users/{user}/activate", operation_id = "user_activate", tag = "users",
    params(("user" = String, Path, description = "Id or username.")),
    responses((status = 200, description = "The user as it is now.", body = User), Always, NotFound))]
pub(crate) async fn user_activate(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathText(user): PathText,
) -> Result<axum::Json<User>, ApiError> {
    let (user, _) = app
        .store
        .user_set_state(&caller, &user, UserState::Active)
        .await
        .map_err(about("user"))?;
    Ok(axum::Json(user.into()))
}
