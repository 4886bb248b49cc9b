//! The loads, by name.

use crate::args::Args;
use crate::targets::target::{Answer, Prompt};
use anyhow::bail;
use std::time::Duration;

/// Requests a second of the open loop below saturation. Stated, so that latencies can be compared between runs.
const STEADY: f64 = 1000.0;

/// One load.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Load {
    pub(crate) name: &'static str,
    pub(crate) title: &'static str,
    pub(crate) prompt: Prompt,
    pub(crate) answer: Answer,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    /// In the first round only, because it takes long.
    pub(crate) once: bool,
}

/// When requests are sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Pace {
    /// Closed loop: each connection sends its next request when it has read the last answer's end.
    Closed(Duration),
    /// Each connection sends a single request.
    Single,
    /// Open loop: so many requests are due every second, whether or not earlier ones have finished.
    Open { rate: f64, time: Duration },
    /// Open loop at so many times what the same target did in `small-64` of the same round.
    Flood { times: f64, time: Duration },
}

/// The loads that were asked for.
pub(crate) fn chosen(args: &Args) -> anyhow::Result<Vec<Load>> {
    let all = all(Duration::from_secs(args.seconds()), args.quick);
    if let Some(unknown) = args.only.iter().find(|name| !all.iter().any(|load| load.name == *name)) {
        let names: Vec<&str> = all.iter().map(|load| load.name).collect();
        bail!("there is no load called {unknown}; there are {}", names.join(", "));
    }
    Ok(all
        .into_iter()
        .filter(|load| args.only.is_empty() || args.only.iter().any(|name| name == load.name))
        .collect())
}

fn all(time: Duration, quick: bool) -> Vec<Load> {
    let closed = |name, title, connections, prompt, answer| Load {
        name,
        title,
        prompt,
        answer,
        connections,
        pace: Pace::Closed(time),
        once: false,
    };
    let stream = |events, interval| Answer::Stream { events, interval };
    let fast = stream(1000, Duration::ZERO);
    let paced = stream(if quick { 100 } else { 1000 }, Duration::from_millis(20));
    let small = |name, title, connections| closed(name, title, connections, Prompt::Small, Answer::Json);
    vec![
        small("small-1", "small blocking request, 1 connection", 1),
        small("small-64", "small blocking request, 64 connections", 64),
        small("small-1024", "small blocking request, 1,024 connections", 1024),
        closed(
            "prompt-64",
            "prompt of 32 KiB, 64 connections",
            64,
            Prompt::Long,
            Answer::Json,
        ),
        closed(
            "sse-1",
            "stream of 1,000 events at full speed, 1 connection",
            1,
            Prompt::Small,
            fast,
        ),
        closed(
            "sse-64",
            "stream of 1,000 events at full speed, 64 connections",
            64,
            Prompt::Small,
            fast,
        ),
        Load {
            pace: Pace::Open { rate: STEADY, time },
            ..small("open-steady", "small blocking request, open loop, 1,000 a second", 256)
        },
        Load {
            pace: Pace::Flood { times: 3.0, time },
            ..small(
                "open-flood",
                "small blocking request, open loop, three times what small-64 did",
                1024,
            )
        },
        Load {
            pace: Pace::Single,
            once: true,
            ..closed(
                "paced-64",
                "stream at 50 events a second, 64 connections",
                64,
                Prompt::Small,
                paced,
            )
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[test]
    fn loads_are_chosen_by_name() {
        let chosen = |line: &[&str]| chosen(&Args::parse_from([&["bench"], line].concat()));
        assert_eq!(chosen(&[]).unwrap().len(), 9);
        let names: Vec<_> = chosen(&["--only", "sse-64,small-1"]).unwrap();
        assert_eq!(
            names.iter().map(|load| load.name).collect::<Vec<_>>(),
            ["small-1", "sse-64"]
        );
        assert!(
            chosen(&["--only", "small-2"])
                .unwrap_err()
                .to_string()
                .contains("open-flood")
        );
    }
}
