//! Delivery to a control plane that accepts, rejects and fails as told, under paused time.

use super::*;
use crate::options::Options;
use crate::spool::Spool;
use crate::spool::SpoolOptions;
use crate::spool::disk::SystemDisk;
use crate::testing::record;
use crate::upstream::Upstream;
use async_trait::async_trait;
use lychgate_link::{Attachment, Authorization, ControlLink, EncodedRecord, Heartbeat, Hello, Rejected};
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::secret::{SecretHash, SpoolKey};
use lychgate_types::{Ambient, Holder, InterceptionId, ReplicaId, StoredObject};
use std::collections::HashSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinHandle;

/// Accepts every record except by model: it fails at `poison…` and rejects `bad`, and ends of what it has not accepted. It can also fail at everything, or be away.
#[derive(Debug, Default)]
struct ControlPlane {
    failing: AtomicBool,
    away: AtomicBool,
    cured: AtomicBool,
    known: Mutex<HashSet<InterceptionId>>,
    /// The models in each batch, and whether it was accepted.
    batches: Mutex<Vec<(Vec<String>, bool)>>,
}

impl ControlPlane {
    fn accepted(&self) -> Vec<String> {
        let batches = self.batches.lock().unwrap();
        let accepted = batches.iter().filter(|(_, accepted)| *accepted);
        accepted.flat_map(|(models, _)| models.clone()).collect()
    }

    fn tries(&self, model: &str) -> usize {
        let batches = self.batches.lock().unwrap();
        batches.iter().filter(|(models, _)| models == &[model]).count()
    }
}

#[async_trait]
impl ControlLink for ControlPlane {
    async fn attach(&self, _: Hello, _: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
        Err(LinkError::Unreachable(String::new()))
    }

    async fn authorize(&self, _: SecretHash) -> Result<Authorization, LinkError> {
        Err(LinkError::Unreachable(String::new()))
    }

    async fn owns(&self, _: SecretHash, _: &[String]) -> Result<Vec<StoredObject>, LinkError> {
        Ok(Vec::new())
    }

    async fn deliver(&self, _: ReplicaId, records: Vec<EncodedRecord>) -> Result<Receipt, LinkError> {
        let decoded: Vec<_> = records.iter().map(|record| record.decode().unwrap()).collect();
        let models: Vec<_> = decoded.iter().map(|record| record.model.clone()).collect();
        let poisoned = !self.cured.load(Ordering::Relaxed) && models.iter().any(|model| model.starts_with("poison"));
        let fails = poisoned || self.failing.load(Ordering::Relaxed);
        let away = self.away.load(Ordering::Relaxed);
        let mut known = self.known.lock().unwrap();
        if !fails && !away {
            let begun = decoded
                .iter()
                .filter(|record| !record.completes && record.model != "bad");
            known.extend(begun.map(|record| record.id));
        }
        self.batches.lock().unwrap().push((models, !fails && !away));
        match (away, fails) {
            (true, _) => Err(LinkError::Unreachable(String::new())),
            (_, true) => Err(LinkError::Internal {
                request_id: String::new(),
            }),
            _ => Ok(Receipt {
                rejected: decoded
                    .iter()
                    .filter(|record| record.model == "bad" || (record.completes && !known.contains(&record.id)))
                    .map(|record| Rejected {
                        id: record.id,
                        reason: "rejected by the test".into(),
                    })
                    .collect(),
            }),
        }
    }
}

struct Fixture {
    control_plane: Arc<ControlPlane>,
    shared: Arc<Shared>,
    directory: tempfile::TempDir,
    delivery: JoinHandle<()>,
}

impl Drop for Fixture {
    fn drop(&mut self) {
        self.delivery.abort();
    }
}

impl Fixture {
    /// Starts delivery, with these records in the spool.
    fn start(control_plane: ControlPlane, models: &[&str]) -> Self {
        let (control_plane, directory) = (Arc::new(control_plane), tempfile::tempdir().unwrap());
        let options = Options {
            spool: SpoolOptions::new(directory.path()),
            ..Options::new("test", "127.0.0.1:1", "0.0.0")
        };
        let ambient = Ambient::system();
        let spool = Spool::open(&options.spool, &ambient, Arc::new(SystemDisk)).unwrap();
        spool.set_keys(&SpoolKey::from_bytes([1; 32]).into());
        let upstream = Upstream::new(&options.provider_cas, options.proxy.clone()).unwrap();
        let link: Arc<dyn ControlLink> = Arc::<ControlPlane>::clone(&control_plane);
        let shared = Arc::new(Shared::new(options, link, ambient, upstream, spool));
        shared.attached.send_replace(true);
        let fixture = Self {
            control_plane,
            delivery: tokio::spawn(run(Arc::clone(&shared))),
            shared,
            directory,
        };
        fixture.append(models);
        fixture
    }

    fn append(&self, models: &[&str]) {
        for model in models {
            let record = InterceptionRecord {
                model: (*model).to_owned(),
                ..record()
            };
            assert!(
                self.shared
                    .spool
                    .reserve(Holder::default())
                    .unwrap()
                    .fill(record)
                    .is_none()
            );
        }
    }

    /// The names of what is set aside, which say where it stood, in order.
    fn set_aside(&self) -> Vec<String> {
        let directory = self.directory.path().join("set-aside");
        let names = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap());
        let mut names: Vec<_> = names.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort_by_key(|name| (name.len(), name.clone()));
        names
    }

    /// An interception and its end.
    fn append_both(&self, begun: &str, end: &str) {
        let begun = InterceptionRecord {
            model: begun.to_owned(),
            ..record()
        };
        let end = InterceptionRecord {
            model: end.to_owned(),
            completes: true,
            ..begun.clone()
        };
        for record in [begun, end] {
            assert!(
                self.shared
                    .spool
                    .reserve(Holder::default())
                    .unwrap()
                    .fill(record)
                    .is_none()
            );
        }
    }

    /// Lets time pass until the condition holds.
    async fn until(&self, condition: impl Fn(&Self) -> bool) {
        let deadline = Instant::now() + Duration::from_secs(3600);
        while !condition(self) {
            assert!(
                Instant::now() < deadline,
                "it never came true: {:?}",
                self.control_plane
            );
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn until_empty(&self) {
        self.until(|fixture| fixture.shared.spool.depth() == 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn records_are_delivered_in_order_and_leave_the_spool() {
    let fixture = Fixture::start(ControlPlane::default(), &["a", "b", "c"]);
    fixture.until_empty().await;
    fixture.append(&["d"]);
    fixture.until_empty().await;
    assert_eq!(fixture.control_plane.accepted(), ["a", "b", "c", "d"]);
    assert_eq!(fixture.shared.spool.set_aside_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_control_plane_rejects_is_set_aside_at_once() {
    let fixture = Fixture::start(ControlPlane::default(), &["a", "bad", "c"]);
    fixture.until_empty().await;
    assert_eq!(fixture.shared.spool.set_aside_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_poison_record_is_overtaken_and_set_aside_after_some_tries() {
    let fixture = Fixture::start(ControlPlane::default(), &["a", "b", "poison", "c", "d"]);
    fixture
        .until(|fixture| fixture.control_plane.accepted() == ["a", "b", "c", "d"])
        .await;
    // Nothing overtakes it any more: it is tried less and less often, and these tries do not count.
    sleep(Duration::from_secs(600)).await;
    let tries = fixture.control_plane.tries("poison");
    assert!((10..=120).contains(&tries), "{tries}");
    assert_eq!(
        (fixture.shared.spool.set_aside_count(), fixture.shared.spool.depth() > 0),
        (0, true)
    );
    for _ in 0..10 {
        fixture.append(&["x"]);
        sleep(Duration::from_secs(10)).await;
    }
    let counted = fixture.control_plane.tries("poison") - tries;
    assert!((1..suspects::MAX_TRIES as usize + 10).contains(&counted), "{counted}");
    assert_eq!(
        (fixture.shared.spool.set_aside_count(), fixture.shared.spool.depth()),
        (1, 0)
    );
    assert_eq!(fixture.control_plane.accepted().len(), 14);
}

#[tokio::test(start_paused = true)]
async fn several_poison_records_are_each_found() {
    let models = ["poison 1", "poison 2", "a", "poison 3", "b", "c", "poison 4"];
    let fixture = Fixture::start(ControlPlane::default(), &models);
    while fixture.shared.spool.depth() > 0 {
        sleep(Duration::from_secs(10)).await;
        fixture.append(&["x"]);
        fixture
            .until(|fixture| {
                fixture
                    .control_plane
                    .accepted()
                    .iter()
                    .filter(|model| *model == "x")
                    .count()
                    > 0
            })
            .await;
        if fixture.shared.spool.set_aside_count() == 4 {
            fixture.until_empty().await;
        }
    }
    assert_eq!(fixture.shared.spool.set_aside_count(), 4);
    assert_eq!(fixture.control_plane.accepted()[..3], ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_is_accepted_after_all_is_no_longer_one() {
    let fixture = Fixture::start(ControlPlane::default(), &["poison", "a"]);
    fixture.until(|fixture| fixture.control_plane.accepted() == ["a"]).await;
    fixture.control_plane.cured.store(true, Ordering::Relaxed);
    fixture.until_empty().await;
    assert_eq!(
        (fixture.control_plane.accepted(), fixture.shared.spool.set_aside_count()),
        (vec!["a".into(), "poison".into()], 0)
    );
}

#[tokio::test(start_paused = true)]
async fn if_the_control_plane_fails_at_everything_no_record_is_blamed() {
    let control_plane = ControlPlane::default();
    control_plane.failing.store(true, Ordering::Relaxed);
    let models: Vec<_> = (0..40).map(|number| number.to_string()).collect();
    let models: Vec<_> = models.iter().map(String::as_str).collect();
    let fixture = Fixture::start(control_plane, &models);
    sleep(Duration::from_secs(3000)).await;
    assert_eq!(
        (fixture.shared.spool.set_aside_count(), fixture.shared.spool.depth()),
        (0, 40)
    );
    fixture.control_plane.failing.store(false, Ordering::Relaxed);
    fixture.until_empty().await;
    let mut accepted = fixture.control_plane.accepted();
    accepted.sort_by_key(|model| model.parse::<u32>().unwrap());
    accepted.dedup();
    assert_eq!(accepted, models);
    assert_eq!(fixture.shared.spool.set_aside_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_last_record_before_a_failure_does_not_wait_for_another() {
    let control_plane = ControlPlane::default();
    control_plane.failing.store(true, Ordering::Relaxed);
    let fixture = Fixture::start(control_plane, &["a", "b"]);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(fixture.shared.spool.depth(), 2);
    fixture.control_plane.failing.store(false, Ordering::Relaxed);
    sleep(Duration::from_secs(40)).await;
    assert_eq!(
        (fixture.shared.spool.depth(), fixture.control_plane.accepted().len()),
        (0, 2)
    );
    assert_eq!(fixture.shared.spool.set_aside_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn while_the_control_plane_is_away_everything_waits() {
    let control_plane = ControlPlane::default();
    control_plane.away.store(true, Ordering::Relaxed);
    let fixture = Fixture::start(control_plane, &["a", "b"]);
    sleep(Duration::from_secs(600)).await;
    fixture.append(&["c"]);
    fixture.control_plane.away.store(false, Ordering::Relaxed);
    fixture.until_empty().await;
    assert_eq!(fixture.control_plane.accepted(), ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn of_an_interception_and_its_end_the_one_that_is_rejected_is_set_aside() {
    let mut pieces = Vec::new();
    for (begun, end) in [("abc", "bad"), ("bad", "abc")] {
        let fixture = Fixture::start(ControlPlane::default(), &[]);
        fixture.append_both(begun, end);
        fixture.until_empty().await;
        pieces.push(fixture.set_aside());
    }
    let [end, both] = &pieces[..] else { panic!("{pieces:?}") };
    assert_eq!((end.len(), both.len()), (1, 2));
    assert_eq!(end[0], both[1], "where the end stood: {pieces:?}");
}

#[tokio::test(start_paused = true)]
async fn an_end_does_not_overtake_its_interception() {
    let fixture = Fixture::start(ControlPlane::default(), &[]);
    fixture.append_both("poison", "end");
    fixture.append(&["a"]);
    fixture
        .until(|fixture| fixture.control_plane.accepted().contains(&"a".to_owned()))
        .await;
    fixture.control_plane.cured.store(true, Ordering::Relaxed);
    fixture.until_empty().await;
    assert_eq!(fixture.shared.spool.set_aside_count(), 0);
    assert_eq!(fixture.control_plane.accepted().last(), Some(&"end".to_owned()));
}
