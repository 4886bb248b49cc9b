//! `POST /api/v1/users/{user}/suspend`

use super::User;
use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::PathText;
use crate::api::routes::problems::{Always, Conflict, NotFound};
use crate::link::announce;
use crate::state::App;
use axum::extract::State;
use lychgate_store::UserState;

/// Suspends a user. Their tokens stop working at once, everywhere.
#[utoipa::path(post, path = "/users/{user}/suspend", operation_id = "user_suspend", tag = "users",
    params(("user" = String, Path, description = "Id or username.")),
    responses((status = 200, description = "The user as it is now.", body = User), Always, NotFound, Conflict))]
pub(crate) async fn user_suspend(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathText(user): PathText,
) -> Result<axum::Json<User>, ApiError> {
    let (user, tokens) = app
        .store
        .user_set_state(&caller, &user, UserState::Suspended)
        .await
        .map_err(about("user"))?;
    announce::tokens_revoked(&app, &tokens).await;
    Ok(axum::Json(user.into()))
}
