//! How long to wait before a retry: as long as the provider asks for, or an exponential backoff with full jitter.
//!
//! Not here: whether to retry at all (`decision`, `retry_budget`).

use http::header::RETRY_AFTER;
use http::{HeaderMap, HeaderName};
use lychgate_types::backoff::jitter;
use lychgate_types::policy::RetryPolicy;
use lychgate_types::{Ambient, Timestamp};
use std::time::{Duration, UNIX_EPOCH};

const RETRY_AFTER_MS: HeaderName = HeaderName::from_static("retry-after-ms");

/// How long the provider asks clients to wait: `Retry-After-Ms`, else `Retry-After` in seconds or as a date.
pub(crate) fn asked_wait(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
    let number = |text: &str, unit: f64| {
        let number: f64 = text.parse().ok()?;
        Duration::try_from_secs_f64(number * unit).ok()
    };
    if let Some(wait) = text(RETRY_AFTER_MS).and_then(|text| number(text, 0.001)) {
        return Some(wait);
    }
    let text = text(RETRY_AFTER)?;
    number(text, 1.0).or_else(|| {
        let then = httpdate::parse_http_date(text).ok()?.duration_since(UNIX_EPOCH).ok()?;
        let now = Duration::from_micros(u64::try_from(now.as_micros()).ok()?);
        Some(then.saturating_sub(now))
    })
}

/// How long to wait before another attempt on the same provider, the `nth` retry from 0. `None` where the provider asks for
/// more patience than the policy has.
///
/// A wait that the provider asks for is kept to, and drawn out a little, so that clients that were told the same do not all
/// come back at the same moment.
pub(crate) fn wait(policy: &RetryPolicy, nth: u32, asked: Option<Duration>, ambient: &Ambient) -> Option<Duration> {
    let base = millis(policy.base_delay_ms);
    let most = millis(policy.max_delay_ms);
    match asked {
        Some(asked) if asked > most => None,
        Some(asked) => Some((asked + jitter(base, ambient)).min(most)),
        None => Some(jitter(base.saturating_mul(1 << nth.min(16)).min(most), ambient)),
    }
}

pub(crate) fn millis(count: u32) -> Duration {
    Duration::from_millis(count.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;
    use lychgate_types::clock::SystemClock;
    use lychgate_types::random::SeededRandom;
    use std::sync::Arc;

    fn headers(pairs: &[(&'static str, &'static str)]) -> HeaderMap {
        pairs
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value)))
            .collect()
    }

    fn seeded() -> Ambient {
        Ambient::new(Arc::new(SystemClock), Arc::new(SeededRandom::new(3)))
    }

    #[test]
    fn the_providers_own_wait() {
        // Sun, 06 Nov 1994 08:49:37 GMT
        let now = Timestamp::from_micros(784_111_777_000_000);
        for (pairs, wanted) in [
            (&[][..], None),
            (&[("retry-after", "2")], Some(2000)),
            (&[("retry-after", "0.25")], Some(250)),
            (&[("retry-after-ms", "120"), ("retry-after", "9")], Some(120)),
            (&[("retry-after-ms", "soon"), ("retry-after", "9")], Some(9000)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:40 GMT")], Some(3000)),
            (&[("retry-after", "Sun, 06 Nov 1994 08:49:30 GMT")], Some(0)),
            (&[("retry-after", "-1")], None),
            (&[("retry-after", "NaN")], None),
            (&[("retry-after", "1e300")], None),
            (&[("retry-after", "tomorrow")], None),
        ] {
            let found = asked_wait(&headers(pairs), now);
            assert_eq!(found, wanted.map(Duration::from_millis), "{pairs:?}");
        }
    }

    #[test]
    fn own_waits_double_up_to_the_most_and_spread() {
        let policy = RetryPolicy {
            base_delay_ms: 100,
            max_delay_ms: 350,
            ..RetryPolicy::default()
        };
        let ambient = seeded();
        for (nth, ceiling) in [(0, 100), (1, 200), (2, 350), (9, 350), (u32::MAX, 350)] {
            let waits: Vec<_> = (0..64)
                .map(|_| wait(&policy, nth, None, &ambient).unwrap().as_millis())
                .collect();
            let (least, most) = (*waits.iter().min().unwrap(), *waits.iter().max().unwrap());
            assert!(
                most <= ceiling && most > ceiling / 2 && least < ceiling / 2,
                "{nth}: {least}..{most}"
            );
        }
    }

    #[test]
    fn an_asked_wait_is_kept_to_or_not_waited_for_at_all() {
        let policy = RetryPolicy {
            base_delay_ms: 100,
            max_delay_ms: 1000,
            ..RetryPolicy::default()
        };
        let asked = |millis| wait(&policy, 0, Some(Duration::from_millis(millis)), &seeded());
        assert!((500..=600).contains(&asked(500).unwrap().as_millis()));
        assert_eq!(asked(1000).unwrap().as_millis(), 1000);
        assert_eq!(asked(1001), None);
    }
}
