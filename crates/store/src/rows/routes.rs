//! Routes and their targets.

use crate::rows::providers::ProviderRef;
use lychgate_types::{RouteId, Timestamp};

/// A route.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// Its id.
    pub id: RouteId,
    /// Lower case, unique.
    pub name: String,
    /// The provider in the request's path.
    pub provider: ProviderRef,
    /// The model asked for: its exact name, or a beginning followed by `*`.
    pub model: String,
    /// One of these is drawn by weight.
    pub targets: Vec<RouteTarget>,
    /// Tried in this order if all targets fail.
    pub fallbacks: Vec<RouteTarget>,
    /// Whether it is enabled.
    pub enabled: bool,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// One place where a request may go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteTarget {
    /// Of the same wire family as the route's own provider.
    pub provider: ProviderRef,
    /// The model to ask for there; `None` keeps the client's.
    pub model: Option<String>,
    /// Its share among the targets, 1 to 1000; without meaning among fallbacks.
    pub weight: u32,
}

/// A route to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteInsert {
    /// Made by the caller.
    pub id: RouteId,
    /// Stored in lower case; must keep the name rule.
    pub name: String,
    /// Id or name of the provider in the request's path.
    pub provider: String,
    /// 1 to 256 characters; a star only at the end, which the caller checks.
    pub model: String,
    /// How many there may be is checked by the caller.
    pub targets: Vec<TargetWanted>,
    /// How many there may be is checked by the caller.
    pub fallbacks: Vec<TargetWanted>,
    /// Whether it is enabled.
    pub enabled: bool,
}

/// A place where requests shall go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetWanted {
    /// Id or name of the provider.
    pub provider: String,
    /// The model to ask for there, 1 to 256 characters; `None` keeps the client's.
    pub model: Option<String>,
    /// 1 to 1000.
    pub weight: u32,
}

/// What shall change; `None` leaves a field as it is. The rules are those of [`crate::RouteInsert`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RoutePatch {
    /// Id or name of the provider in the request's path.
    pub provider: Option<String>,
    /// The requested model.
    pub model: Option<String>,
    /// The whole list.
    pub targets: Option<Vec<TargetWanted>>,
    /// The whole list.
    pub fallbacks: Option<Vec<TargetWanted>>,
    /// Whether it is enabled.
    pub enabled: Option<bool>,
}
