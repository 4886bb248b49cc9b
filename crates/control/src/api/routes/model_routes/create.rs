//! `POST /api/v1/ai-gateway/routes`

use super::Route;
use super::target::{RouteFallbackWanted, RouteTargetWanted, check_pattern, fallbacks, targets};
use crate::api::authenticate::Authenticated;
use crate::api::error::ApiError;
use crate::api::extract::Json;
use crate::api::routes::problems::{Always, BadBody, Conflict};
use crate::api::schemas;
use crate::api::validate::Validations;
use crate::link::announce;
use crate::state::App;
use axum::extract::State;
use http::StatusCode;
use lychgate_store::RouteInsert;
use lychgate_types::json::objects;
use serde::Deserialize;

/// A new route.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "sonnet", "provider": "claude", "model": "claude-sonnet-*", "targets": [{"provider": "claude", "weight": 9},
    {"provider": "claude", "model": "claude-sonnet-5"}], "fallbacks": [{"provider": "claude", "model": "claude-haiku-4-5"}]}))]
pub(crate) struct RouteCreate {
    #[schema(schema_with = schemas::name)]
    name: String,
    /// Id or name of the provider in the request's path.
    provider: String,
    #[schema(schema_with = schemas::models)]
    model: String,
    /// One of these is chosen at random by weight; the others are tried if it fails.
    #[serde(deserialize_with = "objects")]
    #[schema(min_items = 1, max_items = 16)]
    targets: Vec<RouteTargetWanted>,
    /// Tried in this order if all targets fail.
    #[serde(default, deserialize_with = "objects")]
    #[schema(max_items = 16)]
    fallbacks: Vec<RouteFallbackWanted>,
    /// Whether it is enabled. Default: true.
    enabled: Option<bool>,
}

/// Creates a route. Replicas get it within a second.
#[utoipa::path(post, path = "/ai-gateway/routes", operation_id = "route_create", tag = "ai-gateway/routes",
    request_body = RouteCreate,
    responses((status = 201, description = "The new route.", body = Route), Always, BadBody, Conflict))]
pub(crate) async fn route_create(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    Json(body): Json<RouteCreate>,
) -> Result<(StatusCode, axum::Json<Route>), ApiError> {
    let mut validations = Validations::default();
    let name = validations.name("name", &body.name);
    check_pattern(&mut validations, &body.model);
    let targets = targets(&mut validations, body.targets);
    let fallbacks = fallbacks(&mut validations, body.fallbacks);
    let name = validations.all(name)?;
    let insert = RouteInsert {
        id: app.ambient.new_id(),
        name: name.to_string(),
        provider: body.provider,
        model: body.model,
        targets,
        fallbacks,
        enabled: body.enabled.unwrap_or(true),
    };
    let route = app.store.route_insert(&caller, insert).await?;
    announce::configuration_changed(&app).await;
    Ok((StatusCode::CREATED, axum::Json(route.into())))
}
