//! What is shown and kept: a table as Markdown, which reads in a terminal too, and everything as JSON.

use crate::args::Kind;
use crate::machine::{out_dir, root};
use crate::plan::{Results, Row};
use anyhow::Context as _;
use std::fmt::Write as _;

/// Prints the table, writes the JSON to `bench/out`, and where asked the table to `bench/RESULTS.md`.
pub(crate) fn publish(results: &Results, write: bool) -> anyhow::Result<()> {
    let text = markdown(results);
    crate::say(&text);
    let json = serde_json::to_string_pretty(results).context("the results don't write")?;
    let time = crate::machine::output("date", &["-u", "+%Y%m%dT%H%M%SZ"]).unwrap_or_else(|| "results".to_owned());
    let path = out_dir()?.join(format!("{time}.json"));
    std::fs::write(&path, json).with_context(|| format!("can't write {}", path.display()))?;
    crate::tell(&format!(
        "all numbers are in {}",
        path.strip_prefix(root()).unwrap_or(&path).display()
    ));
    if write {
        let date = time.get(..8).unwrap_or_default();
        let page = format!(
            "# Measured\n\nBy `cargo run --release -p lychgate-bench -- --write` on {date}. How: see README.md.\n\n{text}\n"
        );
        std::fs::write(root().join("bench/RESULTS.md"), page).context("can't write bench/RESULTS.md")?;
    }
    Ok(())
}

fn markdown(results: &Results) -> String {
    let mut text = String::new();
    let machine = &results.machine;
    // Writing to a string can't fail.
    let _ = writeln!(
        text,
        "Commit {}; {}, {} cores, {} MiB, {}; {}. Medians of {} rounds of {} s.",
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
    );
    if let Some(version) = &results.nginx_version {
        let _ = writeln!(text, "nginx {version}, one worker, `proxy_pass`.");
    }
    for (scenario, title) in [
        ("json", "One JSON answer".to_owned()),
        ("stream", format!("{} streamed events", results.events)),
    ] {
        let rows: Vec<&Row> = results.rows.iter().filter(|row| row.scenario == scenario).collect();
        let _ = writeln!(text, "\n## {title}\n");
        text.push_str("| connections | through  | requests/s | of direct | of nginx | CPU µs/request | × nginx | control plane | p50 ms | p99 ms | first byte p50 ms |\n");
        text.push_str("|------------:|----------|-----------:|----------:|---------:|---------------:|--------:|--------------:|-------:|-------:|------------------:|\n");
        for row in &rows {
            line(&mut text, row, &rows);
        }
    }
    if !results.memory.is_empty() {
        text.push_str("\n## Resident memory\n\n| process  | idle MiB | streams open | MiB with them | kB a stream |\n|----------|---------:|-------------:|--------------:|------------:|\n");
        for (kind, memory) in &results.memory {
            let a_stream = memory.open.saturating_sub(memory.idle) as f64 / 1000.0 / memory.streams as f64;
            let mebibytes = |bytes: u64| bytes as f64 / f64::from(1 << 20);
            let _ = writeln!(
                text,
                "| {:8} | {:8.1} | {:12} | {:13.1} | {a_stream:11.1} |",
                kind.name(),
                mebibytes(memory.idle),
                memory.streams,
                mebibytes(memory.open)
            );
        }
    }
    if let Some(recorded) = &results.recorded {
        let _ = writeln!(
            text,
            "\n{} requests went through Lychgate, {} were recorded.",
            recorded.sent, recorded.recorded
        );
    }
    text
}

fn line(text: &mut String, row: &Row, rows: &[&Row]) {
    let beside = |kind| {
        rows.iter()
            .find(|other| other.target == kind && other.connections == row.connections)
    };
    let share = |kind| {
        beside(kind)
            .filter(|other| other.target != row.target)
            .map_or(String::new(), |other| {
                format!(
                    "{:.0} %",
                    100.0 * row.median.requests_per_second / other.median.requests_per_second
                )
            })
    };
    let number = |value: Option<f64>| value.map_or(String::new(), |value| format!("{value:.1}"));
    let times_nginx = beside(Kind::Nginx)
        .filter(|other| other.target != row.target)
        .and_then(|nginx| Some(format!("{:.2}", row.median.cpu_micros? / nginx.median.cpu_micros?)));
    let _ = writeln!(
        text,
        "| {:11} | {:8} | {:10.0} | {:>9} | {:>8} | {:>14} | {:>7} | {:>13} | {:6.3} | {:6.3} | {:17.3} |",
        row.connections,
        row.target.name(),
        row.median.requests_per_second,
        share(Kind::Direct),
        share(Kind::Nginx),
        number(row.median.cpu_micros),
        times_nginx.unwrap_or_default(),
        number(row.median.control_cpu_micros),
        row.median.p50_micros / 1000.0,
        row.median.p99_micros / 1000.0,
        row.median.first_byte_p50_micros / 1000.0,
    );
}
