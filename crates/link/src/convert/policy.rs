//! A provider's policy. Each setting is optional on the wire and read by itself: one that is missing or out of bounds has its
//! default, and says nothing about the others.

use crate::generated as wire;
use lychgate_types::policy::{BreakerChange, PolicyChange, ProviderPolicy, RelayChange, RetryChange, TimeoutsChange};

impl From<ProviderPolicy> for wire::Policy {
    fn from(policy: ProviderPolicy) -> Self {
        Self {
            retry_max_attempts: Some(policy.retry.max_attempts),
            retry_budget_percent: Some(policy.retry.budget_percent),
            retry_base_delay_ms: Some(policy.retry.base_delay_ms),
            retry_max_delay_ms: Some(policy.retry.max_delay_ms),
            connect_ms: Some(policy.timeouts.connect_ms),
            headers_ms: Some(policy.timeouts.headers_ms),
            idle_ms: Some(policy.timeouts.idle_ms),
            total_ms: Some(policy.timeouts.total_ms),
            breaker_failures: Some(policy.breaker.failures),
            breaker_window_seconds: Some(policy.breaker.window_seconds),
            breaker_open_seconds: Some(policy.breaker.open_seconds),
            breaker_half_open_requests: Some(policy.breaker.half_open_requests),
            breaker_failure_status: Some(policy.breaker.failure_status),
            relay_stream_usage: Some(policy.relay.stream_usage),
            relay_images: Some(policy.relay.images),
            relay_audio: Some(policy.relay.audio),
            relay_stored_objects: Some(policy.relay.stored_objects),
            key_cooldown_seconds: Some(policy.key_cooldown_seconds),
            http2: Some(policy.http2),
        }
    }
}

/// Reads the policy of the provider with this name.
pub(super) fn read_policy(provider: &str, policy: &wire::Policy) -> ProviderPolicy {
    let sent = PolicyChange {
        retry: RetryChange {
            max_attempts: policy.retry_max_attempts,
            budget_percent: policy.retry_budget_percent,
            base_delay_ms: policy.retry_base_delay_ms,
            max_delay_ms: policy.retry_max_delay_ms,
        },
        timeouts: TimeoutsChange {
            connect_ms: policy.connect_ms,
            headers_ms: policy.headers_ms,
            idle_ms: policy.idle_ms,
            total_ms: policy.total_ms,
        },
        breaker: BreakerChange {
            failures: policy.breaker_failures,
            window_seconds: policy.breaker_window_seconds,
            open_seconds: policy.breaker_open_seconds,
            half_open_requests: policy.breaker_half_open_requests,
            failure_status: policy.breaker_failure_status,
        },
        relay: RelayChange {
            stream_usage: policy.relay_stream_usage,
            images: policy.relay_images,
            audio: policy.relay_audio,
            stored_objects: policy.relay_stored_objects,
        },
        key_cooldown_seconds: policy.key_cooldown_seconds,
        http2: policy.http2,
    };
    let mut read = sent.over(ProviderPolicy::default());
    // A newer control plane may allow more.
    for error in read.reset_misfits() {
        tracing::warn!(provider, %error, "a setting of a provider's policy is out of bounds; its default is used");
    }
    read
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where each of [`ProviderPolicy::settings`] is in the message, in the same order.
    type Field = fn(&mut wire::Policy) -> &mut Option<u32>;
    const FIELDS: &[(&str, Field)] = &[
        ("retry.max_attempts", |policy| &mut policy.retry_max_attempts),
        ("retry.budget_percent", |policy| &mut policy.retry_budget_percent),
        ("retry.base_delay_ms", |policy| &mut policy.retry_base_delay_ms),
        ("retry.max_delay_ms", |policy| &mut policy.retry_max_delay_ms),
        ("timeouts.connect_ms", |policy| &mut policy.connect_ms),
        ("timeouts.headers_ms", |policy| &mut policy.headers_ms),
        ("timeouts.idle_ms", |policy| &mut policy.idle_ms),
        ("timeouts.total_ms", |policy| &mut policy.total_ms),
        ("breaker.failures", |policy| &mut policy.breaker_failures),
        ("breaker.window_seconds", |policy| &mut policy.breaker_window_seconds),
        ("breaker.open_seconds", |policy| &mut policy.breaker_open_seconds),
        ("breaker.half_open_requests", |policy| {
            &mut policy.breaker_half_open_requests
        }),
        ("breaker.failure_status", |policy| &mut policy.breaker_failure_status),
        ("relay.stream_usage", |policy| &mut policy.relay_stream_usage),
        ("relay.images", |policy| &mut policy.relay_images),
        ("relay.audio", |policy| &mut policy.relay_audio),
        ("relay.stored_objects", |policy| &mut policy.relay_stored_objects),
        ("key_cooldown_seconds", |policy| &mut policy.key_cooldown_seconds),
    ];

    /// A policy in which no setting has its default, nor the value of another, where its bounds leave a choice.
    fn unusual() -> (wire::Policy, Vec<u32>) {
        let mut policy = wire::Policy {
            http2: Some(true),
            ..wire::Policy::default()
        };
        let mut values = Vec::new();
        for (setting, (_, field)) in ProviderPolicy::settings().iter().zip(FIELDS) {
            let unusual = (setting.least..=setting.most).filter(|value| *value != setting.default);
            let value = unusual.clone().find(|value| !values.contains(value));
            let value = value.or_else(|| unusual.clone().next()).unwrap();
            *field(&mut policy) = Some(value);
            values.push(value);
        }
        (policy, values)
    }

    #[test]
    fn every_setting_is_sent_and_read_as_itself() {
        let names: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
        let settings = ProviderPolicy::settings();
        assert_eq!(names, settings.iter().map(|setting| setting.field).collect::<Vec<_>>());
        let (sent, values) = unusual();
        let read = read_policy("a", &sent);
        assert_eq!(read.values(), values);
        assert!(read.http2);
        assert_eq!(wire::Policy::from(read), sent);
    }

    #[test]
    fn one_setting_that_is_missing_or_out_of_bounds_has_its_default_and_the_others_stay() {
        for (at, (setting, (name, field))) in ProviderPolicy::settings().iter().zip(FIELDS).enumerate() {
            let zero = if setting.least == 0 { 0 } else { setting.default };
            for (sent, expected) in [
                (None, setting.default),
                (Some(0), zero),
                (Some(setting.least), setting.least),
                (Some(setting.most), setting.most),
                (Some(setting.most + 1), setting.default),
                (Some(u32::MAX), setting.default),
            ] {
                let (mut policy, mut values) = unusual();
                *field(&mut policy) = sent;
                values[at] = expected;
                let read = read_policy("a", &policy);
                assert_eq!(read.values(), values, "{name}: {sent:?}");
                assert!(read.http2, "{name}: {sent:?}");
            }
        }
    }

    #[test]
    fn a_policy_without_any_setting_is_the_default() {
        assert_eq!(read_policy("a", &wire::Policy::default()), ProviderPolicy::default());
    }
}
