//! `GET /api/v1/users`

use super::User;
use crate::api::authenticate::Authenticated;
use crate::api::error::ApiError;
use crate::api::extract::Query;
use crate::api::routes::problems::{Always, BadQuery};
use crate::api::validate::Validations;
use crate::state::App;
use axum::extract::State;
use lychgate_store::UserFilter;
use serde::{Deserialize, Serialize};

/// Which users, and which page of them.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct UserListQuery {
    /// Only those with this text in their username.
    q: Option<String>,
    /// Those who were deleted, instead of those who were not: `true` or `false`.
    #[param(value_type = Option<bool>, default = false)]
    deleted: Option<String>,
    /// Maximum number of entries.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// One page of users.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct UserList {
    users: Vec<User>,
    /// Pass it as `after` to get the next page; null on the last page.
    next: Option<String>,
}

/// Lists users, oldest first. Members see themselves.
#[utoipa::path(get, path = "/users", operation_id = "user_list", tag = "users", params(UserListQuery),
    responses((status = 200, description = "One page of users.", body = UserList), Always, BadQuery))]
pub(crate) async fn user_list(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    Query(query): Query<UserListQuery>,
) -> Result<axum::Json<UserList>, ApiError> {
    let mut validations = Validations::default();
    let page = validations.page(query.limit.as_deref(), query.after.as_deref());
    let deleted = validations.parse("deleted", query.deleted.as_deref());
    let page = validations.all(Some(page))?;
    let filter = UserFilter {
        q: query.q,
        deleted: deleted.unwrap_or(false),
    };
    let found = app.store.user_list(&caller, &filter, page).await?;
    let users = found.items.into_iter().map(User::from).collect();
    Ok(axum::Json(UserList {
        users,
        next: found.next.map(|cursor| cursor.to_string()),
    }))
}
