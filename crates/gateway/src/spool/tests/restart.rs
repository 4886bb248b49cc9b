//! The next process takes over what one has left.

use super::*;
use crate::spool::SpoolError;
use crate::spool::cursor::Cursor;
use crate::spool::frame::{self, Parsed};
use crate::spool::segment::HEADER;

/// Ends the process: the directory remains, unlocked.
fn killed(spool: Arc<Spool>) {
    assert_eq!(Arc::strong_count(&spool), 1);
    drop(spool);
}

#[test]
fn every_record_survives_every_restart() {
    let directory = tempfile::tempdir().unwrap();
    for number in 0..20 {
        let spool = open(directory.path());
        append(&spool, format!("m{number}"));
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
fn what_an_earlier_version_has_left_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    for model in ["a", "b", "c"] {
        append(&spool, model);
    }
    killed(spool);
    let path = directory.path().join(&files(directory.path())[0]);
    let whole = std::fs::read(&path).unwrap();
    let (header, mut rest) = whole.split_at(HEADER);
    let mut earlier = header.to_vec();
    while let Parsed::Whole(length) = frame::parse(rest) {
        earlier.extend(frame::without_holder(&rest[..length]));
        rest = &rest[length..];
    }
    assert_eq!((rest.len(), earlier.len()), (0, whole.len() - 3 * 8));
    // Whole; with the last write cut off; with something before the first.
    for (bytes, expected, aside) in [
        (earlier.clone(), &["a", "b", "c", "new"][..], 0),
        (earlier[..earlier.len() - 9].to_vec(), &["a", "b", "new"], 0),
        (
            [header, &[0x8d], &earlier[HEADER..]].concat(),
            &["a", "b", "c", "new"],
            1,
        ),
    ] {
        std::fs::write(&path, bytes).unwrap();
        let spool = open(directory.path());
        append(&spool, "new");
        let (models, _) = read(&spool, spool.begin());
        assert_eq!(models, expected);
        assert_eq!(spool.set_aside_count(), aside);
        killed(spool);
        std::fs::remove_file(directory.path().join(&files(directory.path())[1])).unwrap();
    }
}

#[test]
fn only_what_is_acknowledged_is_gone() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    for model in ["a", "b", "c"] {
        append(&spool, model);
    }
    let two = BatchLimits { records: 2, ..ALL };
    let end = spool.read(spool.begin(), two).unwrap().end;
    spool.acknowledge(end);
    assert_eq!(spool.depth(), 1);
    killed(spool);
    let spool = open(directory.path());
    assert_eq!(spool.depth(), 1);
    append(&spool, "d");
    let (models, end) = read(&spool, spool.begin());
    assert_eq!(models, ["c", "d"]);
    spool.acknowledge(end);
    assert_eq!((spool.depth(), files(directory.path()).len()), (0, 1));
    killed(spool);
    let spool = open(directory.path());
    assert_eq!((spool.depth(), files(directory.path())), (0, vec![]));
    append(&spool, "e");
    assert_eq!(read(&spool, spool.begin()).0, ["e"]);
    assert_eq!(spool.end().ordinal, 5);
}

#[test]
fn without_a_cursor_everything_is_read_again() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    append(&spool, "a");
    append(&spool, "b");
    let end = spool
        .read(spool.begin(), BatchLimits { records: 1, ..ALL })
        .unwrap()
        .end;
    spool.acknowledge(end);
    killed(spool);
    std::fs::remove_file(directory.path().join("cursor")).unwrap();
    let spool = open(directory.path());
    assert_eq!(spool.depth(), 2);
    assert_eq!(read(&spool, spool.begin()).0, ["a", "b"]);
}

#[test]
fn a_cursor_ahead_of_what_the_disk_has_kept_is_harmless() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    append(&spool, "a");
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
        append(&spool, "b");
        let (models, end) = read(&spool, spool.begin());
        assert_eq!(models, ["b"], "{position:?}");
        spool.acknowledge(end);
        assert_eq!(spool.depth(), 0, "{position:?}");
        killed(spool);
    }
}

#[test]
fn segments_are_deleted_once_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let options = SpoolOptions {
        max_bytes: 16 * (64 << 10),
        ..SpoolOptions::new(directory.path())
    };
    let spool = open_with(&options, Arc::new(SystemDisk));
    let long = "x".repeat(20 << 10);
    for _ in 0..20 {
        append(&spool, long.clone());
    }
    assert!(files(directory.path()).len() > 5);
    let mut position = spool.begin();
    let mut seen = 0;
    while spool.depth() > 0 {
        let before = files(directory.path()).len();
        let batch = spool.read(position, BatchLimits { records: 3, ..ALL }).unwrap();
        seen += batch.entries.len();
        position = batch.end;
        spool.acknowledge(position);
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
fn after_a_change_of_key_both_keys_open_what_they_sealed() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    append(&spool, "a");
    spool.set_keys(&key(2).into());
    append(&spool, "b");
    spool.set_keys(&key(1).into());
    append(&spool, "c");
    assert_eq!(read(&spool, spool.begin()).0, ["a", "b", "c"]);
    killed(spool);
    // Only one key is known now: a segment that it does not open is set aside, and the rest is read.
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
fn nothing_is_accepted_before_there_is_a_key() {
    let directory = tempfile::tempdir().unwrap();
    let options = SpoolOptions::new(directory.path());
    let spool = Spool::open(&options, &Ambient::system(), Arc::new(SystemDisk)).unwrap();
    assert!(matches!(
        spool.reserve(Holder::default()).unwrap_err(),
        crate::spool::Full::Disk(_)
    ));
}

#[test]
fn files_are_private_and_contain_no_plaintext() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    append(&spool, "a-canary-of-a-model");
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
