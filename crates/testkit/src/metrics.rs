//! The metrics of a process, parsed as strictly as Prometheus does.

use crate::http;
use std::collections::BTreeMap;

/// One answer of `/metrics`.
#[derive(Debug, Clone)]
pub struct Scrape {
    /// The metrics' names and types, in their order.
    pub families: Vec<(String, String)>,
    /// Each series as it is written, `name{label="value"}`, with its number.
    pub samples: BTreeMap<String, f64>,
    /// The whole answer.
    pub text: String,
}

impl Scrape {
    /// Asks.
    ///
    /// # Panics
    /// When there is no answer, or none that Prometheus would take.
    pub async fn of(url: &str) -> Self {
        let answer = http::get(url).send().await.expect(200);
        assert_eq!(
            answer.header("content-type"),
            "text/plain; version=0.0.4; charset=utf-8"
        );
        Self::read(&answer.text())
    }

    /// The number of a series.
    ///
    /// # Panics
    /// When it is not there.
    #[track_caller]
    pub fn number(&self, series: &str) -> f64 {
        let number = self.samples.get(series);
        *number.unwrap_or_else(|| panic!("there is no {series} in:\n{}", self.text))
    }

    fn read(text: &str) -> Self {
        assert!(text.ends_with('\n'), "the last line is cut");
        let mut read = Self {
            families: Vec::new(),
            samples: BTreeMap::new(),
            text: text.to_owned(),
        };
        let mut helped = None;
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                helped = help.split_once(' ').map(|(name, _)| name.to_owned());
            } else if let Some(family) = line.strip_prefix("# TYPE ") {
                let (name, kind) = family.split_once(' ').expect(line);
                assert_eq!(helped.as_deref(), Some(name), "{line}");
                assert!(read.families.iter().all(|(known, _)| known != name), "twice: {line}");
                read.families.push((name.to_owned(), kind.to_owned()));
            } else {
                read.sample(line);
            }
        }
        read
    }

    fn sample(&mut self, line: &str) {
        let (series, number) = line.rsplit_once(' ').expect(line);
        let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
        let (family, kind) = self.families.last().expect(line);
        let suffix = name.strip_prefix(family.as_str()).expect(line);
        let wanted: &[&str] = match kind.as_str() {
            "histogram" => &["_bucket", "_sum", "_count"],
            _ => &[""],
        };
        assert!(wanted.contains(&suffix), "{line}");
        let labels = labels.strip_suffix('}').expect(line);
        for pair in labels.split(',').filter(|pair| !pair.is_empty()) {
            let (label, value) = pair.split_once("=\"").expect(line);
            let value = value.strip_suffix('"').expect(line);
            let plain = label.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
            assert!(plain && !value.contains(['"', '\\']), "{line}");
        }
        let number = number.parse().expect(line);
        assert!(
            self.samples.insert(series.to_owned(), number).is_none(),
            "twice: {line}"
        );
    }
}
