//! A provider's policy. Each setting is optional on the wire and read by itself: one that is missing or out of bounds has its
//! default, and says nothing about the others.

use crate::generated as wire;
use lychgate_types::UnknownText;
use lychgate_types::policy::{BreakerChange, PolicyChange, ProviderPolicy, RelayChange, RetryChange, TimeoutsChange};
use std::str::FromStr;

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
            relay_stream_usage: Some(policy.relay.stream_usage.to_string()),
            relay_keep_alive_seconds: Some(policy.relay.keep_alive_seconds),
            relay_images: Some(policy.relay.images),
            relay_audio: Some(policy.relay.audio),
            relay_files: Some(policy.relay.files),
            relay_batches: Some(policy.relay.batches),
            relay_vector_stores: Some(policy.relay.vector_stores),
            relay_containers: Some(policy.relay.containers),
            relay_skills: Some(policy.relay.skills),
            relay_models: Some(policy.relay.models.to_string()),
            relay_websocket: Some(policy.relay.websocket),
            relay_stored_objects: Some(policy.relay.stored_objects.to_string()),
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
            stream_usage: word(provider, policy.relay_stream_usage.as_deref()),
            keep_alive_seconds: policy.relay_keep_alive_seconds,
            images: policy.relay_images,
            audio: policy.relay_audio,
            files: policy.relay_files,
            batches: policy.relay_batches,
            vector_stores: policy.relay_vector_stores,
            containers: policy.relay_containers,
            skills: policy.relay_skills,
            models: word(provider, policy.relay_models.as_deref()),
            websocket: policy.relay_websocket,
            stored_objects: word(provider, policy.relay_stored_objects.as_deref()),
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

/// A setting that is a word; `None` if it is missing, or not known here.
fn word<T: FromStr<Err = UnknownText>>(provider: &str, sent: Option<&str>) -> Option<T> {
    sent.and_then(|text| {
        text.parse()
            .inspect_err(|error| tracing::warn!(provider, %error, "a setting of a provider's policy is unknown; its default is used"))
            .ok()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use lychgate_types::policy::{Setting, SettingValue, Takes};

    /// Where a setting is in the message.
    enum Field {
        Whole(fn(&mut wire::Policy) -> &mut Option<u32>),
        Flag(fn(&mut wire::Policy) -> &mut Option<bool>),
        Word(fn(&mut wire::Policy) -> &mut Option<String>),
    }
    use Field::{Flag, Whole, Word};

    /// Each of [`ProviderPolicy::settings`], in the same order.
    const FIELDS: &[(&str, Field)] = &[
        ("retry.max_attempts", Whole(|policy| &mut policy.retry_max_attempts)),
        ("retry.budget_percent", Whole(|policy| &mut policy.retry_budget_percent)),
        ("retry.base_delay_ms", Whole(|policy| &mut policy.retry_base_delay_ms)),
        ("retry.max_delay_ms", Whole(|policy| &mut policy.retry_max_delay_ms)),
        ("timeouts.connect_ms", Whole(|policy| &mut policy.connect_ms)),
        ("timeouts.headers_ms", Whole(|policy| &mut policy.headers_ms)),
        ("timeouts.idle_ms", Whole(|policy| &mut policy.idle_ms)),
        ("timeouts.total_ms", Whole(|policy| &mut policy.total_ms)),
        ("breaker.failures", Whole(|policy| &mut policy.breaker_failures)),
        (
            "breaker.window_seconds",
            Whole(|policy| &mut policy.breaker_window_seconds),
        ),
        ("breaker.open_seconds", Whole(|policy| &mut policy.breaker_open_seconds)),
        (
            "breaker.half_open_requests",
            Whole(|policy| &mut policy.breaker_half_open_requests),
        ),
        (
            "breaker.failure_status",
            Whole(|policy| &mut policy.breaker_failure_status),
        ),
        ("relay.stream_usage", Word(|policy| &mut policy.relay_stream_usage)),
        (
            "relay.keep_alive_seconds",
            Whole(|policy| &mut policy.relay_keep_alive_seconds),
        ),
        ("relay.images", Flag(|policy| &mut policy.relay_images)),
        ("relay.audio", Flag(|policy| &mut policy.relay_audio)),
        ("relay.files", Flag(|policy| &mut policy.relay_files)),
        ("relay.batches", Flag(|policy| &mut policy.relay_batches)),
        ("relay.vector_stores", Flag(|policy| &mut policy.relay_vector_stores)),
        ("relay.containers", Flag(|policy| &mut policy.relay_containers)),
        ("relay.skills", Flag(|policy| &mut policy.relay_skills)),
        ("relay.models", Word(|policy| &mut policy.relay_models)),
        ("relay.websocket", Flag(|policy| &mut policy.relay_websocket)),
        ("relay.stored_objects", Word(|policy| &mut policy.relay_stored_objects)),
        ("key_cooldown_seconds", Whole(|policy| &mut policy.key_cooldown_seconds)),
        ("http2", Flag(|policy| &mut policy.http2)),
    ];

    impl Field {
        fn set(&self, policy: &mut wire::Policy, value: SettingValue) {
            match (self, value) {
                (Whole(field), SettingValue::Whole(number)) => *field(policy) = Some(number),
                (Flag(field), SettingValue::Flag(flag)) => *field(policy) = Some(flag),
                (Word(field), SettingValue::Word(word)) => *field(policy) = Some(word.to_owned()),
                _ => panic!("the message has another type for it"),
            }
        }

        fn clear(&self, policy: &mut wire::Policy) {
            match self {
                Whole(field) => *field(policy) = None,
                Flag(field) => *field(policy) = None,
                Word(field) => *field(policy) = None,
            }
        }
    }

    /// The values that a setting takes: of a number the first hundred, and its bounds.
    fn taken(setting: &Setting) -> Vec<SettingValue> {
        match &setting.takes {
            Takes::Whole(bounds) => {
                let ends = [*bounds.start(), *bounds.end()];
                let numbers = ends.into_iter().chain(bounds.clone().take(100));
                numbers.map(SettingValue::Whole).collect()
            }
            Takes::Flag => [false, true].map(SettingValue::Flag).to_vec(),
            Takes::Word(words) => words.iter().copied().map(SettingValue::Word).collect(),
        }
    }

    /// A policy in which no setting has its default, nor the value of another, where its values leave a choice.
    fn unusual() -> (wire::Policy, Vec<SettingValue>) {
        let mut policy = wire::Policy::default();
        let mut values = Vec::new();
        for (setting, (_, field)) in ProviderPolicy::settings().iter().zip(FIELDS) {
            let mut unusual = taken(setting);
            unusual.retain(|value| *value != setting.default);
            let fresh = unusual.iter().find(|value| !values.contains(*value));
            let value = *fresh.unwrap_or(&unusual[0]);
            field.set(&mut policy, value);
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
        assert_eq!(wire::Policy::from(read), sent);
    }

    #[test]
    fn one_setting_that_is_missing_or_unknown_has_its_default_and_the_others_stay() {
        for (at, (setting, (name, field))) in ProviderPolicy::settings().iter().zip(FIELDS).enumerate() {
            let check = |change: &dyn Fn(&mut wire::Policy), expected: SettingValue| {
                let (mut policy, mut values) = unusual();
                change(&mut policy);
                values[at] = expected;
                assert_eq!(read_policy("a", &policy).values(), values, "{name}");
            };
            check(&|policy| field.clear(policy), setting.default);
            for value in taken(setting) {
                check(&|policy| field.set(policy, value), value);
            }
            match &setting.takes {
                Takes::Whole(bounds) => {
                    for beyond in [bounds.end() + 1, u32::MAX, bounds.start().saturating_sub(1)] {
                        let expected = if bounds.contains(&beyond) {
                            SettingValue::Whole(beyond)
                        } else {
                            setting.default
                        };
                        check(&|policy| field.set(policy, SettingValue::Whole(beyond)), expected);
                    }
                }
                Takes::Flag => {}
                Takes::Word(_) => {
                    for word in ["", "sometimes"] {
                        check(&|policy| field.set(policy, SettingValue::Word(word)), setting.default);
                    }
                }
            }
        }
    }

    #[test]
    fn a_policy_without_any_setting_is_the_default() {
        assert_eq!(read_policy("a", &wire::Policy::default()), ProviderPolicy::default());
    }
}
