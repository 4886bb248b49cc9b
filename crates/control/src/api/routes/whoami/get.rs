//! `GET /api/v1/whoami`

use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::routes::problems::Always;
use crate::state::App;
use axum::extract::State;
use lychgate_types::{Timestamp, TokenId, UserId};
use serde::Serialize;

/// The caller: the user, and the token used.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Whoami {
    #[schema(value_type = String, format = Uuid)]
    user_id: UserId,
    username: String,
    /// `owner`, `auditor` or `member`.
    role: &'static str,
    #[schema(value_type = String, format = Uuid)]
    token_id: TokenId,
    /// The scopes of the token.
    scopes: Vec<String>,
    #[schema(value_type = Option<String>, format = DateTime)]
    expires_at: Option<Timestamp>,
}

/// Shows who the caller is. Needs the scope `user:read`, like every request that shows a user.
#[utoipa::path(get, path = "/whoami", operation_id = "whoami_get", tag = "whoami",
    responses((status = 200, description = "The caller.", body = Whoami), Always))]
pub(crate) async fn whoami_get(
    State(app): State<App>,
    Authenticated { caller, token }: Authenticated,
) -> Result<axum::Json<Whoami>, ApiError> {
    let user = app
        .store
        .user_find(&caller, token.user_id)
        .await
        .map_err(about("user"))?;
    Ok(axum::Json(Whoami {
        user_id: user.id,
        username: user.username,
        role: user.role.as_str(),
        token_id: token.token_id,
        scopes: token.scopes.to_texts(),
        expires_at: token.expires_at,
    }))
}
