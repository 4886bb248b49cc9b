//! Counters for the metrics; everything else the metrics read from the state itself (`metrics`).
//!
//! A request touches a handful of relaxed atomics of its provider, to which it holds a handle; nothing is looked up.

use lychgate_telemetry::metrics::labels::{Lookup, Refused, TokenKind};
use lychgate_telemetry::metrics::{Counter, Histogram, Tally};
use lychgate_types::Timestamp;
use lychgate_types::interception::{InterceptionRecord, Outcome};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

const fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

const fn us(count: u64) -> Duration {
    Duration::from_micros(count)
}

/// Providers answer within milliseconds (a cache, a refusal) or minutes (a long stream).
const ANSWER: &[Duration] = &[
    ms(10),
    ms(25),
    ms(50),
    ms(100),
    ms(250),
    ms(500),
    ms(1_000),
    ms(2_500),
    ms(5_000),
    ms(10_000),
    ms(30_000),
    ms(60_000),
    ms(120_000),
    ms(300_000),
];
/// The gateway's own time is microseconds, except when a token has to be looked up.
const OWN: &[Duration] = &[
    us(50),
    us(100),
    us(250),
    us(500),
    ms(1),
    ms(5),
    ms(25),
    ms(100),
    ms(500),
];

/// The counters of one gateway as a whole.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// Requests relayed without being recorded.
    pub(crate) passed_through: Counter,
    pub(crate) refused: Tally<Refused>,
    pub(crate) link: LinkCounts,
    pub(crate) delivery: DeliveryCounts,
}

/// Of the control link.
#[derive(Debug, Default)]
pub(crate) struct LinkCounts {
    pub(crate) attachments: Counter,
    pub(crate) losses: Counter,
}

/// Of the leases.
#[derive(Debug, Default)]
pub(crate) struct LeaseCounts {
    pub(crate) lookups: Tally<Lookup>,
}

/// Of delivery.
#[derive(Debug, Default)]
pub(crate) struct DeliveryCounts {
    pub(crate) delivered: Counter,
    pub(crate) rejected: Counter,
    pub(crate) failures: Counter,
    pub(crate) oldest: Moment,
}

/// A point in time that changes; none at first.
#[derive(Debug, Default)]
pub(crate) struct Moment(AtomicI64);

impl Moment {
    pub(crate) fn set(&self, at: Option<Timestamp>) {
        self.0.store(at.map_or(0, Timestamp::as_micros), Ordering::Relaxed);
    }

    pub(crate) fn get(&self) -> Option<Timestamp> {
        let micros = self.0.load(Ordering::Relaxed);
        (micros != 0).then_some(Timestamp::from_micros(micros))
    }
}

/// The counters of one provider; they survive changes of its configuration.
#[derive(Debug)]
pub(crate) struct ProviderCounts {
    pub(crate) outcomes: Tally<Outcome>,
    pub(crate) retries: Counter,
    pub(crate) tokens: Tally<TokenKind>,
    pub(crate) duration: Histogram,
    pub(crate) first_byte: Histogram,
    pub(crate) overhead: Histogram,
}

impl Default for ProviderCounts {
    fn default() -> Self {
        Self {
            outcomes: Tally::default(),
            retries: Counter::default(),
            tokens: Tally::default(),
            duration: Histogram::new(ANSWER),
            first_byte: Histogram::new(ANSWER),
            overhead: Histogram::new(OWN),
        }
    }
}

impl ProviderCounts {
    /// Counts a complete record; `took` is the duration of the whole exchange.
    pub(crate) fn complete(&self, record: &InterceptionRecord, took: Duration) {
        self.outcomes.count(record.outcome);
        self.duration.observe(took);
        // Of one that goes on, those that it has used are counted at its end.
        if record.outcome != Outcome::Unfinished {
            self.count_tokens(record);
        }
    }

    /// Counts the tokens of a record.
    pub(crate) fn count_tokens(&self, record: &InterceptionRecord) {
        for usage in &record.token_usages {
            let kinds = [
                (TokenKind::Input, usage.input_tokens),
                (TokenKind::CacheRead, usage.cache_read_input_tokens),
                (
                    TokenKind::CacheWrite,
                    usage
                        .cache_write_input_tokens
                        .saturating_add(usage.cache_write_1h_input_tokens),
                ),
                (TokenKind::Output, usage.output_tokens),
            ];
            // A provider may report anything; impossible counts are ignored.
            for (kind, count) in kinds {
                if let Ok(count @ 1..) = u64::try_from(count) {
                    self.tokens.add(kind, count);
                }
            }
        }
    }
}
