//! `PATCH /api/v1/users/{user}`

use super::User;
use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::{Json, PathText, given};
use crate::api::routes::problems::{Always, BadBody, Conflict, NotFound};
use crate::api::schemas;
use crate::api::validate::Validations;
use crate::link::announce;
use crate::state::App;
use axum::extract::State;
use lychgate_authz::Role;
use lychgate_store::UserPatch;
use serde::Deserialize;

/// Characters of a display name.
const DISPLAY_NAME: usize = 100;
/// Characters of an e-mail address.
const EMAIL: usize = 254;

/// The changes; fields that are left out stay as they are.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"role": "auditor", "display_name": "Ada Lovelace"}))]
pub(crate) struct UserUpdate {
    /// What the user's tokens may do changes with it at once.
    #[schema(schema_with = schemas::one_of_or_null::<Role>)]
    role: Option<String>,
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::display_name)]
    display_name: Option<Option<String>>,
    #[serde(default, deserialize_with = "given")]
    #[schema(schema_with = schemas::email)]
    email: Option<Option<String>>,
}

/// Changes a user's role and details.
///
/// A new role is in force before the response is sent, on replicas of other control planes within a second.
#[utoipa::path(patch, path = "/users/{user}", operation_id = "user_update", tag = "users",
    params(("user" = String, Path, description = "Id or username.")), request_body = UserUpdate,
    responses((status = 200, description = "The user as it is now.", body = User), Always, BadBody, NotFound, Conflict))]
pub(crate) async fn user_update(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathText(user): PathText,
    Json(body): Json<UserUpdate>,
) -> Result<axum::Json<User>, ApiError> {
    let patch = check(body)?;
    let (user, tokens) = app
        .store
        .user_update(&caller, &user, patch)
        .await
        .map_err(about("user"))?;
    announce::tokens_revoked(&app, &tokens).await;
    Ok(axum::Json(user.into()))
}

fn check(body: UserUpdate) -> Result<UserPatch, ApiError> {
    let mut validations = Validations::default();
    let role = validations.parse("role", body.role.as_deref());
    if let Some(Some(name)) = &body.display_name
        && !is_display_name(name)
    {
        let rule = "must have 1 to 100 characters, no control characters, and no space at either end";
        validations.add("display_name", rule);
    }
    if let Some(Some(address)) = &body.email
        && !is_address(address)
    {
        let rule = "must be an e-mail address of at most 254 characters, such as ada@example.com";
        validations.add("email", rule);
    }
    validations.all(Some(UserPatch {
        role,
        display_name: body.display_name,
        email: body.email,
    }))
}

fn is_display_name(text: &str) -> bool {
    let edges = !text.starts_with(' ') && !text.ends_with(' ');
    edges && (1..=DISPLAY_NAME).contains(&text.chars().count()) && !text.chars().any(char::is_control)
}

/// Whether it has the form of an address. Whether there is such a mailbox, nobody can say.
fn is_address(text: &str) -> bool {
    let part = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_graphic() && b != b'@');
    text.len() <= EMAIL
        && text
            .split_once('@')
            .is_some_and(|(user, host)| part(user) && part(host))
}
