//! Damage costs what is damaged and nothing else; nothing is read that was not written.

use super::*;
use crate::spool::segment::HEADER;
use proptest::prelude::*;

/// Writes these records to a spool of one segment; the path of its file, and where in it the records begin and end.
fn written(directory: &Path, lengths: &[usize]) -> (std::path::PathBuf, Vec<(usize, usize)>) {
    let spool = open(directory);
    let mut places = Vec::new();
    for (number, length) in lengths.iter().enumerate() {
        let begin = spool.end().offset.max(HEADER as u64) as usize;
        append(&spool, model(number, *length));
        places.push((begin, spool.end().offset as usize));
    }
    let path = directory.join(files(directory).remove(0));
    (path, places)
}

fn model(number: usize, length: usize) -> String {
    format!("{number}-{}", "x".repeat(length))
}

/// What a new process reads; checks that a record appended later is read too.
fn survivors(directory: &Path) -> Vec<String> {
    let spool = open(directory);
    append(&spool, "later");
    let (mut models, end) = read(&spool, spool.begin());
    assert_eq!(models.pop().as_deref(), Some("later"));
    spool.acknowledge(end);
    assert_eq!(spool.depth(), 0);
    models
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(150))]

    #[test]
    fn a_cut_costs_what_it_cuts_off(lengths in prop::collection::vec(0usize..2000, 1..12), cut: prop::sample::Index) {
        let directory = tempfile::tempdir().unwrap();
        let (path, places) = written(directory.path(), &lengths);
        let whole = std::fs::read(&path).unwrap();
        let cut = cut.index(whole.len() + 1);
        std::fs::write(&path, &whole[..cut]).unwrap();
        let expected: Vec<_> = places
            .iter()
            .zip(&lengths)
            .enumerate()
            .filter(|(_, ((_, end), _))| *end <= cut)
            .map(|(number, (_, length))| model(number, *length))
            .collect();
        prop_assert_eq!(survivors(directory.path()), expected);
    }

    #[test]
    fn a_flipped_bit_costs_one_record(lengths in prop::collection::vec(0usize..2000, 1..12), bit: prop::sample::Index) {
        let directory = tempfile::tempdir().unwrap();
        let (path, places) = written(directory.path(), &lengths);
        let mut bytes = std::fs::read(&path).unwrap();
        let bit = bit.index(bytes.len() * 8);
        bytes[bit / 8] ^= 1 << (bit % 8);
        std::fs::write(&path, &bytes).unwrap();
        let expected: Vec<_> = places
            .iter()
            .zip(&lengths)
            .enumerate()
            .filter(|(_, ((begin, end), _))| !(*begin..*end).contains(&(bit / 8)))
            .map(|(number, (_, length))| model(number, *length))
            .collect();
        prop_assert_eq!(survivors(directory.path()), expected);
    }

    #[test]
    fn a_segment_may_contain_anything(
        bytes in prop::collection::vec(any::<u8>(), 0..3000),
        at: prop::sample::Index,
        insert: bool,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let (path, places) = written(directory.path(), &[10, 500, 10, 900]);
        let mut whole = std::fs::read(&path).unwrap();
        let at = at.index(whole.len());
        let end = if insert { at } else { (at + bytes.len()).min(whole.len()) };
        whole.splice(at..end, bytes);
        std::fs::write(&path, &whole).unwrap();
        let models = survivors(directory.path());
        // Everything before it and after it is read; and nothing but what was written, in order.
        let untouched = places.iter().filter(|(begin, last)| *last <= at || *begin >= end).count();
        let header = at < HEADER;
        prop_assert!(header || models.len() >= untouched, "{} of {}", models.len(), untouched);
        let numbers: Vec<usize> = models.iter().map(|model| model.split('-').next().unwrap().parse().unwrap()).collect();
        prop_assert!(numbers.is_sorted_by(|a, b| a < b) && numbers.iter().all(|number| *number < 4));
    }
}

#[test]
fn damage_is_set_aside_once_however_often_it_is_read() {
    let directory = tempfile::tempdir().unwrap();
    let (path, places) = written(directory.path(), &[10, 20, 30]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[places[1].0 + 30] ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    let spool = open(directory.path());
    for _ in 0..3 {
        assert_eq!(read(&spool, spool.begin()).0.len(), 2);
    }
    assert_eq!(spool.set_aside_count(), 1);
    let aside = files(&directory.path().join("set-aside"));
    let kept = std::fs::read(directory.path().join("set-aside").join(&aside[0])).unwrap();
    assert_eq!(kept[HEADER..], bytes[places[1].0..places[1].1]);
}

#[test]
fn a_segment_without_a_header_is_set_aside_as_a_whole() {
    let directory = tempfile::tempdir().unwrap();
    let (path, _) = written(directory.path(), &[10, 20]);
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[..HEADER].fill(7);
    std::fs::write(&path, &bytes).unwrap();
    assert_eq!(survivors(directory.path()), Vec::<String>::new());
    let spool = open(directory.path());
    assert_eq!((spool.set_aside_count(), spool.depth()), (1, 0));
}

/// What is left where a disk became read-only, or the process was killed, within the first write to a segment.
#[test]
fn a_segment_that_was_only_begun_is_no_loss() {
    for (length, key_number) in [
        (0, 1),
        (1, 1),
        (63, 1),
        (64, 1),
        (HEADER - 1, 1),
        (HEADER, 1),
        (HEADER, 2),
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (path, _) = written(directory.path(), &[10]);
        let other = tempfile::tempdir().unwrap();
        let spool = open(other.path());
        spool.set_keys(&key(key_number).into());
        append(&spool, "elsewhere");
        let header = std::fs::read(other.path().join(files(other.path()).remove(0))).unwrap();
        let begun = path.with_file_name("0000000000000002.segment");
        assert!(path.ends_with("0000000000000001.segment"));
        std::fs::write(&begun, &header[..length]).unwrap();
        // Once more, while the process goes on.
        let spool = open(directory.path());
        let begun = path.with_file_name("0000000000000003.segment");
        std::fs::write(&begun, &header[..length]).unwrap();
        append(&spool, "between");
        assert_eq!(
            read(&spool, spool.begin()).0,
            [&model(0, 10), "between"],
            "{length} bytes"
        );
        drop(spool);
        assert_eq!(
            survivors(directory.path()),
            [&model(0, 10), "between"],
            "{length} bytes"
        );
        assert_eq!(open(directory.path()).set_aside_count(), 0, "{length} bytes");
        assert_eq!(files(directory.path()), Vec::<String>::new());
    }
}

#[test]
fn if_the_current_segment_is_damaged_another_is_begun() {
    let directory = tempfile::tempdir().unwrap();
    let spool = open(directory.path());
    append(&spool, "a");
    let path = directory.path().join(files(directory.path()).remove(0));
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[..HEADER].fill(7);
    std::fs::write(&path, &bytes).unwrap();
    let (models, end) = read(&spool, spool.begin());
    assert!(models.is_empty());
    append(&spool, "b");
    assert_eq!(read(&spool, end).0, ["b"]);
}
