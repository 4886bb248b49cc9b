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
    /// The provider in the request's path.
    provider: RouteProvider,
    /// The model that clients request: an exact name, or a prefix followed by `*`.
    model: String,
    /// One of these is chosen at random by weight; the others are tried if it fails.
    targets: Vec<RouteTarget>,
    /// Tried in this order if all targets fail.
    fallbacks: Vec<RouteFallback>,
    /// Whether it is enabled.
    enabled: bool,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    #[schema(value_type = String, format = DateTime)]
    updated_at: Timestamp,
}

/// A provider, in a route.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RouteProvider {
    #[schema(value_type = String, format = Uuid)]
    id: ProviderId,
    name: String,
}

/// A target.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RouteTarget {
    provider: RouteProvider,
    /// The model to request there; null means the client's.
    model: Option<String>,
    /// Its share among the targets.
    #[schema(minimum = 1, maximum = 1000)]
    weight: u32,
}

/// A fallback.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct RouteFallback {
    provider: RouteProvider,
    /// The model to request there; null means the client's.
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
