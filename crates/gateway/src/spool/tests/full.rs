//! No room: because of the limit, or because the disk accepts no more.

use super::*;
use crate::spool::SpoolFull;
use crate::spool::{Full, run_flusher};

fn small(directory: &Path, when_full: SpoolFull) -> SpoolOptions {
    SpoolOptions {
        max_bytes: 256 << 10,
        when_full,
        ..SpoolOptions::new(directory)
    }
}

#[test]
fn room_is_reserved_until_filled_or_given_back() {
    let directory = tempfile::tempdir().unwrap();
    let options = SpoolOptions {
        // Room for two reservations.
        max_bytes: 2 * (64 << 10) + 5000,
        ..SpoolOptions::new(directory.path())
    };
    let spool = open_with(&options, Arc::new(SystemDisk));
    let first = spool.reserve(Holder::default()).unwrap();
    let second = spool.reserve(Holder::default()).unwrap();
    assert_eq!(spool.reserve(Holder::default()).unwrap_err(), Full::Records);
    drop(first);
    let third = spool.reserve(Holder::default()).unwrap();
    second.fill(named("a"));
    third.fill(named("b"));
    assert_eq!(read(&spool, spool.begin()).0, ["a", "b"]);
}

#[test]
fn a_full_spool_takes_what_was_reserved_and_nothing_more_until_there_is_room() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open_with(&small(directory.path(), SpoolFull::Refuse), Arc::new(SystemDisk));
    let late = spool.reserve(Holder::default()).unwrap();
    let mut count = 0;
    while let Ok(slot) = spool.reserve(Holder::default()) {
        slot.fill(named("x".repeat(10_000)));
        count += 1;
    }
    late.fill(named("late"));
    assert_eq!(spool.room(), Err(Full::Records));
    let (models, end) = read(&spool, spool.begin());
    assert_eq!(
        (models.len(), models.last().map(String::as_str)),
        (count + 1, Some("late"))
    );
    spool.acknowledge(end);
    assert_eq!((spool.room(), spool.unrecorded()), (Ok(()), 0));
}

#[test]
fn unrecorded_requests_are_counted() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open_with(&small(directory.path(), SpoolFull::Unrecorded), Arc::new(SystemDisk));
    for _ in 0..40 {
        append(&spool, "x".repeat(10_000));
    }
    let (models, end) = read(&spool, spool.begin());
    assert!(spool.unrecorded() > 0 && spool.room().is_err());
    assert_eq!(models.len() as u64 + spool.unrecorded(), 40);
    spool.acknowledge(end);
    append(&spool, "there is room again");
    assert_eq!(read(&spool, end).0, ["there is room again"]);
}

#[tokio::test(start_paused = true)]
async fn on_a_full_disk_the_end_of_an_answer_waits_until_there_is_room() {
    let (directory, disk) = (tempfile::tempdir().unwrap(), Scripted::default());
    let spool = open_with(&SpoolOptions::new(directory.path()), Arc::new(disk.clone()));
    let flushing = tokio::spawn(run_flusher(Arc::clone(&spool)));
    append(&spool, "a");
    // The next one is written only in part.
    disk.with(|script| script.room = Some(50));
    let held = spool.reserve(Holder::default()).unwrap().fill(named("b")).unwrap();
    assert!(matches!(spool.reserve(Holder::default()), Err(Full::Disk(why)) if why.contains("can't be written")));
    assert_eq!(spool.depth(), 2);
    assert_eq!(read(&spool, spool.begin()).0, ["a"]);
    disk.with(|script| script.room = None);
    held.await.unwrap();
    assert_eq!(read(&spool, spool.begin()).0, ["a", "b"]);
    until_room(&spool).await;
    append(&spool, "c");
    assert_eq!(read(&spool, spool.begin()).0, ["a", "b", "c"]);
    flushing.abort();
}

#[tokio::test(start_paused = true)]
async fn an_answer_whose_record_is_not_stored_in_time_must_not_look_complete() {
    let (directory, disk) = (tempfile::tempdir().unwrap(), Scripted::default());
    let spool = open_with(&SpoolOptions::new(directory.path()), Arc::new(disk.clone()));
    let flushing = tokio::spawn(run_flusher(Arc::clone(&spool)));
    let slots: Vec<_> = (0..3).map(|_| spool.reserve(Holder::default()).unwrap()).collect();
    disk.with(|script| script.room = Some(0));
    for slot in slots {
        let error = slot.fill(named("m")).unwrap().await.unwrap_err();
        assert!(error.to_string().contains("can't be stored"), "{error}");
    }
    // They are queued all the same.
    assert_eq!(spool.depth(), 3);
    disk.with(|script| script.room = None);
    until_room(&spool).await;
    assert_eq!(read(&spool, spool.begin()).0.len(), 3);
    flushing.abort();
}

#[tokio::test(start_paused = true)]
async fn on_a_full_disk_nobody_waits_if_requests_may_go_unrecorded() {
    let (directory, disk) = (tempfile::tempdir().unwrap(), Scripted::default());
    let options = SpoolOptions {
        when_full: SpoolFull::Unrecorded,
        ..SpoolOptions::new(directory.path())
    };
    let spool = open_with(&options, Arc::new(disk.clone()));
    disk.with(|script| script.room = Some(0));
    for _ in 0..5000 {
        append(&spool, "m");
    }
    assert_eq!((spool.depth(), spool.unrecorded()), (4096, 904));
    disk.with(|script| script.room = None);
    let flushing = tokio::spawn(run_flusher(Arc::clone(&spool)));
    until_room(&spool).await;
    assert_eq!(read(&spool, spool.begin()).0.len(), 4096);
    flushing.abort();
}

#[tokio::test(start_paused = true)]
async fn delivery_is_woken_for_a_record_that_the_disk_accepted_late() {
    let (directory, disk) = (tempfile::tempdir().unwrap(), Scripted::default());
    disk.with(|script| script.room = Some(0));
    let spool = open_with(&SpoolOptions::new(directory.path()), Arc::new(disk.clone()));
    let flushing = tokio::spawn(run_flusher(Arc::clone(&spool)));
    let held = spool.reserve(Holder::default()).unwrap().fill(named("late")).unwrap();
    let waiting = tokio::spawn({
        let spool = Arc::clone(&spool);
        async move { spool.until_more(spool.begin()).await }
    });
    // It has found nothing yet.
    tokio::time::sleep(std::time::Duration::from_millis(100)).await;
    assert!(!waiting.is_finished());
    disk.with(|script| script.room = None);
    held.await.unwrap();
    tokio::time::timeout(std::time::Duration::from_secs(1), waiting)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(read(&spool, spool.begin()).0, ["late"]);
    flushing.abort();
}

async fn until_room(spool: &Spool) {
    while spool.room().is_err() {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
}

#[test]
fn one_user_leaves_half_of_the_spool_to_the_others() {
    let directory = tempfile::tempdir().unwrap();
    let options = small(directory.path(), SpoolFull::Refuse);
    let [greedy, other] = [1, 2].map(Holder::from_number);
    let append = |spool: &Arc<Spool>, holder| {
        let slot = spool.reserve(holder)?;
        slot.fill(named("x".repeat(10_000)));
        Ok::<_, Full>(())
    };
    let spool = open_with(&options, Arc::new(SystemDisk));
    let mut taken = 0;
    let refused = loop {
        match append(&spool, greedy) {
            Ok(()) => taken += 1,
            Err(full) => break full,
        }
    };
    assert_eq!((refused, append(&spool, other)), (Full::Share, Ok(())));
    spool.release();
    // Also for the next process.
    let spool = open_with(&options, Arc::new(SystemDisk));
    assert_eq!(
        (append(&spool, greedy), append(&spool, other)),
        (Err(Full::Share), Ok(()))
    );
    // Until some of it is delivered: here, all that is not in the newest segment.
    let batch = spool.read(spool.begin(), ALL).unwrap();
    let some = batch.entries[taken - 1].place.begin;
    spool.acknowledge(some);
    assert_eq!(append(&spool, greedy), Ok(()));
    let (_, end) = read(&spool, some);
    spool.acknowledge(end);
    for _ in 0..taken {
        assert_eq!(append(&spool, greedy), Ok(()));
    }
    assert_eq!(append(&spool, greedy), Err(Full::Share));
}

#[test]
fn what_is_in_flight_counts_towards_the_share_until_its_record_has_come() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open_with(&small(directory.path(), SpoolFull::Refuse), Arc::new(SystemDisk));
    let [greedy, other] = [1, 2].map(Holder::from_number);
    let begin = |holder| {
        let mut slot = spool.reserve(holder)?;
        slot.expect(120_000)?;
        Ok::<_, Full>(slot)
    };
    let mut in_flight = Vec::new();
    let refused = loop {
        match begin(greedy) {
            Ok(slot) => in_flight.push(slot),
            Err(full) => break full,
        }
    };
    assert_eq!((refused, in_flight.len()), (Full::Share, 3));
    drop(begin(other).unwrap());
    // A record takes what it is, and no more what was expected of it.
    for slot in in_flight {
        slot.fill(named("small"));
    }
    assert_eq!(begin(greedy).map(drop), Ok(()));
    assert_eq!(spool.reserved.all(), 0);
}

#[test]
fn where_requests_go_on_unrecorded_a_share_gives_way_to_others_only() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open_with(&small(directory.path(), SpoolFull::Unrecorded), Arc::new(SystemDisk));
    let [greedy, other] = [1, 2].map(Holder::from_number);
    let append = |holder| {
        let slot = spool.reserve(holder).unwrap();
        slot.fill(named("x".repeat(10_000)));
        spool.unrecorded()
    };
    // More than half of the 128 KiB that there are.
    for _ in 0..9 {
        assert_eq!(append(greedy), 0, "nobody else needs the room");
    }
    let in_flight = spool.reserve(other).unwrap();
    assert_eq!(append(greedy), 1);
    in_flight.fill(named("small"));
    assert_eq!((append(greedy), append(other)), (2, 2));
}

#[test]
fn where_requests_go_on_unrecorded_somebody_alone_leaves_a_quarter_to_those_who_come_later() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open_with(&small(directory.path(), SpoolFull::Unrecorded), Arc::new(SystemDisk));
    let [greedy, late] = [1, 2].map(Holder::from_number);
    let append = |holder| {
        let slot = spool.reserve(holder).unwrap();
        slot.fill(named("x".repeat(10_000)));
        spool.unrecorded()
    };
    let taken = (1..).find(|_| append(greedy) == 1);
    // Of 128 KiB.
    assert_eq!(taken, Some(11));
    for _ in 0..3 {
        assert_eq!(append(late), 1, "there is room for whoever comes later");
    }
    assert_eq!(append(greedy), 2);
}
