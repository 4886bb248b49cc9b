//! Every route, and nothing else.

use super::{layers, openapi as document};
use crate::api::routes::{
    audit_entries, health, interceptions, keys, model_routes, openapi, providers, replicas, tokens, users, whoami,
};
use crate::link::authenticator::GatewayKeyAuthenticator;
use crate::state::App;
use axum::Router;
use axum::routing::get;
use http::StatusCode;
use lychgate_gateway::Gateway;
use std::sync::Arc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

/// The API's routes, documented. `/api/v1/openapi.json` is not among them: it is the document.
pub(crate) fn api() -> OpenApiRouter<App> {
    let v1 = OpenApiRouter::default()
        .routes(routes!(whoami::get::whoami_get))
        .routes(routes!(users::create::user_create, users::list::user_list))
        .routes(routes!(
            users::get::user_get,
            users::update::user_update,
            users::delete::user_delete
        ))
        .routes(routes!(users::suspend::user_suspend))
        .routes(routes!(users::activate::user_activate))
        .routes(routes!(tokens::create::token_create, tokens::list::token_list))
        .routes(routes!(tokens::get::token_get, tokens::revoke::token_revoke))
        .routes(routes!(
            keys::create::ai_gateway_key_create,
            keys::list::ai_gateway_key_list
        ))
        .routes(routes!(
            keys::get::ai_gateway_key_get,
            keys::update::ai_gateway_key_update,
            keys::delete::ai_gateway_key_delete
        ))
        .routes(routes!(keys::rotate::ai_gateway_key_rotate))
        .routes(routes!(replicas::list::replica_list))
        .routes(routes!(replicas::get::replica_get))
        .routes(routes!(replicas::drain::replica_drain))
        .routes(routes!(
            providers::create::provider_create,
            providers::list::provider_list
        ))
        .routes(routes!(
            providers::get::provider_get,
            providers::update::provider_update,
            providers::delete::provider_delete
        ))
        .routes(routes!(
            model_routes::create::route_create,
            model_routes::list::route_list
        ))
        .routes(routes!(
            model_routes::get::route_get,
            model_routes::update::route_update,
            model_routes::delete::route_delete
        ))
        .routes(routes!(interceptions::list::interception_list))
        .routes(routes!(interceptions::get::interception_get))
        .routes(routes!(audit_entries::list::audit_entry_list));
    OpenApiRouter::with_openapi(document::base()).nest("/api/v1", v1)
}

/// Everything that one listener serves.
pub(crate) fn all(app: &App, gateway: &Gateway) -> Router {
    let api: Router = Router::from(api())
        .route("/api/v1/openapi.json", get(openapi::get))
        // Ours, so that it keeps its layers when other routers are merged; its body is written by them.
        .fallback(async || StatusCode::NOT_FOUND)
        .with_state(app.clone());
    let link = lychgate_link::server::routes(Arc::new(GatewayKeyAuthenticator(app.clone())));
    layers::around(api, app.ambient.clone(), Arc::clone(&app.counts))
        .merge(link)
        .merge(health::routes(app, gateway))
}
