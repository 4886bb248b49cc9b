//! What is synced, and in which order: seen by the operations of the disk, not by the clock.

use super::*;
use crate::spool::SpoolSync;
use crate::spool::{Full, flush, run_flusher};
use futures_util::FutureExt as _;
use std::time::Duration;

fn scripted(sync: SpoolSync) -> (tempfile::TempDir, Scripted, Arc<Spool>) {
    let (directory, disk) = (tempfile::tempdir().unwrap(), Scripted::default());
    let options = SpoolOptions {
        sync,
        ..SpoolOptions::new(directory.path())
    };
    let spool = open_with(&options, Arc::new(disk.clone()));
    (directory, disk, spool)
}

#[tokio::test]
async fn always_an_answer_ends_after_its_record_is_synced_and_several_share_a_sync() {
    let (_directory, disk, spool) = scripted(SpoolSync::Always);
    let mut holds = Vec::new();
    for model in ["a", "b", "c"] {
        holds.push(spool.reserve(Holder::default()).unwrap().fill(named(model)).unwrap());
    }
    assert_eq!(disk.operations(), ["create", "write", "write", "write", "write"]);
    assert!(holds.iter_mut().all(|hold| hold.now_or_never().is_none()));
    assert!(flush(&spool).await);
    assert_eq!(disk.operations(), ["sync", "sync directory"]);
    for hold in &mut holds {
        hold.now_or_never().expect("it is synced").unwrap();
    }
    let mut hold = spool.reserve(Holder::default()).unwrap().fill(named("d")).unwrap();
    assert!((&mut hold).now_or_never().is_none());
    assert!(flush(&spool).await);
    hold.await.unwrap();
    assert_eq!(disk.operations(), ["write", "sync"]);
    assert!(flush(&spool).await);
    assert!(disk.operations().is_empty(), "there was nothing to sync");
}

#[tokio::test]
async fn always_after_a_failed_sync_no_answer_looks_complete() {
    let (_directory, disk, spool) = scripted(SpoolSync::Always);
    append_held(&spool, "a").await;
    disk.with(|script| script.fails_to_sync = true);
    let hold = spool.reserve(Holder::default()).unwrap().fill(named("b")).unwrap();
    assert!(!flush(&spool).await);
    hold.now_or_never().expect("it failed").unwrap_err();
    assert!(matches!(spool.reserve(Holder::default()), Err(Full::Disk(why)) if why.contains("can't be synced")));
    disk.with(|script| script.fails_to_sync = false);
    assert!(flush(&spool).await);
    // After a failed sync, further syncs of the same file prove nothing, so another file is begun.
    disk.operations();
    append_held(&spool, "c").await;
    assert_eq!(
        disk.operations(),
        ["create", "write", "write", "sync", "sync directory"]
    );
    assert_eq!(read(&spool, spool.begin()).0, ["a", "b", "c"]);
}

async fn append_held(spool: &Arc<Spool>, model: &str) {
    let hold = spool.reserve(Holder::default()).unwrap().fill(named(model)).unwrap();
    assert!(flush(spool).await);
    hold.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn at_an_interval_nobody_waits_and_many_share_a_sync() {
    let (_directory, disk, spool) = scripted(SpoolSync::Interval);
    let flushing = tokio::spawn(run_flusher(Arc::clone(&spool)));
    for _ in 0..50 {
        append(&spool, "m");
    }
    let syncs = |disk: &Scripted| {
        disk.with(|script| {
            script
                .operations
                .iter()
                .filter(|operation| **operation == "sync")
                .count()
        })
    };
    while syncs(&disk) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(syncs(&disk), 1);
    flushing.abort();
}

#[tokio::test(start_paused = true)]
async fn what_one_run_did_not_sync_the_next_one_does() {
    let (directory, disk, spool) = scripted(SpoolSync::Interval);
    append(&spool, "m");
    spool.release();
    drop(spool);
    disk.operations();
    let spool = open_with(&SpoolOptions::new(directory.path()), Arc::new(disk.clone()));
    let flushing = tokio::spawn(run_flusher(Arc::clone(&spool)));
    let mut operations = Vec::new();
    while !operations.contains(&"sync directory") {
        operations.extend(disk.operations());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(operations, ["open", "sync", "sync directory"]);
    flushing.abort();
}
