//! Routes of AI requests: where those for certain models go. Not the API's own routes, which stand in `router.rs`.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod get;
pub(crate) mod list;
mod target;
pub(crate) mod update;

use lychgate_store::ProviderRef;
use lychgate_types::{ProviderId, RouteId, Timestamp};
use serde::Serialize;

/// Where requests to a provider for certain models go.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Route {
    #[schema(value_type = String, format = Uuid)]
    id: RouteId,
    /// Follows the name rule.
    name: String,
    /// The provider that clients address.
    provider: RouteProvider,
    /// The model that clients ask for: its exact name, or a beginning followed by `*`.
    model: String,
    /// One of these is drawn by weight; the others are tried after it.
    targets: Vec<RouteTarget>,
    /// Tried in this order when no target answered well.
    fallbacks: Vec<RouteFallback>,
    /// Whether it is in force.
    enabled: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A provider as a route names it.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RouteProvider {
    #[schema(value_type = String, format = Uuid)]
    id: ProviderId,
    name: String,
}

/// A place among the targets.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RouteTarget {
    provider: RouteProvider,
    /// The model to ask for there; null keeps the client's.
    model: Option<String>,
    /// Its share among the targets.
    #[schema(minimum = 1, maximum = 1000)]
    weight: u32,
}

/// A place among the fallbacks.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RouteFallback {
    provider: RouteProvider,
    /// The model to ask for there; null keeps the client's.
    model: Option<String>,
}

impl From<ProviderRef> for RouteProvider {
    fn from(provider: ProviderRef) -> Self {
        Self {
            id: provider.id,
            name: provider.name,
        }
    }
}

impl From<lychgate_store::Route> for Route {
    fn from(route: lychgate_store::Route) -> Self {
        let target = |target: lychgate_store::RouteTarget| RouteTarget {
            provider: target.provider.into(),
            model: target.model,
            weight: target.weight,
        };
        let fallback = |target: lychgate_store::RouteTarget| RouteFallback {
            provider: target.provider.into(),
            model: target.model,
        };
        Self {
            id: route.id,
            name: route.name,
            provider: route.provider.into(),
            model: route.model,
            targets: route.targets.into_iter().map(target).collect(),
            fallbacks: route.fallbacks.into_iter().map(fallback).collect(),
            enabled: route.enabled,
            created_at: route.created_at,
            updated_at: route.updated_at,
        }
    }
}
