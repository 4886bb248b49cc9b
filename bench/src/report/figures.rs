//! The figures that have bars, out of what was measured.

use crate::args::Kind;
use crate::load::measure::Measured;
use crate::report::results::Results;
use serde::{Deserialize, Serialize};

/// One figure beside its bar.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Figure {
    pub(crate) name: String,
    pub(crate) value: f64,
    pub(crate) unit: String,
    /// None: it is only stated.
    pub(crate) bar: Option<Bar>,
    /// What it was made of.
    pub(crate) from: String,
}

/// Where a figure has to be.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Bar {
    AtMost(f64),
    AtLeast(f64),
}

impl Figure {
    /// Whether it is where it has to be.
    pub(crate) fn holds(&self) -> Option<bool> {
        Some(match self.bar? {
            Bar::AtMost(bar) => self.value <= bar,
            Bar::AtLeast(bar) => self.value >= bar,
        })
    }
}

/// All figures that follow from the measurements.
pub(crate) fn figures(results: &Results) -> Vec<Figure> {
    let mut figures = Vec::new();
    figures.extend(cpu(
        results,
        "small-64",
        "CPU per small request, of nginx's",
        Some(Bar::AtMost(2.0)),
    ));
    // In a closed loop the slower target lets the others sleep and pays for waking them. Here all do the same work.
    figures.extend(cpu(
        results,
        "open-steady",
        "the same where all get 1,000 a second",
        None,
    ));
    figures.extend(latency(results));
    figures.extend(governance(results));
    figures.extend(first_byte(results));
    figures.extend(stream_bytes(results));
    figures.extend(memory(results));
    figures.extend(failures(results));
    figures.extend(results.recorded.as_ref().map(|recorded| Figure {
        name: "answered and not recorded".to_owned(),
        value: recorded.answered.abs_diff(recorded.recorded) as f64,
        unit: String::new(),
        bar: Some(Bar::AtMost(0.0)),
        from: format!("{} answered, {} recorded", recorded.answered, recorded.recorded),
    }));
    figures.extend(results.allocations.as_ref().map(|counted| Figure {
        name: "heap allocations per small request".to_owned(),
        value: counted.lychgate.allocations,
        unit: String::new(),
        bar: None,
        from: format!(
            "{:.0} bytes; bare relay {:.1} allocations, {:.0} bytes",
            counted.lychgate.bytes, counted.bare.allocations, counted.bare.bytes
        ),
    }));
    figures
}

fn find<'a>(results: &'a Results, load: &str, target: Kind) -> Option<&'a Measured> {
    let row = results
        .rows
        .iter()
        .find(|row| row.load == load && row.target == target)?;
    (row.median.requests > 0).then_some(&row.median)
}

fn cpu(results: &Results, load: &str, name: &str, bar: Option<Bar>) -> Option<Figure> {
    let of = |kind| find(results, load, kind)?.cpu_micros;
    let (lychgate, nginx) = (of(Kind::Lychgate)?, of(Kind::Nginx)?);
    let bare = of(Kind::Bare).map_or_else(String::new, |bare| format!(", bare {bare:.1} ({:.2} ×)", bare / nginx));
    Some(Figure {
        name: name.to_owned(),
        value: lychgate / nginx,
        unit: "×".to_owned(),
        bar,
        from: format!("µs: lychgate {lychgate:.1}, nginx {nginx:.1}{bare}"),
    })
}

/// What each adds to the direct way, in microseconds.
fn added(results: &Results, load: &str, number: fn(&Measured) -> f64) -> Option<(f64, String)> {
    let direct = number(find(results, load, Kind::Direct)?);
    let of = |kind| Some(number(find(results, load, kind)?) - direct);
    let others: Vec<String> = [Kind::Nginx, Kind::Bare]
        .into_iter()
        .filter_map(|kind| Some(format!("{} {:.0}", kind.name(), of(kind)?)))
        .collect();
    let from = format!("direct takes {direct:.0}; added by others: {}", others.join(", "));
    Some((of(Kind::Lychgate)?, from))
}

fn latency(results: &Results) -> Vec<Figure> {
    let one = |percent, bar, number| {
        let (value, from) = added(results, "small-1", number)?;
        Some(Figure {
            name: format!("added latency, 1 connection, p{percent}"),
            value,
            unit: "µs".to_owned(),
            bar: Some(Bar::AtMost(bar)),
            from,
        })
    };
    let p50: fn(&Measured) -> f64 = |measured| measured.p50_micros;
    [one(50, 70.0, p50), one(99, 150.0, |measured| measured.p99_micros)]
        .into_iter()
        .flatten()
        .collect()
}

/// What a core's worth of replica can do, not what came through: on a small machine the load generator, the provider and the
/// control plane are at their limit long before the replica is, and the control plane's share of their core is not the
/// replica's loss.
fn governance(results: &Results) -> Option<Figure> {
    let of = |kind| find(results, "small-64", kind);
    let (lychgate, bare) = (of(Kind::Lychgate)?, of(Kind::Bare)?);
    let (with, without) = (lychgate.cpu_micros?, bare.cpu_micros?);
    Some(Figure {
        name: "throughput lost to governance".to_owned(),
        value: 100.0 * (1.0 - without / with),
        unit: "%".to_owned(),
        bar: Some(Bar::AtMost(10.0)),
        from: format!(
            "requests per CPU second: {:.0} of bare {:.0}; through one core shared by all else: {:.0} of {:.0}/s",
            1e6 / with,
            1e6 / without,
            lychgate.requests_per_second,
            bare.requests_per_second
        ),
    })
}

fn first_byte(results: &Results) -> Option<Figure> {
    let (value, from) = added(results, "sse-1", |measured| measured.first_byte_p50_micros)?;
    Some(Figure {
        name: "added time to first byte of a stream, p50".to_owned(),
        value,
        unit: "µs".to_owned(),
        bar: Some(Bar::AtMost(100.0)),
        from,
    })
}

fn stream_bytes(results: &Results) -> Option<Figure> {
    let of = |kind| find(results, "sse-64", kind)?.bytes_per_cpu_second;
    let (lychgate, nginx) = (of(Kind::Lychgate)?, of(Kind::Nginx)?);
    let mb = |bytes: f64| bytes / 1e6;
    let bare = of(Kind::Bare).map_or_else(String::new, |bare| format!(", bare {:.0}", mb(bare)));
    Some(Figure {
        name: "stream bytes per CPU second, of nginx's".to_owned(),
        value: lychgate / nginx,
        unit: "×".to_owned(),
        bar: Some(Bar::AtLeast(0.8)),
        from: format!("MB: lychgate {:.0}, nginx {:.0}{bare}", mb(lychgate), mb(nginx)),
    })
}

fn memory(results: &Results) -> Vec<Figure> {
    let of = |wanted| {
        let mut all = results.memory.iter();
        all.find_map(|(kind, memory)| (*kind == wanted).then_some(memory))
    };
    let Some(lychgate) = of(Kind::Lychgate) else {
        return Vec::new();
    };
    let one = |name: String, unit: &str, bar, value: &dyn Fn(&crate::load::streams::Memory) -> f64| Figure {
        name,
        value: value(lychgate),
        unit: unit.to_owned(),
        bar,
        from: of(Kind::Nginx).map_or_else(String::new, |nginx| format!("nginx {:.1}", value(nginx))),
    };
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    vec![
        one(
            "resident memory, idle".to_owned(),
            "MiB",
            Some(Bar::AtMost(15.0)),
            &|memory| mib(memory.idle),
        ),
        one(
            "resident memory per open idle stream".to_owned(),
            "KiB",
            Some(Bar::AtMost(20.0)),
            &|memory| memory.open.saturating_sub(memory.idle) as f64 / 1024.0 / memory.streams as f64,
        ),
        one(
            format!("resident memory with {} streams", lychgate.streams),
            "MiB",
            (lychgate.streams == 5000).then_some(Bar::AtMost(120.0)),
            &|memory| mib(memory.open),
        ),
    ]
}

fn failures(results: &Results) -> Vec<Figure> {
    let one = |name: &str, loads: &dyn Fn(&str) -> bool| {
        let rows = results
            .rows
            .iter()
            .filter(|row| row.target == Kind::Lychgate && loads(&row.load))
            .map(|row| &row.median);
        let rows: Vec<&Measured> = rows.collect();
        if rows.is_empty() {
            return None;
        }
        let sum = |count: fn(&Measured) -> u64| rows.iter().map(|row| count(row)).sum::<u64>();
        let error = rows.iter().find_map(|row| row.errors.first());
        Some(Figure {
            name: name.to_owned(),
            value: sum(|row| row.failed) as f64,
            unit: String::new(),
            bar: Some(Bar::AtMost(0.0)),
            from: format!(
                "{} answered, {} refused in order (503 with Retry-After){}",
                sum(|row| row.requests),
                sum(|row| row.refused),
                error.map_or_else(String::new, |error| format!("; {error}"))
            ),
        })
    };
    [
        one("failures at 1,024 connections", &|load| load == "small-1024"),
        one("failures past saturation", &|load| load == "open-flood"),
        one("failures under all other loads", &|load| {
            !matches!(load, "small-1024" | "open-flood")
        }),
    ]
    .into_iter()
    .flatten()
    .collect()
}

#[cfg(test)]
mod tests;
