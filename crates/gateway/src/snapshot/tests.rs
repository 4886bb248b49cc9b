//! The snapshot is read with the same secret, as long as it is recent enough.

use super::cache::FILE_NAME;
use super::*;
use crate::auth::leases::PersistedLease;
use lychgate_link::Configuration;
use lychgate_types::clock::Clock;
use lychgate_types::random::SystemRandom;
use lychgate_types::secret::{GatewayKeySecret, SecretHash, SpoolKey, SpoolKeys};
use lychgate_types::{Ambient, GatewayKeyId, Holder, Timestamp};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;
use tokio::sync::watch;

#[derive(Debug)]
struct FakeClock(AtomicI64);

impl Clock for FakeClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::Relaxed))
    }
}

const HOUR: i64 = 3_600_000_000;
const MAX_OFFLINE: Duration = Duration::from_secs(900);

fn snapshot() -> Snapshot {
    Snapshot {
        attached_at: Timestamp::from_micros(HOUR),
        applied: 7,
        configuration: Arc::new(Configuration {
            version: 3,
            capture_content: true,
            providers: Vec::new(),
            routes: Vec::new(),
        }),
        spool_keys: SpoolKeys {
            gateway_key: Some(GatewayKeyId::from_uuid(uuid::Uuid::from_u128(9))),
            own: SpoolKey::from_bytes([5; 32]),
            replaced: vec![SpoolKey::from_bytes([6; 32])],
        },
        leases: [true, false]
            .map(|may_send_requests| PersistedLease {
                token: SecretHash::from_bytes([may_send_requests.into(); 32]),
                allowed: may_send_requests.then_some(Holder::from_number(7)),
                until: Timestamp::from_micros(2 * HOUR),
            })
            .to_vec(),
    }
}

fn cache_in(directory: &Path, key: &GatewayKeySecret) -> SnapshotCache {
    let start = OfflineStart {
        key: watch::channel(key.clone()).1,
    };
    SnapshotCache::new(directory, Some(start))
}

#[test]
fn it_is_read_with_the_same_secret_while_it_is_recent() {
    let directory = tempfile::tempdir().unwrap();
    let clock = Arc::new(FakeClock(AtomicI64::new(HOUR)));
    let ambient = Ambient::new(Arc::<FakeClock>::clone(&clock), Arc::new(SystemRandom));
    let key = GatewayKeySecret::generate(&ambient);
    let cache = cache_in(directory.path(), &key);
    assert!(cache.load(&ambient, MAX_OFFLINE).is_none(), "there is none yet");
    file::write(&cache.path, &snapshot(), &key, &ambient).unwrap();
    for (minutes, passed) in [(0, Some(0)), (14, Some(14)), (15, None), (-1, None)] {
        clock.0.store(HOUR + minutes * 60_000_000, Ordering::Relaxed);
        let loaded = cache.load(&ambient, MAX_OFFLINE);
        let expected = passed.map(|minutes| (snapshot(), Duration::from_secs(minutes * 60)));
        assert_eq!(loaded, expected, "{minutes}");
    }
    clock.0.store(HOUR, Ordering::Relaxed);
    let other = GatewayKeySecret::generate(&ambient);
    assert!(cache_in(directory.path(), &other).load(&ambient, MAX_OFFLINE).is_none());
    let error = file::read(&cache.path, &other).unwrap_err().to_string();
    assert!(error.contains("another gateway key"), "{error}");
    cache.discard();
    assert!(cache.load(&ambient, MAX_OFFLINE).is_none());
    assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn damage_is_detected_and_nothing_is_in_plaintext() {
    use std::os::unix::fs::PermissionsExt;
    let directory = tempfile::tempdir().unwrap();
    let ambient = Ambient::system();
    let key = GatewayKeySecret::generate(&ambient);
    let path = directory.path().join(FILE_NAME);
    file::write(&path, &snapshot(), &key, &ambient).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    let whole = std::fs::read(&path).unwrap();
    assert!(!whole.windows(8).any(|bytes| bytes == [5; 8]), "the spool key");
    for at in 0..whole.len() {
        let mut damaged = whole.clone();
        damaged[at] ^= 1;
        std::fs::write(&path, &damaged).unwrap();
        assert!(file::read(&path, &key).is_err(), "at {at}");
        std::fs::write(&path, &whole[..at]).unwrap();
        assert!(file::read(&path, &key).is_err(), "cut at {at}");
    }
}

#[test]
fn bytes_of_another_shape_are_rejected() {
    let bytes = snapshot().encode();
    assert_eq!(Snapshot::decode(&bytes), Some(snapshot()));
    for cut in 0..bytes.len() {
        let decoded = Snapshot::decode(&bytes[..cut]);
        assert!(decoded.is_none_or(|decoded| decoded.leases.len() < 2), "cut at {cut}");
    }
    let mut newer = bytes.to_vec();
    newer[0] += 1;
    assert_eq!(Snapshot::decode(&newer), None);
}

#[test]
fn what_another_version_has_written_is_not_read() {
    let bytes = snapshot().encode();
    assert_eq!(Snapshot::decode(&bytes), Some(snapshot()));
    for version in [0, 3, 5] {
        assert_eq!(Snapshot::decode(&[&[version], &bytes[1..]].concat()), None, "{version}");
    }
    // Leases of another length.
    for cut in 1..50 {
        assert_eq!(
            Snapshot::decode(&bytes[..bytes.len() - cut]).is_some(),
            cut == 49,
            "{cut}"
        );
    }
    assert_eq!(Snapshot::decode(&[&bytes[..], &[0]].concat()), None);
}
