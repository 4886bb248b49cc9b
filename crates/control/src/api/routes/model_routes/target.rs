//! Models, targets and fallbacks on their way in.

use crate::api::schemas;
use crate::api::validate::Validations;
use lychgate_store::TargetWanted;
use lychgate_types::json::whole_or_null;
use serde::Deserialize;

/// So many targets, and so many fallbacks, a route may have.
const MAX: usize = 16;

/// A target, chosen by weight.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteTargetWanted {
    /// Id or name of a provider that takes the same requests as the route's provider.
    provider: String,
    #[schema(schema_with = schemas::model)]
    model: Option<String>,
    /// Its share among the targets. Default: 1.
    #[serde(default, deserialize_with = "whole_or_null")]
    #[schema(minimum = 1, maximum = 1000, default = 1)]
    weight: Option<u32>,
}

/// A fallback, tried if all targets fail.
#[derive(Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RouteFallbackWanted {
    /// Id or name of a provider that takes the same requests as the route's provider.
    provider: String,
    #[schema(schema_with = schemas::model)]
    model: Option<String>,
}

/// Notes a pattern that fits no model.
pub(super) fn check_pattern(validations: &mut Validations, pattern: &str) {
    check_text(validations, "model", pattern);
    if pattern.strip_suffix('*').unwrap_or(pattern).contains('*') {
        validations.add(
            "model",
            "may have a * only at its end: write an exact model, or a prefix followed by *",
        );
    }
}

fn check_text(validations: &mut Validations, field: &str, model: &str) {
    if !(1..=256).contains(&model.chars().count()) || model.chars().any(char::is_control) {
        validations.add(
            field,
            "must be 1 to 256 characters without line ends or other control characters",
        );
    }
}

fn check_model(validations: &mut Validations, field: &str, model: Option<&str>) {
    let Some(model) = model else { return };
    check_text(validations, field, model);
    if model.contains('*') {
        validations.add(field, "must be the name of one model, without *");
    }
}

/// Reads the targets: 1 to 16.
pub(super) fn targets(validations: &mut Validations, wanted: Vec<RouteTargetWanted>) -> Vec<TargetWanted> {
    if !(1..=MAX).contains(&wanted.len()) {
        validations.add("targets", format!("a route has 1 to {MAX} targets"));
    }
    let mut targets = Vec::with_capacity(wanted.len());
    for (at, wanted) in wanted.into_iter().enumerate() {
        check_model(validations, &format!("targets[{at}].model"), wanted.model.as_deref());
        let weight = wanted.weight.unwrap_or(1);
        if !(1..=1000).contains(&weight) {
            validations.add(format!("targets[{at}].weight"), "must be a whole number from 1 to 1000");
        }
        targets.push(TargetWanted {
            provider: wanted.provider,
            model: wanted.model,
            weight,
        });
    }
    targets
}

/// Reads the fallbacks: up to 16.
pub(super) fn fallbacks(validations: &mut Validations, wanted: Vec<RouteFallbackWanted>) -> Vec<TargetWanted> {
    if wanted.len() > MAX {
        validations.add("fallbacks", format!("a route has at most {MAX} fallbacks"));
    }
    let mut fallbacks = Vec::with_capacity(wanted.len());
    for (at, wanted) in wanted.into_iter().enumerate() {
        check_model(validations, &format!("fallbacks[{at}].model"), wanted.model.as_deref());
        fallbacks.push(TargetWanted {
            provider: wanted.provider,
            model: wanted.model,
            weight: 1,
        });
    }
    fallbacks
}
