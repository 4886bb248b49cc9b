//! Putting a load on connections: closed loop, one request each, or open loop.
//!
//! In the open loop a request's time counts from when it was due, not from when a connection was free to send it: a target
//! that stalls makes all those behind it late, and that is what their users would see.

use crate::load::exchange::{Answered, Connection, Outcome};
use crate::load::loads::Pace;
use anyhow::Context as _;
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;
use tokio::sync::Notify;
use tokio::sync::mpsc::unbounded_channel;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until, timeout};

/// How long requests that were sent may take to end after the load has stopped.
const PATIENCE: Duration = Duration::from_secs(60);
/// Errors that are kept to be shown.
const ERRORS_SHOWN: usize = 3;

/// What became of the requests.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) answers: Vec<Answered>,
    /// Of these, how many ended while the load lasted.
    pub(crate) in_time: u64,
    pub(crate) refused: u64,
    pub(crate) failed: u64,
    /// The first few failures.
    pub(crate) errors: Vec<String>,
    /// Were due, and not sent because the load was over.
    pub(crate) unsent: u64,
    /// How long the load lasted.
    pub(crate) took: Duration,
}

impl Tally {
    fn add(&mut self, outcome: Outcome, expected: Option<u64>, in_time: bool) {
        match outcome {
            Outcome::Answered(answered) if expected.is_none_or(|bytes| bytes == answered.bytes) => {
                self.answers.push(answered);
                self.in_time += u64::from(in_time);
            }
            Outcome::Answered(answered) => self.fail(format!("an answer of {} bytes", answered.bytes)),
            Outcome::Refused => self.refused += 1,
            Outcome::Failed(error) => self.fail(error),
        }
    }

    fn fail(&mut self, error: String) {
        self.failed += 1;
        if self.errors.len() < ERRORS_SHOWN {
            self.errors.push(error);
        }
    }
}

/// What the tasks of one load share.
struct Shared {
    tally: RefCell<Tally>,
    /// How many bytes each answer has; another number is a failure.
    expected: Option<u64>,
    over: Cell<bool>,
    due: RefCell<VecDeque<Instant>>,
    more: Notify,
}

impl Shared {
    async fn one(&self, connection: &mut Connection, start: Instant) {
        let outcome = connection.exchange(start).await;
        self.tally.borrow_mut().add(outcome, self.expected, !self.over.get());
    }

    fn finish(&self) {
        self.over.set(true);
        self.tally.borrow_mut().unsent = self.due.borrow_mut().drain(..).count() as u64;
        self.more.notify_waiters();
    }
}

/// Puts the load on the connections and gives them back.
pub(crate) async fn drive(
    connections: Vec<Connection>,
    pace: Pace,
    expected: Option<u64>,
) -> anyhow::Result<(Vec<Connection>, Tally)> {
    let shared = Rc::new(Shared {
        tally: RefCell::default(),
        expected,
        over: Cell::new(false),
        due: RefCell::default(),
        more: Notify::new(),
    });
    let local = LocalSet::new();
    let tasks: Vec<_> = connections
        .into_iter()
        .map(|connection| local.spawn_local(task(connection, pace, Rc::clone(&shared))))
        .collect();
    let start = Instant::now();
    let run = async {
        match pace {
            Pace::Closed(time) => sleep_until(start + time).await,
            Pace::Open { rate, time } => release(&shared, rate, time).await,
            Pace::Flood { .. } => anyhow::bail!("a flood's rate must be known"),
            Pace::Single => {}
        }
        let mut took = start.elapsed();
        if pace != Pace::Single {
            shared.finish();
        }
        let mut connections = Vec::new();
        for task in tasks {
            let ended = timeout(PATIENCE, task)
                .await
                .context("an answer did not come to its end")?;
            connections.push(ended.context("a connection's task broke")?);
        }
        if pace == Pace::Single {
            took = start.elapsed();
        }
        anyhow::Ok((connections, took))
    };
    let (connections, took) = local.run_until(run).await?;
    let mut tally = shared.tally.take();
    tally.took = took;
    Ok((connections, tally))
}

async fn task(mut connection: Connection, pace: Pace, shared: Rc<Shared>) -> Connection {
    match pace {
        Pace::Single => shared.one(&mut connection, Instant::now()).await,
        Pace::Closed(_) => {
            while !shared.over.get() {
                shared.one(&mut connection, Instant::now()).await;
            }
        }
        Pace::Open { .. } | Pace::Flood { .. } => {
            while !shared.over.get() {
                let due = shared.due.borrow_mut().pop_front();
                match due {
                    Some(due) => shared.one(&mut connection, due).await,
                    None => shared.more.notified().await,
                }
            }
        }
    }
    connection
}

/// Makes requests due, one after the other at an even pace. A thread keeps it: the runtime's own timers have steps of a
/// millisecond, which is more than what is measured.
async fn release(shared: &Shared, rate: f64, time: Duration) {
    let gap = Duration::from_secs_f64(1.0 / rate);
    let (sender, mut receiver) = unbounded_channel();
    let metronome = std::thread::spawn(move || {
        let start = Instant::now();
        for number in 0u32.. {
            let due = start + gap * number;
            if due > start + time {
                break;
            }
            let now = Instant::now();
            if due > now {
                std::thread::sleep(due - now);
            }
            if sender.send(due).is_err() {
                break;
            }
        }
    });
    while let Some(due) = receiver.recv().await {
        shared.due.borrow_mut().push_back(due);
        shared.more.notify_one();
    }
    // It has sent its last and ends.
    let _ = metronome.join();
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targets::target::{Answer, Prompt, Target};
    use lychgate_scripted::ScriptedProvider;

    async fn connections(provider: &ScriptedProvider, count: usize) -> Vec<Connection> {
        let target = Target::direct(provider.addr());
        let mut open = Vec::new();
        for _ in 0..count {
            let request = target.request(Prompt::Small, Answer::Json).unwrap();
            open.push(Connection::open(target.address, request).await.unwrap());
        }
        open
    }

    #[tokio::test]
    async fn every_request_is_reported_once_and_short_answers_are_failures() {
        let provider = ScriptedProvider::start(([127, 0, 0, 1], 0).into()).await.unwrap();
        let open = connections(&provider, 3).await;
        let (open, tally) = drive(open, Pace::Single, None).await.unwrap();
        assert_eq!((tally.answers.len(), tally.failed, tally.refused), (3, 0, 0));
        let bytes = tally.answers[0].bytes;
        let (open, tally) = drive(open, Pace::Single, Some(bytes)).await.unwrap();
        assert_eq!(tally.answers.len(), 3);
        let (_, tally) = drive(open, Pace::Single, Some(bytes + 1)).await.unwrap();
        assert_eq!((tally.answers.len(), tally.failed), (0, 3));
        assert_eq!(tally.errors[0], format!("an answer of {bytes} bytes"));
    }

    #[tokio::test]
    async fn an_open_loop_has_as_many_requests_as_its_rate_says() {
        let provider = ScriptedProvider::start(([127, 0, 0, 1], 0).into()).await.unwrap();
        let open = connections(&provider, 8).await;
        let time = Duration::from_millis(200);
        let (_, tally) = drive(open, Pace::Open { rate: 500.0, time }, None).await.unwrap();
        assert_eq!(tally.answers.len() as u64 + tally.unsent, 101);
        assert!(tally.answers.iter().all(|answer| answer.first <= answer.whole));
    }
}
