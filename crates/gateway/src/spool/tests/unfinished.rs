//! What is in flight when a process ends, and what the next one makes of it.

use super::*;
use crate::spool::unfinished::Unfinished;
use lychgate_types::interception::Outcome;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use tokio::time::Instant;

/// An exchange that says so often that more has passed.
#[derive(Debug)]
struct Exchange {
    began: Instant,
    model: String,
    news: AtomicUsize,
    stopped: AtomicBool,
}

impl Unfinished for Exchange {
    fn began(&self) -> Instant {
        self.began
    }

    fn draft(&self) -> Option<InterceptionRecord> {
        let left = self.news.load(Ordering::Relaxed).checked_sub(1)?;
        self.news.store(left, Ordering::Relaxed);
        Some(InterceptionRecord {
            outcome: Outcome::Interrupted,
            attempts: u32::try_from(left).unwrap(),
            ..named(&self.model)
        })
    }

    fn was_not_written(&self) {
        self.news.fetch_add(1, Ordering::Relaxed);
    }

    fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }
}

/// One that lasts already, unless it is new.
fn exchange(model: impl Into<String>, news: usize, is_new: bool) -> Arc<Exchange> {
    let age = std::time::Duration::from_secs(if is_new { 0 } else { 60 });
    Arc::new(Exchange {
        began: Instant::now() - age,
        model: model.into(),
        news: AtomicUsize::new(news),
        stopped: AtomicBool::new(false),
    })
}

fn look_after(spool: &Arc<Spool>) {
    let (due, over) = spool.exchanges.due();
    spool.write_lines(due, over);
}

fn unfinished(directory: &Path) -> usize {
    crate::spool::unfinished::leftovers(directory).unwrap().len()
}

#[test]
fn what_lasts_is_booked_by_the_next_process_behind_all_records() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    let ended = spool.list(exchange("ended", 1, false));
    spool.list(exchange("long", 2, false));
    spool.list(exchange("new", 1, true));
    look_after(&spool);
    append(&spool, "ended");
    spool.unlist(ended);
    // Its line is taken by another; the one that lasts is written anew in its place.
    spool.list(exchange("x".repeat(3000), 1, false));
    look_after(&spool);
    let path = crate::spool::unfinished::leftovers(directory.path()).unwrap().remove(0);
    assert!((2 * 4096..3 * 4096).contains(&std::fs::metadata(path).unwrap().len()));
    append(&spool, "last");
    drop(spool);

    let spool = open(directory.path());
    assert!(spool.has_leftovers());
    spool.book_leftovers();
    let (models, _) = read(&spool, spool.begin());
    let mut interrupted = models[2..].to_vec();
    interrupted.sort();
    assert_eq!(
        (&models[..2], interrupted),
        (
            &["ended".to_owned(), "last".to_owned()][..],
            vec!["long".to_owned(), "x".repeat(3000)]
        )
    );
    let entries = spool.read(spool.begin(), ALL).unwrap().entries;
    let long = entries.iter().map(|entry| entry.record.decode().unwrap());
    let attempts: Vec<_> = long
        .filter(|record| record.model == "long")
        .map(|record| record.attempts)
        .collect();
    assert_eq!(attempts, [0], "as it was written last");
    assert_eq!((unfinished(directory.path()), spool.stats().interrupted), (0, 2));
    assert!(!spool.has_leftovers());
}

#[test]
fn a_proper_end_leaves_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    let one = exchange("one", 1, false);
    let listed = spool.list(Arc::clone(&one) as Arc<dyn Unfinished>);
    look_after(&spool);
    assert_eq!(unfinished(directory.path()), 1);
    assert_eq!(spool.stop_unfinished(), 1);
    assert!(one.stopped.load(Ordering::Relaxed));
    spool.close_lines();
    assert_eq!(unfinished(directory.path()), 1, "it is in nothing else yet");
    spool.unlist(listed);
    spool.close_lines();
    assert_eq!(unfinished(directory.path()), 0);
}

#[test]
fn damage_costs_the_line_and_another_key_the_file() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    for model in ["a", "b", "c"] {
        spool.list(exchange(model, 1, false));
    }
    look_after(&spool);
    drop(spool);
    let path = crate::spool::unfinished::leftovers(directory.path()).unwrap().remove(0);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[2 * 4096 + 40] ^= 1;
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let spool = open(directory.path());
    spool.book_leftovers();
    assert_eq!(
        read(&spool, spool.begin()).0.len(),
        1,
        "one is damaged, and one is torn"
    );
    spool.list(exchange("d", 1, false));
    look_after(&spool);
    drop(spool);

    let spool = Spool::open(
        &SpoolOptions::new(directory.path()),
        &Ambient::system(),
        Arc::new(SystemDisk),
    )
    .unwrap();
    assert!(!spool.has_leftovers(), "there is no key to read them with yet");
    spool.set_keys(&key(2).into());
    spool.book_leftovers();
    assert_eq!((unfinished(directory.path()), spool.set_aside_count()), (0, 1));
}

#[test]
fn what_was_left_is_appended_once_however_long_the_disk_is_full() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    spool.list(exchange("a", 1, false));
    look_after(&spool);
    drop(spool);
    let disk = Scripted::default();
    let spool = open_with(&SpoolOptions::new(directory.path()), Arc::new(disk.clone()));
    disk.with(|script| script.room = Some(0));
    for _ in 0..3 {
        spool.book_leftovers();
        assert!(spool.has_leftovers());
    }
    assert_eq!(spool.stats().interrupted, 1);
    disk.with(|script| script.room = None);
    spool.book_leftovers();
    assert!(!spool.has_leftovers());
    assert_eq!(read(&spool, spool.begin()).0, ["a"]);
}

#[test]
fn an_exchange_that_ends_while_its_line_is_written_gives_it_back_once() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    let ended = spool.list(exchange("ended", 2, false));
    look_after(&spool);
    let (due, over) = spool.exchanges.due();
    spool.unlist(ended);
    spool.write_lines(due, over);
    spool.list(exchange("b", 1, false));
    spool.list(exchange("c", 1, false));
    look_after(&spool);
    look_after(&spool);
    drop(spool);
    let spool = open(directory.path());
    spool.book_leftovers();
    let mut models = read(&spool, spool.begin()).0;
    models.sort();
    assert_eq!(models, ["b", "c"]);
}

#[test]
fn a_disk_that_is_full_costs_the_line_and_nothing_else() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Scripted::default();
    let spool = open_with(&SpoolOptions::new(directory.path()), Arc::new(disk.clone()));
    spool.list(exchange("a", 1, false));
    disk.with(|script| script.room = Some(0));
    look_after(&spool);
    assert_eq!((spool.stats().errors, spool.stats().no_room), (1, None));
    disk.with(|script| script.room = None);
    look_after(&spool);
    drop(spool);
    let spool = open(directory.path());
    spool.book_leftovers();
    assert_eq!(read(&spool, spool.begin()).0, ["a"]);
}
