//! How the data plane treats one provider: retries, deadlines, breaker, keys, protocol. Set in the control plane, sent to
//! every replica, in force at once. Not here: what is done with it (crate `gateway`).

mod setting;

pub use self::setting::{PolicyError, Setting, SettingValue, Takes};

use self::setting::{SettingType, setting_or_null, settings};
use crate::json::{object, whole_or_null};
use serde::{Deserialize, Serialize};

settings! {
    /// When an attempt that failed before its first byte went to the client is made again.
    RetryPolicy, RetryChange in "retry." {
        /// Attempts at one provider, including the first; 1 turns retries off.
        max_attempts: u32 = 3, 1..=10;
        /// Retries may make up this share of the provider's requests over the last ten seconds (at least ten retries are
        /// always allowed in that time), so that they can't multiply an outage.
        budget_percent: u32 = 20, 0..=100;
        /// Longest wait before the first retry; it doubles with each further retry. The actual wait is random up to that limit.
        base_delay_ms: u32 = 250, 1..=60_000;
        /// Longest wait before any retry. If a provider's `Retry-After` is longer, there is no retry.
        max_delay_ms: u32 = 8_000, 1..=120_000;
    }
}

settings! {
    /// Time limits, in milliseconds: of one attempt, and (`total_ms`) of all of them.
    Timeouts, TimeoutsChange in "timeouts." {
        /// From the start of connecting to a usable connection, including TLS.
        connect_ms: u32 = 10_000, 1..=300_000;
        /// From the start of an attempt, connecting and sending included, to the response headers.
        headers_ms: u32 = 600_000, 1..=3_600_000;
        /// Between two parts of the response body.
        idle_ms: u32 = 300_000, 1..=3_600_000;
        /// For all attempts together, from when the request has been read to the last byte of the response.
        total_ms: u32 = 3_600_000, 1..=86_400_000;
    }
}

settings! {
    /// When a circuit breaker opens, and for how long. There is one per provider, API, model and credential.
    BreakerPolicy, BreakerChange in "breaker." {
        /// Number of failures within the window that opens it; 0 turns it off.
        failures: u32 = 10, 0..=10_000;
        /// The window, in seconds.
        window_seconds: u32 = 30, 1..=3_600;
        /// How long it stays open before a few requests may try again, in seconds.
        open_seconds: u32 = 15, 1..=3_600;
        /// How many requests are let through at a time while it is half open.
        half_open_requests: u32 = 1, 1..=100;
        /// The lowest status of a response that counts as a failure: 500, or 503 where only overload should count; 600 means none.
        /// A connection that fails or breaks, and headers that come too late, always count.
        failure_status: u32 = 500, 500..=600;
    }
}

crate::text_enum! {
    /// Whether a Chat Completions stream whose client does not ask for its usage is asked for it all the same.
    StreamUsage {
        /// It never is.
        Never = "never",
        /// It always is.
        Always = "always",
        /// It is until the provider refuses it for a model.
        Learn = "learn",
    }

    /// Where the lists of a provider's models come from.
    Models {
        /// From what the replica has of the provider.
        Cached = "cached",
        /// From the provider, each time.
        Relay = "relay",
    }

    /// Which of the objects that a provider stores a user may use.
    StoredObjects {
        /// Everybody's.
        All = "all",
        /// The user's own, and those that nobody is known to have made.
        Unclaimed = "unclaimed",
        /// The user's own.
        Own = "own",
    }
}

settings! {
    /// What is relayed, and what is asked for on the way.
    RelayPolicy, RelayChange in "relay." {
        /// Whether a Chat Completions stream whose client does not ask for its usage is asked for it all the same, so that the
        /// record is exact; the client does not see it. `learn` asks until the provider refuses it for a model beside members of certain
        /// names: requests like that are then sent as their clients wrote them, for an hour.
        stream_usage: StreamUsage = StreamUsage::Learn;
        /// After how many seconds without a byte from the provider a stream of events gets a filler that its client passes over (a
        /// ping, or a comment), so that neither the client nor a proxy on the way takes it for dead; 0 means never, for a client that fails on fillers.
        keep_alive_seconds: u32 = 15, 0..=3_600;
        /// Whether requests for images are relayed; if not, they get 404.
        images: bool = true;
        /// Whether requests for speech and transcriptions are relayed; if not, they get 404.
        audio: bool = true;
        /// Whether requests about files and uploads are relayed; if not, they get 404. What it costs to store them is not on record.
        files: bool = false;
        /// Whether requests about batches are relayed; if not, they get 404. What a batch uses is not on record, and what the lines of
        /// its file name is not checked.
        batches: bool = false;
        /// Whether requests about vector stores are relayed; if not, they get 404. What they cost is not on record.
        vector_stores: bool = false;
        /// Whether requests about containers are relayed; if not, they get 404. What they cost is not on record.
        containers: bool = false;
        /// Whether requests about skills are relayed; if not, they get 404.
        skills: bool = false;
        /// Where lists of models come from for those who have no key of their own. `cached`: each replica keeps the provider's lists
        /// and asks for them anew in the background, adds the exact names of routes, and answers at once, also while the provider is
        /// slow or down (until it knows a list, and where no route names a model, it relays requests for it); `relay`: each request for
        /// one is relayed.
        models: Models = Models::Cached;
        /// Whether Responses are relayed over WebSockets, too; if not, a WebSocket gets 426, upon which clients send HTTP requests.
        websocket: bool = true;
        /// Which of the objects that the provider stores (responses, conversations, files and so on) a user may use; others get 404. `all`: everybody's;
        /// `unclaimed`: all but those that another user is known to have made; `own`: only those that the user is known to have
        /// made, through this deployment.
        stored_objects: StoredObjects = StoredObjects::Unclaimed;
    }
}

impl RelayPolicy {
    /// Whether all users share what the provider stores.
    pub const fn shares_objects(&self) -> bool {
        matches!(self.stored_objects, StoredObjects::All)
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
            key_cooldown_seconds: KEY_COOLDOWN_SECONDS,
            http2: false,
        }
    }
}

const KEY_COOLDOWN_SECONDS: u32 = 60;

impl ProviderPolicy {
    /// The settings that are in no group.
    fn ungrouped() -> [Setting; 2] {
        [
            Setting {
                field: "key_cooldown_seconds",
                meaning: " How long a provider key is skipped after the provider rejected it (401, 402, 403, or an error saying that its account has no credit) or rate-limited it (429 without `Retry-After`), in seconds.",
                default: SettingValue::Whole(KEY_COOLDOWN_SECONDS),
                takes: Takes::Whole(1..=86_400),
            },
            Setting {
                field: "http2",
                meaning: " Whether HTTP/2 is spoken where the provider offers it. One HTTP/2 connection bounds the number of concurrent streams.",
                default: SettingValue::Flag(false),
                takes: Takes::Flag,
            },
        ]
    }

    /// Every setting, in order.
    pub fn settings() -> Vec<Setting> {
        let groups = RetryPolicy::settings().into_iter().chain(Timeouts::settings());
        let groups = groups.chain(BreakerPolicy::settings()).chain(RelayPolicy::settings());
        groups.chain(Self::ungrouped()).collect()
    }

    /// The values of [`Self::settings`], in the same order.
    pub fn values(&self) -> Vec<SettingValue> {
        [
            &self.retry.values()[..],
            &self.timeouts.values(),
            &self.breaker.values(),
            &self.relay.values(),
            &[self.key_cooldown_seconds.value(), self.http2.value()],
        ]
        .concat()
    }

    /// Every setting that is out of bounds.
    pub fn misfits(&self) -> Vec<PolicyError> {
        let mut copy = *self;
        copy.reset_misfits()
    }

    /// Gives every setting that is out of bounds its default, and returns which those were.
    pub fn reset_misfits(&mut self) -> Vec<PolicyError> {
        let mut misfits = Vec::new();
        self.retry.reset_misfits(&mut misfits);
        self.timeouts.reset_misfits(&mut misfits);
        self.breaker.reset_misfits(&mut misfits);
        self.relay.reset_misfits(&mut misfits);
        let [key_cooldown, _] = Self::ungrouped();
        if let Err(error) = key_cooldown.check(self.key_cooldown_seconds.value()) {
            self.key_cooldown_seconds = KEY_COOLDOWN_SECONDS;
            misfits.push(error);
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
            assert_eq!(value, Some(&serde_json::json!(setting.default)), "{}", setting.field);
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
