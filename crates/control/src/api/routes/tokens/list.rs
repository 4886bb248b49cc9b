//! `GET /api/v1/tokens`

use super::Token;
use crate::api::authenticate::Authenticated;
use crate::api::error::ApiError;
use crate::api::extract::Query;
use crate::api::routes::problems::{Always, BadQuery};
use crate::api::validate::Validations;
use crate::state::App;
use axum::extract::State;
use lychgate_store::{NameOrId, TokenFilter};
use serde::{Deserialize, Serialize};

/// Which tokens, and which page of them.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct TokenListQuery {
    /// Only those of this user, by id or username.
    user: Option<String>,
    /// Maximum number of entries.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// One page of tokens.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct TokenList {
    tokens: Vec<Token>,
    /// Pass it as `after` to get the next page; null on the last page.
    next: Option<String>,
}

/// Lists tokens, oldest first. Members see their own.
#[utoipa::path(get, path = "/tokens", operation_id = "token_list", tag = "tokens", params(TokenListQuery),
    responses((status = 200, description = "One page of tokens.", body = TokenList), Always, BadQuery))]
pub(crate) async fn token_list(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    Query(query): Query<TokenListQuery>,
) -> Result<axum::Json<TokenList>, ApiError> {
    let mut validations = Validations::default();
    let page = validations.page(query.limit.as_deref(), query.after.as_deref());
    let page = validations.all(Some(page))?;
    let user = query.user.as_ref().map(NameOrId::from);
    let found = app.store.token_list(&caller, &TokenFilter { user }, page).await?;
    let now = app.ambient.now();
    let tokens = found.items.into_iter().map(|token| Token::at(now, token)).collect();
    Ok(axum::Json(TokenList {
        tokens,
        next: found.next.map(|cursor| cursor.to_string()),
    }))
}
