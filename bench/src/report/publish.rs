//! What is shown and kept: tables as Markdown, which read in a terminal too, and everything as JSON.

use crate::args::Kind;
use crate::host::machine::{out_dir, root};
use crate::report::figures::{Bar, Figure};
use crate::report::results::{Results, Row};
use anyhow::Context as _;
use serde::Serialize;
use std::fmt::Write as _;

/// The header above lines of figures.
pub(crate) const FIGURES: &str = "\n## Figures and their bars\n\n| figure | measured | bar | holds | from |\n|--------|---------:|----:|-------|------|\n";

/// Prints the tables, writes the JSON to `bench/out`, and where asked the tables to `bench/RESULTS.md`.
pub(crate) fn publish(results: &Results, write: bool) -> anyhow::Result<()> {
    save(
        "",
        results,
        &markdown(results),
        write.then_some(("RESULTS.md", "--write")),
    )
}

/// Prints the text, writes the results as JSON to `bench/out`, and where asked the text to a page beside this crate: its name,
/// and the arguments that make it.
pub(crate) fn save(
    prefix: &str,
    results: &impl Serialize,
    text: &str,
    page: Option<(&str, &str)>,
) -> anyhow::Result<()> {
    crate::print(text);
    let json = serde_json::to_string_pretty(results).context("the results don't write")?;
    let time = crate::host::machine::output("date", &["-u", "+%Y%m%dT%H%M%SZ"]).unwrap_or_else(|| "results".to_owned());
    let path = out_dir()?.join(format!("{prefix}{time}.json"));
    std::fs::write(&path, json).with_context(|| format!("can't write {}", path.display()))?;
    crate::progress(&format!(
        "all numbers are in {}",
        path.strip_prefix(root()).unwrap_or(&path).display()
    ));
    if let Some((file, arguments)) = page {
        let date = time.get(..8).unwrap_or_default();
        let page = format!(
            "# Measured\n\nBy `cargo run --release -p lychgate-bench -- {arguments}` on {date}. How: see README.md.\n\n{text}"
        );
        std::fs::write(root().join("bench").join(file), page).with_context(|| format!("can't write bench/{file}"))?;
    }
    Ok(())
}

// Writing to a string can't fail, so what `writeln!` answers is dropped below.

fn markdown(results: &Results) -> String {
    let mut text = String::new();
    ground(&mut text, results);
    if !results.figures.is_empty() {
        text.push_str(FIGURES);
        for figure in &results.figures {
            figure_line(&mut text, figure);
        }
    }
    let mut load = "";
    for row in &results.rows {
        if row.load != load {
            load = &row.load;
            let _ = writeln!(text, "\n## `{load}`: {}\n", row.title);
            text.push_str(match row.events {
                None => "| through  | requests/s | CPU µs/request | × nginx | control plane | p50 ms | p99 ms | refused | failed |\n|----------|-----------:|---------------:|--------:|--------------:|-------:|-------:|--------:|-------:|\n",
                Some(_) => "| through  | events/s | CPU µs/event | MB/CPU s | × nginx | first byte p50 ms | p99 ms | whole p50 ms | refused | failed |\n|----------|---------:|-------------:|---------:|--------:|------------------:|-------:|-------------:|--------:|-------:|\n",
            });
        }
        match row.events {
            None => blocking(&mut text, row, results),
            Some(events) => streaming(&mut text, row, f64::from(events), results),
        }
    }
    memory(&mut text, results);
    text
}

fn ground(text: &mut String, results: &Results) {
    let machine = &results.machine;
    let _ = writeln!(
        text,
        "Commit {}; {}, {} cores, {} MiB, {}; {}. Medians of {} rounds of {} s{}.",
        machine.commit,
        machine.cpu,
        machine.cores,
        machine.memory_mib,
        machine.kernel,
        if results.pinned {
            "what is measured has a core for itself"
        } else {
            "nothing is pinned to a core"
        },
        results.rounds,
        results.seconds,
        if results.quick { ", quick" } else { "" },
    );
    if let Some(version) = &results.nginx_version {
        let _ = writeln!(text, "nginx {version}, one worker, `proxy_pass`.");
    }
    if let Some(database) = &results.database {
        let _ = writeln!(text, "The control plane keeps its records in {database}.");
    }
}

/// One line of the table of figures.
pub(crate) fn figure_line(text: &mut String, figure: &Figure) {
    let number = |value: f64| {
        if value.fract() == 0.0 {
            format!("{value:.0}")
        } else if value.abs() < 10.0 {
            format!("{value:.2}")
        } else {
            format!("{value:.1}")
        }
    };
    let (bar, holds) = match (figure.bar, figure.holds()) {
        (Some(Bar::AtMost(bar)), holds) => (format!("≤ {}", number(bar)), holds),
        (Some(Bar::AtLeast(bar)), holds) => (format!("≥ {}", number(bar)), holds),
        (None, _) => (String::new(), None),
    };
    let _ = writeln!(
        text,
        "| {} | {} {} | {bar} | {} | {} |",
        figure.name,
        number(figure.value),
        figure.unit,
        holds.map_or("", |holds| if holds { "yes" } else { "**no**" }),
        figure.from,
    );
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(String::new, |value| format!("{value:.1}"))
}

/// A number of this row, over that of nginx under the same load.
fn times_nginx(row: &Row, results: &Results, number: fn(&Row) -> Option<f64>) -> String {
    let nginx = results
        .rows
        .iter()
        .find(|other| other.target == Kind::Nginx && other.load == row.load);
    nginx
        .filter(|_| row.target != Kind::Nginx)
        .and_then(|nginx| Some(format!("{:.2}", number(row)? / number(nginx)?)))
        .unwrap_or_default()
}

fn blocking(text: &mut String, row: &Row, results: &Results) {
    let median = &row.median;
    let _ = writeln!(
        text,
        "| {:8} | {:10.0} | {:>14} | {:>7} | {:>13} | {:6.3} | {:6.3} | {:7} | {:6} |",
        row.target.name(),
        median.requests_per_second,
        number(median.cpu_micros),
        times_nginx(row, results, |row| row.median.cpu_micros),
        number(median.control_cpu_micros),
        median.p50_micros / 1000.0,
        median.p99_micros / 1000.0,
        median.refused,
        median.failed,
    );
}

fn streaming(text: &mut String, row: &Row, events: f64, results: &Results) {
    let median = &row.median;
    let _ = writeln!(
        text,
        "| {:8} | {:8.0} | {:>12} | {:>8} | {:>7} | {:17.3} | {:6.3} | {:12.3} | {:7} | {:6} |",
        row.target.name(),
        median.requests_per_second * events,
        median
            .cpu_micros
            .map_or_else(String::new, |micros| format!("{:.2}", micros / events)),
        number(median.bytes_per_cpu_second.map(|bytes| bytes / 1e6)),
        times_nginx(row, results, |row| row.median.bytes_per_cpu_second),
        median.first_byte_p50_micros / 1000.0,
        median.first_byte_p99_micros / 1000.0,
        median.p50_micros / 1000.0,
        median.refused,
        median.failed,
    );
}

fn memory(text: &mut String, results: &Results) {
    if results.memory.is_empty() {
        return;
    }
    text.push_str("\n## Resident memory\n\n| process  | idle MiB | streams open | MiB with them | KiB a stream |\n|----------|---------:|-------------:|--------------:|-------------:|\n");
    for (kind, memory) in &results.memory {
        let a_stream = memory.open.saturating_sub(memory.idle) as f64 / 1024.0 / memory.streams as f64;
        let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
        let _ = writeln!(
            text,
            "| {:8} | {:8.1} | {:12} | {:13.1} | {a_stream:12.1} |",
            kind.name(),
            mebibytes(memory.idle),
            memory.streams,
            mebibytes(memory.open)
        );
    }
}
