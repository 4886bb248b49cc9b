use super::*;
use crate::host::machine::Machine;
use crate::load::streams::Memory;
use crate::report::results::Row;

fn results(rows: &[(&str, Kind, Measured)]) -> Results {
    Results {
        machine: Machine::look(),
        pinned: true,
        quick: false,
        nginx_version: None,
        database: None,
        rounds: 1,
        seconds: 1,
        figures: Vec::new(),
        rows: rows
            .iter()
            .map(|(load, target, median)| Row {
                load: (*load).to_owned(),
                title: String::new(),
                events: None,
                target: *target,
                median: median.clone(),
                rounds: Vec::new(),
            })
            .collect(),
        memory: Vec::new(),
        allocations: None,
        recorded: None,
    }
}

fn row(cpu: f64, p50: f64, failed: u64) -> Measured {
    Measured {
        requests: 100,
        failed,
        cpu_micros: Some(cpu),
        p50_micros: p50,
        p99_micros: 2.0 * p50,
        ..Measured::default()
    }
}

#[test]
fn each_figure_is_beside_its_bar() {
    let results = results(&[
        ("small-64", Kind::Nginx, row(10.0, 0.0, 0)),
        ("small-64", Kind::Bare, row(18.0, 0.0, 0)),
        ("small-64", Kind::Lychgate, row(24.0, 0.0, 3)),
        ("open-steady", Kind::Nginx, row(20.0, 0.0, 0)),
        ("open-steady", Kind::Lychgate, row(30.0, 0.0, 0)),
        ("small-1", Kind::Direct, row(0.0, 50.0, 0)),
        ("small-1", Kind::Lychgate, row(0.0, 120.0, 0)),
    ]);
    let found: Vec<_> = figures(&results)
        .iter()
        .map(|figure| (figure.name.clone(), figure.value.round(), figure.holds()))
        .collect();
    let wanted = [
        ("CPU per small request, of nginx's", 2.0, Some(false)),
        ("the same where all get 1,000 a second", 2.0, None),
        ("added latency, 1 connection, p50", 70.0, Some(true)),
        ("added latency, 1 connection, p99", 140.0, Some(true)),
        ("throughput lost to governance", 25.0, Some(false)),
        ("failures under all other loads", 3.0, Some(false)),
    ];
    assert_eq!(
        found,
        wanted.map(|(name, value, holds)| (name.to_owned(), value, holds))
    );
}

#[test]
fn memory_is_given_per_stream() {
    let mut results = results(&[]);
    let memory = Memory {
        idle: 10 << 20,
        open: (10 << 20) + 5000 * 21 * 1024,
        streams: 5000,
    };
    results.memory = vec![(Kind::Lychgate, memory)];
    let found: Vec<_> = figures(&results)
        .iter()
        .map(|figure| (figure.value.round(), figure.holds()))
        .collect();
    assert_eq!(found, [(10.0, Some(true)), (21.0, Some(false)), (113.0, Some(true))]);
}
