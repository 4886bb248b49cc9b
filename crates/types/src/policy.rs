//! How the data plane treats one provider: retries, deadlines, breaker, keys, protocol. Set in the control plane, sent to
//! every replica, in force at once. Not here: what is done with it (crate `gateway`).

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

/// Declares a group of whole-number settings, each with default and bounds.
macro_rules! settings {
    ($(#[$doc:meta])* $name:ident in $group:literal { $($(#[$fdoc:meta])* $field:ident = $default:literal, $least:literal..=$most:literal;)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
        #[serde(default, deny_unknown_fields)]
        pub struct $name { $($(#[$fdoc])* pub $field: u32,)* }

        impl Default for $name {
            fn default() -> Self { Self { $($field: $default,)* } }
        }

        impl $name {
            fn validate(&self) -> Result<(), PolicyError> {
                $(if !($least..=$most).contains(&self.$field) {
                    let field = concat!($group, stringify!($field));
                    return Err(PolicyError { field, least: $least, most: $most });
                })*
                Ok(())
            }
        }
    };
}

settings! {
    /// When an attempt that failed before its first byte went to the client is made again.
    RetryPolicy in "retry." {
        /// Attempts on one provider, the first included; 1 switches retries off.
        max_attempts = 3, 1..=10;
        /// Retries may make up this share of the provider's requests over the last ten seconds (at least ten retries are
        /// always allowed in that time), so that they can't multiply an outage.
        budget_percent = 20, 0..=100;
        /// Longest wait before the first retry; it doubles with each further one. The wait is drawn anew each time.
        base_delay_ms = 250, 1..=60_000;
        /// Longest wait before any retry, a provider's own `Retry-After` included: what asks for more is not waited for.
        max_delay_ms = 8_000, 1..=120_000;
    }
}

settings! {
    /// Deadlines of one attempt, in milliseconds.
    Timeouts in "timeouts." {
        /// From the start of connecting to a usable connection, TLS included.
        connect_ms = 10_000, 1..=300_000;
        /// From the request's last byte to the head of the answer.
        headers_ms = 600_000, 1..=3_600_000;
        /// Between two pieces of the answer's body.
        idle_ms = 300_000, 1..=3_600_000;
        /// For the whole answer, from the request's first byte to the answer's last.
        total_ms = 3_600_000, 1..=86_400_000;
    }
}

settings! {
    /// When a provider is left alone for a while. One breaker stands per provider, API, model and credential.
    BreakerPolicy in "breaker." {
        /// Failures within the window that open it; 0 switches it off.
        failures = 10, 0..=10_000;
        /// The window, in seconds.
        window_seconds = 30, 1..=3_600;
        /// How long it stays open before a few requests may try again, in seconds.
        open_seconds = 15, 1..=3_600;
        /// How many requests may try at a time while it is half open.
        half_open_requests = 1, 1..=100;
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
    /// How long a central key that the provider refused (401, 403) or limited (429 without `Retry-After`) is left out, in
    /// seconds.
    pub key_bench_seconds: u32,
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
            key_bench_seconds: 60,
            http2: false,
        }
    }
}

impl ProviderPolicy {
    /// Checks every bound; says which field breaks one.
    pub fn validate(&self) -> Result<(), PolicyError> {
        self.retry.validate()?;
        self.timeouts.validate()?;
        self.breaker.validate()?;
        let bounds = PolicyError {
            field: "key_bench_seconds",
            least: 1,
            most: 86_400,
        };
        if (bounds.least..=bounds.most).contains(&self.key_bench_seconds) {
            Ok(())
        } else {
            Err(bounds)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::ProviderPolicy;

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
}
