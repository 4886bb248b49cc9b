//! Token check and spool append, each by itself in this process, in CPU time of the thread that does it. `cargo bench` has them
//! in wall time, with more cases.

use super::records::Records;
use super::{Bench, Found};
use crate::report::figures::{Bar, Figure};
use anyhow::{Context as _, ensure};
use http::{HeaderMap, HeaderValue};
use lychgate_gateway::SpoolOptions;
use lychgate_gateway::harness::spool::Appender;
use lychgate_gateway::harness::token_check::Checker;
use lychgate_types::secret::{SecretHash, UserTokenSecret};
use lychgate_types::{Ambient, provider::ProviderType};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike as _;
use serde_json::json;
use std::hint::black_box;

/// Tokens that are known while one of them is checked.
const TOKENS: usize = 10_000;
/// Of each number the least of so many is taken: the others had company on their core.
const TIMES: usize = 5;

#[expect(clippy::unused_async, reason = "as all parts")]
pub(super) async fn measure(bench: &Bench<'_>) -> anyhow::Result<Found> {
    let checks = bench.count(1_000_000, 100_000);
    let appends = bench.count(100_000, 10_000);
    let (alone, together) = (check(checks, 1)?, check(checks, 2)?);
    let spool = append(bench, appends)?;
    let figures = vec![
        Figure {
            name: "token check when cached: header to verdict".to_owned(),
            value: alone,
            unit: "µs".to_owned(),
            bar: Some(Bar::AtMost(1.0)),
            from: format!(
                "{TOKENS} tokens known; by two threads at once, of the same token: {together:.3} µs ({:.2} ×)",
                together / alone
            ),
        },
        Figure {
            name: "spool append per request, sync at an interval".to_owned(),
            value: spool,
            unit: "µs".to_owned(),
            bar: Some(Bar::AtMost(10.0)),
            from: format!(
                "CPU of the appending thread, user and kernel: place, encoding, seal, write; {appends} records"
            ),
        },
    ];
    let numbers = json!({"check_us": alone, "check_by_two_us": together, "append_us": spool});
    Ok(Found { figures, numbers })
}

/// One check by each of so many threads at once, of the same token.
fn check(count: usize, threads: usize) -> anyhow::Result<f64> {
    let ambient = Ambient::system();
    let token = UserTokenSecret::generate(&ambient);
    let mut known: Vec<SecretHash> = (1..TOKENS)
        .map(|_| UserTokenSecret::generate(&ambient).hash())
        .collect();
    known.push(token.hash());
    let checker = Checker::knowing(&known, &ambient);
    let mut headers = HeaderMap::new();
    let bearer = HeaderValue::from_str(&format!("Bearer {}", token.expose())).context("a token is no header")?;
    headers.insert("authorization", bearer);
    least(|| {
        let checking = || {
            let begun = cpu_micros()?;
            for _ in 0..count {
                ensure!(
                    checker.check(ProviderType::OpenAi, black_box(&headers)),
                    "a known token is refused"
                );
            }
            anyhow::Ok((cpu_micros()? - begun) / count as f64)
        };
        let done: Vec<_> = std::thread::scope(|scope| {
            let running: Vec<_> = (0..threads).map(|_| scope.spawn(checking)).collect();
            running.into_iter().map(std::thread::ScopedJoinHandle::join).collect()
        });
        let mut sum = 0.0;
        for one in done {
            sum += one.map_err(|_| anyhow::anyhow!("a check panicked"))??;
        }
        Ok(sum / threads as f64)
    })
}

fn append(bench: &Bench<'_>, count: usize) -> anyhow::Result<f64> {
    let token = UserTokenSecret::generate(&Ambient::system()).hash();
    least(|| {
        let directory = tempfile::tempdir_in(bench.dir()).context("can't make a directory")?;
        let appender = Appender::open(&SpoolOptions::new(directory.path())).context("the spool can't be made")?;
        // Made beforehand: the gateway has its record before it comes here.
        let records: Vec<_> = Records::new(token).take(count).collect();
        let begun = cpu_micros()?;
        for record in records {
            ensure!(appender.append(record), "the spool did not take a record");
        }
        Ok((cpu_micros()? - begun) / count as f64)
    })
}

/// The least of some tries.
fn least(one: impl Fn() -> anyhow::Result<f64>) -> anyhow::Result<f64> {
    let mut least = f64::INFINITY;
    for _ in 0..TIMES {
        least = least.min(one()?);
    }
    Ok(least)
}

/// CPU time of this thread, in user mode and in the kernel.
fn cpu_micros() -> anyhow::Result<f64> {
    let usage = getrusage(UsageWho::RUSAGE_THREAD).context("can't read a thread's CPU time")?;
    Ok((usage.user_time() + usage.system_time()).num_microseconds() as f64)
}
