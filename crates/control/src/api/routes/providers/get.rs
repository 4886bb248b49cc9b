//! `GET /api/v1/ai-gateway/providers/{provider}`

use super::Provider;
use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::PathText;
use crate::api::routes::problems::{Always, NotFound};
use crate::state::App;
use axum::extract::State;

/// Shows one provider.
#[utoipa::path(get, path = "/ai-gateway/providers/{provider}", operation_id = "provider_get", tag = "ai-gateway/providers",
    params(("provider" = String, Path, description = "Id or name.")),
    responses((status = 200, description = "The provider.", body = Provider), Always, NotFound))]
pub(crate) async fn provider_get(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathText(provider): PathText,
) -> Result<axum::Json<Provider>, ApiError> {
    Ok(axum::Json(
        app.store
            .provider_find(&caller, &provider)
            .await
            .map_err(about("provider"))?
            .into(),
    ))
}
