//! Provider policies and routes between the wire's messages and the product's types.

use crate::convert::{BadMessage, id_bytes, read_id};
use crate::generated as wire;
use crate::link::{RouteConfig, RouteTarget};
use lychgate_types::policy::{BreakerPolicy, ProviderPolicy, RetryPolicy, Timeouts};
use lychgate_types::{ProviderId, RouteId};

impl From<ProviderPolicy> for wire::Policy {
    fn from(policy: ProviderPolicy) -> Self {
        Self {
            retry_max_attempts: policy.retry.max_attempts,
            retry_budget_percent: policy.retry.budget_percent,
            retry_base_delay_ms: policy.retry.base_delay_ms,
            retry_max_delay_ms: policy.retry.max_delay_ms,
            connect_ms: policy.timeouts.connect_ms,
            headers_ms: policy.timeouts.headers_ms,
            idle_ms: policy.timeouts.idle_ms,
            total_ms: policy.timeouts.total_ms,
            breaker_failures: policy.breaker.failures,
            breaker_window_seconds: policy.breaker.window_seconds,
            breaker_open_seconds: policy.breaker.open_seconds,
            breaker_half_open_requests: policy.breaker.half_open_requests,
            key_cooldown_seconds: policy.key_cooldown_seconds,
            http2: policy.http2,
        }
    }
}

/// Reads a policy; one that is out of bounds (a newer control plane may allow more) becomes the default.
pub(crate) fn read_policy(policy: wire::Policy) -> ProviderPolicy {
    let read = ProviderPolicy {
        retry: RetryPolicy {
            max_attempts: policy.retry_max_attempts,
            budget_percent: policy.retry_budget_percent,
            base_delay_ms: policy.retry_base_delay_ms,
            max_delay_ms: policy.retry_max_delay_ms,
        },
        timeouts: Timeouts {
            connect_ms: policy.connect_ms,
            headers_ms: policy.headers_ms,
            idle_ms: policy.idle_ms,
            total_ms: policy.total_ms,
        },
        breaker: BreakerPolicy {
            failures: policy.breaker_failures,
            window_seconds: policy.breaker_window_seconds,
            open_seconds: policy.breaker_open_seconds,
            half_open_requests: policy.breaker_half_open_requests,
        },
        key_cooldown_seconds: policy.key_cooldown_seconds,
        http2: policy.http2,
    };
    match read.validate() {
        Ok(()) => read,
        Err(error) => {
            tracing::warn!(%error, "a provider's policy is out of bounds; the default is used instead");
            ProviderPolicy::default()
        }
    }
}

pub(crate) fn to_wire(route: &RouteConfig) -> wire::Route {
    let target = |target: &RouteTarget| wire::RouteTarget {
        provider: id_bytes(target.provider.as_uuid()),
        model: target.model.clone(),
        weight: target.weight,
    };
    wire::Route {
        id: id_bytes(route.id.as_uuid()),
        provider: id_bytes(route.provider.as_uuid()),
        model: route.model.clone(),
        targets: route.targets.iter().map(target).collect(),
        fallbacks: route.fallbacks.iter().map(target).collect(),
    }
}

pub(crate) fn from_wire(route: wire::Route) -> Result<RouteConfig, BadMessage> {
    let target = |target: wire::RouteTarget| {
        let provider = ProviderId::from_uuid(read_id(&target.provider, "route.targets.provider")?);
        Ok(RouteTarget {
            provider,
            model: target.model,
            weight: target.weight.max(1),
        })
    };
    Ok(RouteConfig {
        id: RouteId::from_uuid(read_id(&route.id, "route.id")?),
        provider: ProviderId::from_uuid(read_id(&route.provider, "route.provider")?),
        model: route.model,
        targets: route.targets.into_iter().map(target).collect::<Result<_, _>>()?,
        fallbacks: route.fallbacks.into_iter().map(target).collect::<Result<_, _>>()?,
    })
}
