//! What is synced, and in which order: seen by what the disk is asked, not by the clock.

use super::*;
use crate::spool::SpoolSync;
use crate::spool::{Full, keep, settle};
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
async fn always_an_end_goes_out_after_its_record_is_synced_and_those_together_share_a_sync() {
    let (_directory, disk, spool) = scripted(SpoolSync::Always);
    let mut holds = Vec::new();
    for model in ["a", "b", "c"] {
        holds.push(spool.reserve().unwrap().fill(named(model)).unwrap());
    }
    assert_eq!(disk.asked(), ["create", "write", "write", "write", "write"]);
    assert!(holds.iter_mut().all(|hold| hold.now_or_never().is_none()));
    assert!(settle(&spool).await);
    assert_eq!(disk.asked(), ["sync", "sync directory"]);
    for hold in &mut holds {
        hold.now_or_never().expect("it is synced").unwrap();
    }
    let mut hold = spool.reserve().unwrap().fill(named("d")).unwrap();
    assert!((&mut hold).now_or_never().is_none());
    assert!(settle(&spool).await);
    hold.await.unwrap();
    assert_eq!(disk.asked(), ["write", "sync"]);
    assert!(settle(&spool).await);
    assert!(disk.asked().is_empty(), "there was nothing to sync");
}

#[tokio::test]
async fn always_a_failed_sync_lets_no_end_look_complete() {
    let (_directory, disk, spool) = scripted(SpoolSync::Always);
    put_held(&spool, "a").await;
    disk.with(|script| script.fails_to_sync = true);
    let hold = spool.reserve().unwrap().fill(named("b")).unwrap();
    assert!(!settle(&spool).await);
    hold.now_or_never().expect("it failed").unwrap_err();
    assert!(matches!(spool.reserve(), Err(Full::Disk(why)) if why.contains("can't be synced")));
    disk.with(|script| script.fails_to_sync = false);
    assert!(settle(&spool).await);
    // The sync of a file that failed once says nothing, so another is begun.
    disk.asked();
    put_held(&spool, "c").await;
    assert_eq!(disk.asked(), ["create", "write", "write", "sync", "sync directory"]);
    assert_eq!(read(&spool, spool.begin()).0, ["a", "b", "c"]);
}

async fn put_held(spool: &Arc<Spool>, model: &str) {
    let hold = spool.reserve().unwrap().fill(named(model)).unwrap();
    assert!(settle(spool).await);
    hold.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn at_an_interval_nobody_waits_and_many_share_a_sync() {
    let (_directory, disk, spool) = scripted(SpoolSync::Interval);
    let keeping = tokio::spawn(keep(Arc::clone(&spool)));
    for _ in 0..50 {
        put(&spool, "m");
    }
    let syncs = |disk: &Scripted| disk.with(|script| script.asked.iter().filter(|asked| **asked == "sync").count());
    while syncs(&disk) == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(syncs(&disk), 1);
    keeping.abort();
}

#[tokio::test(start_paused = true)]
async fn what_the_run_before_did_not_sync_is_synced_by_the_next() {
    let (directory, disk, spool) = scripted(SpoolSync::Interval);
    put(&spool, "m");
    spool.release();
    drop(spool);
    disk.asked();
    let spool = open_with(&SpoolOptions::new(directory.path()), Arc::new(disk.clone()));
    let keeping = tokio::spawn(keep(Arc::clone(&spool)));
    let mut asked = Vec::new();
    while !asked.contains(&"sync directory") {
        asked.extend(disk.asked());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(asked, ["open", "sync", "sync directory"]);
    keeping.abort();
}
