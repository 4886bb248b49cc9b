//! `POST /api/v1/ai-gateway/routes`

use super::Route;
use super::target::{RouteFallbackWanted, RouteTargetWanted, check_pattern, fallbacks, targets};
use crate::api::authenticate::Authenticated;
use crate::api::error::ApiError;
use crate::api::extract::Json;
use crate::api::routes::problems::{Always, BadBody, NameTaken};
use crate::api::validate::Validations;
use crate::link::announce;
use crate::state::App;
use axum::extract::State;
use http::StatusCode;
use lychgate_store::RouteInsert;
use serde::Deserialize;

/// A route to make.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(example = json!({"name": "sonnet", "provider": "claude", "model": "claude-sonnet-*", "targets": [{"provider": "claude", "weight": 9},
    {"provider": "claude", "model": "claude-sonnet-5"}], "fallbacks": [{"provider": "claude", "model": "claude-haiku-4-5"}]}))]
pub(crate) struct RouteCreate {
    /// 1 to 64 characters: letters a to z, digits, and single dashes between them; kept in lower case.
    #[schema(min_length = 1, max_length = 64)]
    name: String,
    /// Id or name of the provider that clients address.
    provider: String,
    /// The model that clients ask for: its exact name, or a beginning followed by `*`. An exact name goes before a beginning, a
    /// longer beginning before a shorter, and of two routes for the same the older one counts.
    #[schema(min_length = 1, max_length = 256)]
    model: String,
    /// One of these is drawn by weight; the others are tried after it.
    #[schema(min_items = 1, max_items = 16)]
    targets: Vec<RouteTargetWanted>,
    /// Tried in this order when no target answered well.
    #[serde(default)]
    #[schema(max_items = 16)]
    fallbacks: Vec<RouteFallbackWanted>,
    /// Whether it is in force; true where left out.
    enabled: Option<bool>,
}

/// Makes a route. All replicas know it before the answer is sent.
#[utoipa::path(post, path = "/ai-gateway/routes", operation_id = "route_create", tag = "ai-gateway/routes",
    request_body = RouteCreate,
    responses((status = 201, description = "The new route.", body = Route), Always, BadBody, NameTaken))]
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
