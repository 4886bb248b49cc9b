//! `GET /api/v1/tokens/{id}`

use super::Token;
use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::PathId;
use crate::api::routes::problems::{Always, BadId, NotFound};
use crate::state::App;
use axum::extract::State;
use lychgate_types::TokenId;

/// Shows one token, without its secret.
#[utoipa::path(get, path = "/tokens/{id}", operation_id = "token_get", tag = "tokens",
    params(("id" = String, Path, format = Uuid, description = "Id of the token.")),
    responses((status = 200, description = "The token.", body = Token), Always, BadId, NotFound))]
pub(crate) async fn token_get(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathId(id): PathId<TokenId>,
) -> Result<axum::Json<Token>, ApiError> {
    let token = app.store.token_get(&caller, id).await.map_err(about("token"))?;
    Ok(axum::Json(Token::at(app.ambient.now(), token)))
}
