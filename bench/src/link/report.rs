//! What is shown and kept of a run.

use super::LinkResults;
use crate::report::publish::{FIGURES, figure_line, save};
use std::fmt::Write as _;

/// Prints the table, writes the JSON to `bench/out`, and where asked the table to `bench/LINK.md`.
pub(super) fn publish(results: &LinkResults, write: bool) -> anyhow::Result<()> {
    let page = write.then_some(("LINK.md", "link --write"));
    save("link-", results, &markdown(results), page)
}

fn markdown(results: &LinkResults) -> String {
    let mut text = String::new();
    let machine = &results.machine;
    // Writing to a string can't fail.
    let _ = writeln!(
        text,
        "Commit {}; {}, {} cores, {} MiB, {}; nothing is pinned to a core. {}{}.",
        machine.commit,
        machine.cpu,
        machine.cores,
        machine.memory_mib,
        machine.kernel,
        results.database,
        if results.quick { "; quick" } else { "" },
    );
    text.push_str(FIGURES);
    for (_, _, found) in &results.parts {
        for figure in &found.figures {
            figure_line(&mut text, figure);
        }
    }
    let times = results
        .parts
        .iter()
        .map(|(part, seconds, _)| format!("{part:?} {seconds:.0}"));
    let _ = writeln!(
        text,
        "\nSeconds of each part: {}.",
        times.collect::<Vec<_>>().join(", ")
    );
    text
}
