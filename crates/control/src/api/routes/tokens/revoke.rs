//! `DELETE /api/v1/tokens/{id}`

use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::PathId;
use crate::api::routes::problems::{Always, BadId, NotFound};
use crate::link::announce;
use crate::state::App;
use axum::extract::State;
use http::StatusCode;
use lychgate_types::TokenId;

/// Revokes a token, with those that its user made with it. They stop working at once, everywhere.
#[utoipa::path(delete, path = "/tokens/{id}", operation_id = "token_revoke", tag = "tokens",
    params(("id" = String, Path, format = Uuid, description = "Id of the token.")),
    responses((status = 204, description = "Revoked."), Always, BadId, NotFound))]
pub(crate) async fn token_revoke(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathId(id): PathId<TokenId>,
) -> Result<StatusCode, ApiError> {
    let hashes = app.store.token_revoke(&caller, id).await.map_err(about("token"))?;
    announce::tokens_revoked(&app, &hashes).await;
    Ok(StatusCode::NO_CONTENT)
}
