//! `PATCH /api/v1/ai-gateway/routes/{route}`

use super::Route;
use super::target::{RouteFallbackWanted, RouteTargetWanted, check_pattern, fallbacks, targets};
use crate::api::authenticate::Authenticated;
use crate::api::error::{ApiError, about};
use crate::api::extract::{Json, PathText};
use crate::api::routes::problems::{Always, BadBody, Conflict, NotFound};
use crate::api::schemas;
use crate::api::validate::Validations;
use crate::link::announce;
use crate::state::App;
use axum::extract::State;
use lychgate_store::RoutePatch;
use lychgate_types::json::objects_or_null;
use serde::Deserialize;

/// The changes; fields that are left out stay as they are.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"enabled": false}))]
pub(crate) struct RouteUpdate {
    /// Id or name of the provider in the request's path.
    provider: Option<String>,
    #[schema(schema_with = schemas::models)]
    model: Option<String>,
    /// The new list.
    #[serde(default, deserialize_with = "objects_or_null")]
    #[schema(min_items = 1, max_items = 16)]
    targets: Option<Vec<RouteTargetWanted>>,
    /// The new list.
    #[serde(default, deserialize_with = "objects_or_null")]
    #[schema(max_items = 16)]
    fallbacks: Option<Vec<RouteFallbackWanted>>,
    enabled: Option<bool>,
}

/// Changes a route. Replicas get the change within a second.
#[utoipa::path(patch, path = "/ai-gateway/routes/{route}", operation_id = "route_update", tag = "ai-gateway/routes",
    params(("route" = String, Path, description = "Id or name.")), request_body = RouteUpdate,
    responses((status = 200, description = "The route as it is now.", body = Route), Always, BadBody, NotFound, Conflict))]
pub(crate) async fn route_update(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    PathText(route): PathText,
    Json(body): Json<RouteUpdate>,
) -> Result<axum::Json<Route>, ApiError> {
    let mut validations = Validations::default();
    if let Some(model) = &body.model {
        check_pattern(&mut validations, model);
    }
    let targets = body.targets.map(|wanted| targets(&mut validations, wanted));
    let fallbacks = body.fallbacks.map(|wanted| fallbacks(&mut validations, wanted));
    validations.all(Some(()))?;
    let patch = RoutePatch {
        provider: body.provider,
        model: body.model,
        targets,
        fallbacks,
        enabled: body.enabled,
    };
    let route = app
        .store
        .route_update(&caller, &route, patch)
        .await
        .map_err(about("route"))?;
    announce::configuration_changed(&app).await;
    Ok(axum::Json(route.into()))
}
