//! What one scrape gets, in Prometheus' text format (version 0.0.4).

use super::count::{Histogram, Tally};
use super::list::{LabelName, Metric, Type};
use lychgate_types::{Name, Texts, Timestamp};
use std::fmt::Write as _;
use std::time::Duration;

/// The media type of a page.
pub const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// A page in the making. Each metric is written once; one without samples is still named.
#[derive(Debug, Default)]
pub struct Page {
    text: String,
}

/// The value of a label. Nothing else can be one: text that came with a request, or a secret, finds no way in.
#[derive(Debug, Clone, Copy)]
pub struct Label<'a>(&'a str);

impl Label<'static> {
    /// One of an enum's texts.
    pub fn of<L: Texts>(value: L) -> Self {
        Self(value.text())
    }

    /// A text of the program.
    pub(super) const fn fixed(text: &'static str) -> Self {
        Self(text)
    }
}

impl<'a> Label<'a> {
    /// What somebody who may configure this deployment has given as a name.
    pub fn name(name: &'a Name) -> Self {
        Self(name.as_str())
    }
}

impl Page {
    /// Writes a metric that is one number.
    pub fn one(&mut self, metric: Metric, value: impl Value) {
        self.family(metric, |samples| samples.add(&[], value));
    }

    /// Writes a metric whose one label has a number for each variant.
    pub fn tally<L: Texts>(&mut self, metric: Metric, tally: &Tally<L>) {
        self.family(metric, |samples| {
            tally
                .all()
                .for_each(|(which, count)| samples.add(&[Label::of(which)], count));
        });
    }

    /// Writes a metric whose one label says which of several states it is, if any: 1 for that, 0 for the others.
    pub fn state<L: Texts>(&mut self, metric: Metric, now: Option<L>) {
        self.family(metric, |samples| {
            for which in L::ALL {
                samples.add(&[Label::of(*which)], now == Some(*which));
            }
        });
    }

    /// Writes a metric with the samples that `write` gives.
    pub fn family(&mut self, metric: Metric, write: impl FnOnce(&mut Samples<'_>)) {
        let (name, help, kind) = (metric.name(), metric.help(), metric.kind().as_str());
        let help = help.replace('\\', "\\\\");
        // Writing into a text does not fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
        write(&mut Samples {
            metric,
            text: &mut self.text,
        });
    }

    /// The whole page.
    pub fn into_text(self) -> String {
        self.text
    }
}

/// The samples of one metric.
#[derive(Debug)]
pub struct Samples<'p> {
    metric: Metric,
    text: &'p mut String,
}

impl Samples<'_> {
    /// Adds a sample; the values are in the order of the metric's labels.
    pub fn add(&mut self, labels: &[Label<'_>], value: impl Value) {
        debug_assert_ne!(self.metric.kind(), Type::Histogram, "{:?}", self.metric);
        self.line("", labels, None, value.number());
    }

    /// Adds the samples of a histogram.
    pub fn histogram(&mut self, labels: &[Label<'_>], histogram: &Histogram) {
        debug_assert_eq!(self.metric.kind(), Type::Histogram, "{:?}", self.metric);
        let mut count = 0;
        for (bound, within) in histogram.within() {
            let bound = bound.map_or("+Inf".to_owned(), |bound| bound.as_secs_f64().to_string());
            self.line("_bucket", labels, Some(&bound), within.number());
            count = within;
        }
        self.line("_sum", labels, None, histogram.sum().as_secs_f64());
        self.line("_count", labels, None, count.number());
    }

    fn line(&mut self, suffix: &str, labels: &[Label<'_>], bound: Option<&str>, value: f64) {
        let names = self.metric.labels();
        debug_assert_eq!(names.len(), labels.len(), "{:?}", self.metric);
        self.text.push_str(self.metric.name());
        self.text.push_str(suffix);
        let named = names.iter().map(|LabelName { name, .. }| *name);
        let pairs = named.zip(labels.iter().map(|label| label.0));
        let mut mark = '{';
        for (name, value) in pairs.chain(bound.map(|bound| ("le", bound))) {
            // No value has a character that would have to be escaped: names have none, and a test looks at the enums.
            let _ = write!(self.text, "{mark}{name}=\"{value}\"");
            mark = ',';
        }
        if mark == ',' {
            self.text.push('}');
        }
        let _ = writeln!(self.text, " {value}");
    }
}

/// What can be a sample's number.
pub trait Value {
    /// The number, in seconds where it is a time.
    fn number(self) -> f64;
}

impl Value for u64 {
    fn number(self) -> f64 {
        self as f64
    }
}

impl Value for bool {
    fn number(self) -> f64 {
        f64::from(u8::from(self))
    }
}

impl Value for Duration {
    fn number(self) -> f64 {
        self.as_secs_f64()
    }
}

/// Nothing is 0: the moment that has not come yet.
impl Value for Option<Timestamp> {
    fn number(self) -> f64 {
        self.map_or(0.0, |at| at.as_micros() as f64 / 1e6)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::labels::LinkState;
    use lychgate_types::interception::Outcome;

    #[test]
    fn a_page_is_written_as_prometheus_reads_it() {
        const BOUNDS: &[Duration] = &[Duration::from_micros(500), Duration::from_secs(30)];
        let anthropic = Name::parse("anthropic").unwrap();
        let histogram = Histogram::new(BOUNDS);
        histogram.observe(Duration::from_millis(1500));
        let mut page = Page::default();
        page.one(Metric::SpoolRecords, 7);
        page.one(
            Metric::SnapshotWritten,
            Some(Timestamp::from_micros(1_764_000_000_250_000)),
        );
        page.state(Metric::LinkState, Some(LinkState::Offline));
        page.family(Metric::Requests, |samples| {
            samples.add(&[Label::name(&anthropic), Label::of(Outcome::Completed)], 3);
        });
        page.family(Metric::RequestDuration, |samples| {
            samples.histogram(&[Label::name(&anthropic)], &histogram);
        });
        page.family(Metric::GatewayKeyExpires, |_| {});
        let text = page.into_text();
        let samples: Vec<_> = text.lines().filter(|line| !line.starts_with('#')).collect();
        assert_eq!(
            samples,
            [
                "lychgate_spool_records 7",
                "lychgate_snapshot_written_timestamp_seconds 1764000000.25",
                "lychgate_link_state{state=\"starting\"} 0",
                "lychgate_link_state{state=\"attached\"} 0",
                "lychgate_link_state{state=\"offline\"} 1",
                "lychgate_link_state{state=\"refused\"} 0",
                "lychgate_requests_total{provider=\"anthropic\",outcome=\"completed\"} 3",
                "lychgate_request_duration_seconds_bucket{provider=\"anthropic\",le=\"0.0005\"} 0",
                "lychgate_request_duration_seconds_bucket{provider=\"anthropic\",le=\"30\"} 1",
                "lychgate_request_duration_seconds_bucket{provider=\"anthropic\",le=\"+Inf\"} 1",
                "lychgate_request_duration_seconds_sum{provider=\"anthropic\"} 1.5",
                "lychgate_request_duration_seconds_count{provider=\"anthropic\"} 1",
            ]
        );
        let types: Vec<_> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        assert_eq!(types.first().copied(), Some("# TYPE lychgate_spool_records gauge"));
        assert_eq!(
            types.last().copied(),
            Some("# TYPE lychgate_gateway_key_expires_timestamp_seconds gauge")
        );
    }
}
