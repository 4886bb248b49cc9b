//! Another process takes over what one has left.

use super::*;
use crate::spool::SpoolError;
use crate::spool::cursor::Cursor;

/// What a killed process leaves: the directory, and nobody who holds it.
fn killed(spool: Arc<Spool>) {
    assert_eq!(Arc::strong_count(&spool), 1);
    drop(spool);
}

#[test]
fn each_record_is_there_after_each_restart() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..20 {
        let spool = open(directory.path());
        put(&spool, format!("m{number}"));
        assert_eq!(spool.depth(), number + 1);
        killed(spool);
    }
    let spool = open(directory.path());
    let (models, end) = read(&spool, spool.begin());
    let expected: Vec<_> = (0..20).map(|number| format!("m{number}")).collect();
    assert_eq!(models, expected);
    assert_eq!(end.ordinal, 20);
    assert_eq!(files(directory.path()).len(), 20);
}

#[test]
fn what_is_acknowledged_is_gone_for_good_and_the_rest_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    for model in ["a", "b", "c"] {
        put(&spool, model);
    }
    let two = Most { records: 2, ..ALL };
    let end = spool.read(spool.begin(), two).unwrap().end;
    spool.acknowledge(end);
    assert_eq!(spool.depth(), 1);
    killed(spool);
    let spool = open(directory.path());
    assert_eq!(spool.depth(), 1);
    put(&spool, "d");
    let (models, end) = read(&spool, spool.begin());
    assert_eq!(models, ["c", "d"]);
    spool.acknowledge(end);
    assert_eq!((spool.depth(), files(directory.path()).len()), (0, 1));
    killed(spool);
    let spool = open(directory.path());
    assert_eq!((spool.depth(), files(directory.path())), (0, vec![]));
    put(&spool, "e");
    assert_eq!(read(&spool, spool.begin()).0, ["e"]);
    assert_eq!(spool.end().ordinal, 5);
}

#[test]
fn a_lost_cursor_means_that_all_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    put(&spool, "a");
    put(&spool, "b");
    let end = spool.read(spool.begin(), Most { records: 1, ..ALL }).unwrap().end;
    spool.acknowledge(end);
    killed(spool);
    std::fs::remove_file(directory.path().join("cursor")).unwrap();
    let spool = open(directory.path());
    assert_eq!(spool.depth(), 2);
    assert_eq!(read(&spool, spool.begin()).0, ["a", "b"]);
}

#[test]
fn a_cursor_that_is_ahead_of_what_the_disk_kept_is_harmless() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    put(&spool, "a");
    let end = spool.end();
    killed(spool);
    for position in [
        Position {
            offset: end.offset + 500,
            ..end
        },
        Position {
            sequence: 90,
            offset: 70,
            ordinal: 900,
        },
    ] {
        Cursor::open(directory.path()).unwrap().0.store(position).unwrap();
        let spool = open(directory.path());
        put(&spool, "b");
        let (models, end) = read(&spool, spool.begin());
        assert_eq!(models, ["b"], "{position:?}");
        spool.acknowledge(end);
        assert_eq!(spool.depth(), 0, "{position:?}");
        killed(spool);
    }
}

#[test]
fn segments_are_deleted_as_they_are_done_with() {
    let directory = tempfile::tempdir().unwrap();
    let options = SpoolOptions {
        max_bytes: 16 * (64 << 10),
        ..SpoolOptions::new(directory.path())
    };
    let spool = open_with(&options, Arc::new(SystemDisk));
    let long = "x".repeat(20 << 10);
    for _ in 0..20 {
        put(&spool, long.clone());
    }
    assert!(files(directory.path()).len() > 5);
    let mut place = spool.begin();
    let mut seen = 0;
    while spool.depth() > 0 {
        let before = files(directory.path()).len();
        let batch = spool.read(place, Most { records: 3, ..ALL }).unwrap();
        seen += batch.entries.len();
        place = batch.end;
        spool.acknowledge(place);
        assert!(files(directory.path()).len() <= before);
    }
    assert_eq!((seen, files(directory.path()).len()), (20, 1));
    assert_eq!(spool.bytes.load(std::sync::atomic::Ordering::Acquire), 0);
}

#[test]
fn one_process_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    let options = SpoolOptions::new(directory.path());
    let second = Spool::open(&options, &Ambient::system(), Arc::new(SystemDisk));
    assert!(matches!(second, Err(SpoolError::InUse { .. })), "{second:?}");
    spool.release();
    open(directory.path());
}

#[test]
fn a_changed_key_opens_what_it_sealed_and_the_one_before_what_that_sealed() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    put(&spool, "a");
    spool.set_key(&key(2));
    put(&spool, "b");
    spool.set_key(&key(1));
    put(&spool, "c");
    assert_eq!(read(&spool, spool.begin()).0, ["a", "b", "c"]);
    killed(spool);
    // Only one key is known now: what it does not open is set aside, whole, and the rest goes on.
    let spool = open(directory.path());
    let (models, end) = read(&spool, spool.begin());
    assert_eq!(models, ["a", "c"]);
    assert_eq!(spool.set_aside_count(), 1);
    spool.acknowledge(end);
    assert_eq!(spool.depth(), 0);
    killed(spool);
    assert_eq!(open(directory.path()).set_aside_count(), 1);
}

#[test]
fn nothing_goes_in_before_there_is_a_key() {
    let directory = tempfile::tempdir().unwrap();
    let options = SpoolOptions::new(directory.path());
    let spool = Spool::open(&options, &Ambient::system(), Arc::new(SystemDisk)).unwrap();
    assert_eq!(spool.reserve().unwrap_err(), crate::spool::Full::Unconfigured);
}

#[test]
fn files_are_private_and_hold_no_clear_text() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    put(&spool, "a-canary-of-a-model");
    read(&spool, spool.begin());
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let path = entry.unwrap().path();
        let mode = path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode, if path.is_dir() { 0o700 } else { 0o600 }, "{path:?}");
        if path.is_file() {
            let bytes = std::fs::read(&path).unwrap();
            assert!(!bytes.windows(8).any(|bytes| bytes == b"a-canary"), "{path:?}");
        }
    }
}
