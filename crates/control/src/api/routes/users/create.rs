//! `POST /api/v1/users`

use super::User;
use crate::api::authenticate::Authenticated;
use crate::api::error::ApiError;
use crate::api::extract::Json;
use crate::api::routes::problems::{Always, BadBody, Conflict};
use crate::api::schemas;
use crate::api::validate::Validations;
use crate::state::App;
use axum::extract::State;
use http::StatusCode;
use lychgate_authz::Role;
use lychgate_store::UserInsert;
use serde::Deserialize;

/// A new user.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"username": "ada", "role": "member"}))]
pub(crate) struct UserCreate {
    #[schema(schema_with = schemas::username)]
    username: String,
    #[schema(schema_with = schemas::one_of::<Role>)]
    role: String,
}

/// Creates a user.
#[utoipa::path(post, path = "/users", operation_id = "user_create", tag = "users", request_body = UserCreate,
    responses((status = 201, description = "The new user.", body = User), Always, BadBody, Conflict))]
pub(crate) async fn user_create(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    Json(body): Json<UserCreate>,
) -> Result<(StatusCode, axum::Json<User>), ApiError> {
    let mut validations = Validations::default();
    let username = validations.username("username", &body.username);
    let role = validations.parse::<Role>("role", Some(&body.role));
    let (username, role) = validations.all(username.zip(role))?;
    let user = app
        .store
        .user_insert(
            &caller,
            UserInsert {
                username: username.to_string(),
                role,
            },
        )
        .await?;
    Ok((StatusCode::CREATED, axum::Json(user.into())))
}
