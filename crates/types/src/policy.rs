//! How the data plane treats one provider: retries, deadlines, breaker, keys, protocol. Set in the control plane, sent to
//! every replica, in force at once. Not here: what is done with it (crate `gateway`).

use crate::json::{object, whole_or_null};
use serde::{Deserialize, Serialize};

/// A policy's field whose value is out of bounds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field} must be between {least} and {most}")]
pub struct PolicyError {
    /// The field, with dots: `retry.max_attempts`.
    pub field: &'static str,
    /// The least value that it takes.
    pub least: u32,
    /// The greatest value that it takes.
    pub most: u32,
}

/// One whole-number setting of a policy, as documents and errors tell of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Setting {
    /// Its name with dots: `retry.max_attempts`.
    pub field: &'static str,
    /// What it means, in Markdown.
    pub meaning: &'static str,
    /// What holds where nothing is said.
    pub default: u32,
    /// The least value that it takes.
    pub least: u32,
    /// The greatest value that it takes.
    pub most: u32,
}

impl Setting {
    fn check(self, value: u32) -> Result<(), PolicyError> {
        let Self { field, least, most, .. } = self;
        if (least..=most).contains(&value) {
            Ok(())
        } else {
            Err(PolicyError { field, least, most })
        }
    }
}

/// Declares a group of whole-number settings, each with default and bounds, and the change of such a group.
macro_rules! settings {
    ($(#[$doc:meta])* $name:ident, $change:ident in $group:literal {
        $($(#[doc = $fdoc:literal])* $field:ident = $default:literal, $least:literal..=$most:literal;)*
    }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name { $($(#[doc = $fdoc])* pub $field: u32,)* }

        impl Default for $name {
            fn default() -> Self { Self { $($field: $default,)* } }
        }

        impl $name {
            const SETTINGS: &[Setting] = &[$(Setting {
                field: concat!($group, stringify!($field)),
                meaning: concat!($($fdoc),*),
                default: $default,
                least: $least,
                most: $most,
            },)*];

            const fn values(&self) -> [u32; Self::SETTINGS.len()] { [$(self.$field),*] }

            fn values_mut(&mut self) -> [&mut u32; Self::SETTINGS.len()] { [$(&mut self.$field),*] }
        }

        #[doc = concat!("A change of [`", stringify!($name), "`]: what is `None` is left as it is.")]
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields, expecting = "an object of settings")]
        pub struct $change {
            $($(#[doc = $fdoc])* #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "whole_or_null")] pub $field: Option<u32>,)*
        }

        impl $change {
            fn is_empty(&self) -> bool { *self == Self::default() }
            fn over(self, base: $name) -> $name { $name { $($field: self.$field.unwrap_or(base.$field),)* } }
            fn then(self, later: Self) -> Self { Self { $($field: later.$field.or(self.$field),)* } }
        }
    };
}

settings! {
    /// When an attempt that failed before its first byte went to the client is made again.
    RetryPolicy, RetryChange in "retry." {
        /// Attempts at one provider, including the first; 1 turns retries off.
        max_attempts = 3, 1..=10;
        /// Retries may make up this share of the provider's requests over the last ten seconds (at least ten retries are
        /// always allowed in that time), so that they can't multiply an outage.
        budget_percent = 20, 0..=100;
        /// Longest wait before the first retry; it doubles with each further retry. The actual wait is random up to that limit.
        base_delay_ms = 250, 1..=60_000;
        /// Longest wait before any retry. If a provider's `Retry-After` is longer, there is no retry.
        max_delay_ms = 8_000, 1..=120_000;
    }
}

settings! {
    /// Time limits, in milliseconds: of one attempt, and (`total_ms`) of all of them.
    Timeouts, TimeoutsChange in "timeouts." {
        /// From the start of connecting to a usable connection, including TLS.
        connect_ms = 10_000, 1..=300_000;
        /// From the start of an attempt, connecting and sending included, to the response headers.
        headers_ms = 600_000, 1..=3_600_000;
        /// Between two parts of the response body.
        idle_ms = 300_000, 1..=3_600_000;
        /// For all attempts together, from when the request has been read to the last byte of the response.
        total_ms = 3_600_000, 1..=86_400_000;
    }
}

settings! {
    /// When a circuit breaker opens, and for how long. There is one per provider, API, model and credential.
    BreakerPolicy, BreakerChange in "breaker." {
        /// Number of failures within the window that opens it; 0 turns it off.
        failures = 10, 0..=10_000;
        /// The window, in seconds.
        window_seconds = 30, 1..=3_600;
        /// How long it stays open before a few requests may try again, in seconds.
        open_seconds = 15, 1..=3_600;
        /// How many requests are let through at a time while it is half open.
        half_open_requests = 1, 1..=100;
        /// The lowest status of a response that counts as a failure: 500, or 503 where only overload should count; 600 means none.
        /// A connection that fails or breaks, and headers that come too late, always count.
        failure_status = 500, 500..=600;
    }
}

settings! {
    /// What is relayed, and what is asked for on the way.
    RelayPolicy, RelayChange in "relay." {
        /// Whether a Chat Completions stream whose client does not ask for its usage is asked for it all the same, so that the
        /// record is exact; the client does not see it. 0: never; 1: always; 2: until the provider refuses it for a model, which
        /// is then sent as the client wrote it and remembered for an hour.
        stream_usage = 2, 0..=2;
        /// Whether requests for images are relayed: 1, or 0 where they get 404.
        images = 1, 0..=1;
        /// Whether requests for speech and transcriptions are relayed: 1, or 0 where they get 404.
        audio = 1, 0..=1;
        /// Which of the responses and conversations that the provider stores a user may use; others get 404. 0: everybody's; 1: all
        /// but those that another user is known to have made; 2: only those that the user is known to have made, through this
        /// deployment.
        stored_objects = 1, 0..=2;
    }
}

impl RelayPolicy {
    /// Whether all users share what the provider stores.
    pub const fn shares_objects(&self) -> bool {
        self.stored_objects == 0
    }
}

/// How the data plane treats one provider.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ProviderPolicy {
    /// Retries.
    pub retry: RetryPolicy,
    /// Deadlines.
    pub timeouts: Timeouts,
    /// Circuit breaker.
    pub breaker: BreakerPolicy,
    /// Relaying.
    pub relay: RelayPolicy,
    /// How long a provider key is skipped after the provider rejected it (401, 402, 403, or an error saying that its account has
    /// no credit) or rate-limited it (429 without `Retry-After`), in seconds.
    pub key_cooldown_seconds: u32,
    /// Whether HTTP/2 is spoken where the provider offers it. Off by default: one HTTP/2 connection bounds the number of
    /// concurrent streams.
    pub http2: bool,
}

impl Default for ProviderPolicy {
    fn default() -> Self {
        Self {
            retry: RetryPolicy::default(),
            timeouts: Timeouts::default(),
            breaker: BreakerPolicy::default(),
            relay: RelayPolicy::default(),
            key_cooldown_seconds: KEY_COOLDOWN.default,
            http2: false,
        }
    }
}

const KEY_COOLDOWN: Setting = Setting {
    field: "key_cooldown_seconds",
    meaning: " How long a provider key is skipped after the provider rejected it (401, 402, 403, or an error saying that its account has no credit) or rate-limited it (429 without `Retry-After`), in seconds.",
    default: 60,
    least: 1,
    most: 86_400,
};

impl ProviderPolicy {
    /// Every whole-number setting, in order.
    pub fn settings() -> Vec<Setting> {
        [
            RetryPolicy::SETTINGS,
            Timeouts::SETTINGS,
            BreakerPolicy::SETTINGS,
            RelayPolicy::SETTINGS,
            &[KEY_COOLDOWN],
        ]
        .concat()
    }

    /// The values of [`Self::settings`], in the same order.
    pub fn values(&self) -> Vec<u32> {
        [
            &self.retry.values()[..],
            &self.timeouts.values(),
            &self.breaker.values(),
            &self.relay.values(),
            &[self.key_cooldown_seconds],
        ]
        .concat()
    }

    /// Every setting that is out of bounds.
    pub fn misfits(&self) -> Vec<PolicyError> {
        let pairs = Self::settings().into_iter().zip(self.values());
        pairs
            .filter_map(|(setting, value)| setting.check(value).err())
            .collect()
    }

    /// Gives every setting that is out of bounds its default, and returns which those were.
    pub fn reset_misfits(&mut self) -> Vec<PolicyError> {
        let values = self.retry.values_mut().into_iter().chain(self.timeouts.values_mut());
        let values = values
            .chain(self.breaker.values_mut())
            .chain(self.relay.values_mut())
            .chain([&mut self.key_cooldown_seconds]);
        let mut misfits = Vec::new();
        for (setting, value) in Self::settings().into_iter().zip(values) {
            if let Err(error) = setting.check(*value) {
                *value = setting.default;
                misfits.push(error);
            }
        }
        misfits
    }

    /// Checks every bound; says which field breaks one.
    pub fn validate(&self) -> Result<(), PolicyError> {
        self.misfits().into_iter().next().map_or(Ok(()), Err)
    }
}

/// A change of a [`ProviderPolicy`], setting by setting: what is left out stays as it is. Also what is kept of a provider's
/// policy: only what was set, so that the rest follows the defaults.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields, expecting = "an object of settings")]
pub struct PolicyChange {
    /// Retries.
    #[serde(skip_serializing_if = "RetryChange::is_empty", deserialize_with = "object")]
    pub retry: RetryChange,
    /// Deadlines.
    #[serde(skip_serializing_if = "TimeoutsChange::is_empty", deserialize_with = "object")]
    pub timeouts: TimeoutsChange,
    /// Circuit breaker.
    #[serde(skip_serializing_if = "BreakerChange::is_empty", deserialize_with = "object")]
    pub breaker: BreakerChange,
    /// Relaying.
    #[serde(skip_serializing_if = "RelayChange::is_empty", deserialize_with = "object")]
    pub relay: RelayChange,
    /// See [`ProviderPolicy::key_cooldown_seconds`].
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "whole_or_null")]
    pub key_cooldown_seconds: Option<u32>,
    /// See [`ProviderPolicy::http2`].
    #[serde(skip_serializing_if = "Option::is_none")]
    pub http2: Option<bool>,
}

impl PolicyChange {
    /// The policy that it makes of another one.
    pub fn over(self, base: ProviderPolicy) -> ProviderPolicy {
        ProviderPolicy {
            retry: self.retry.over(base.retry),
            timeouts: self.timeouts.over(base.timeouts),
            breaker: self.breaker.over(base.breaker),
            relay: self.relay.over(base.relay),
            key_cooldown_seconds: self.key_cooldown_seconds.unwrap_or(base.key_cooldown_seconds),
            http2: self.http2.unwrap_or(base.http2),
        }
    }

    /// This change and then a later one, as one.
    pub fn then(self, later: Self) -> Self {
        Self {
            retry: self.retry.then(later.retry),
            timeouts: self.timeouts.then(later.timeouts),
            breaker: self.breaker.then(later.breaker),
            relay: self.relay.then(later.relay),
            key_cooldown_seconds: later.key_cooldown_seconds.or(self.key_cooldown_seconds),
            http2: later.http2.or(self.http2),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{PolicyChange, ProviderPolicy};

    #[test]
    fn what_is_left_out_has_its_default_and_bounds_are_named() {
        let policy: ProviderPolicy = serde_json::from_str(r#"{"retry":{"max_attempts":1}}"#).unwrap();
        assert_eq!(policy.retry.max_attempts, 1);
        assert_eq!(policy.timeouts, ProviderPolicy::default().timeouts);
        assert_eq!(policy.validate(), Ok(()));
        let policy: ProviderPolicy = serde_json::from_str(r#"{"breaker":{"open_seconds":0}}"#).unwrap();
        assert_eq!(
            policy.validate().unwrap_err().to_string(),
            "breaker.open_seconds must be between 1 and 3600"
        );
        assert!(serde_json::from_str::<ProviderPolicy>(r#"{"retries":{}}"#).is_err());
    }

    #[test]
    fn no_group_is_a_list() {
        let groups = serde_json::to_value(ProviderPolicy::default()).unwrap();
        let groups = groups
            .as_object()
            .unwrap()
            .iter()
            .filter(|(_, value)| value.is_object());
        for (group, _) in groups {
            let list = format!(r#"{{"{group}":[null]}}"#);
            assert!(serde_json::from_str::<PolicyChange>(&list).is_err(), "{group}");
        }
    }

    #[test]
    fn changes_are_merged_setting_by_setting() {
        let read = |text: &str| serde_json::from_str::<PolicyChange>(text).unwrap();
        let first = read(r#"{"retry":{"max_attempts":1,"budget_percent":0},"http2":true}"#);
        let both = first.then(read(
            r#"{"retry":{"max_attempts":5},"breaker":{},"key_cooldown_seconds":9}"#,
        ));
        let text = r#"{"retry":{"max_attempts":5,"budget_percent":0},"key_cooldown_seconds":9,"http2":true}"#;
        assert_eq!(serde_json::to_string(&both).unwrap(), text, "only what was set");
        let policy = both.over(ProviderPolicy::default());
        assert_eq!(
            (
                policy.retry.max_attempts,
                policy.retry.budget_percent,
                policy.retry.base_delay_ms
            ),
            (5, 0, 250)
        );
        assert_eq!((policy.key_cooldown_seconds, policy.http2), (9, true));
        assert_eq!(PolicyChange::default().over(policy), policy);
        assert_eq!(serde_json::to_string(&PolicyChange::default()).unwrap(), "{}");
    }

    #[test]
    fn the_settings_are_the_policys_fields_in_their_order() {
        let default = serde_json::to_value(ProviderPolicy::default()).unwrap();
        for setting in ProviderPolicy::settings() {
            let value = default.pointer(&format!("/{}", setting.field.replace('.', "/")));
            assert_eq!(value, Some(&setting.default.into()), "{}", setting.field);
            assert!(setting.meaning.starts_with(' ') && !setting.meaning.trim().is_empty());
        }
        let mut bad = ProviderPolicy::default();
        (bad.retry.max_attempts, bad.timeouts.total_ms, bad.key_cooldown_seconds) = (0, u32::MAX, 0);
        let fields: Vec<_> = bad.misfits().iter().map(|misfit| misfit.field).collect();
        assert_eq!(
            fields,
            ["retry.max_attempts", "timeouts.total_ms", "key_cooldown_seconds"]
        );
    }
}
