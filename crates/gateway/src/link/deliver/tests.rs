//! Delivery against a control plane that takes, refuses and fails as it is told, and a clock that does not make anybody wait.

use super::*;
use crate::exchange::recorder::tests::a_record;
use crate::options::{Options, SpoolOptions};
use crate::spool::Spool;
use crate::spool::disk::SystemDisk;
use crate::upstream::Upstream;
use async_trait::async_trait;
use lychgate_link::{Attachment, Authorization, ControlLink, EncodedRecord, Heartbeat, Hello, Rejected};
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::secret::{SecretHash, SpoolKey};
use lychgate_types::{Ambient, ReplicaId};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio::task::JoinHandle;

/// Takes everything but what its marks say: `poison` makes it fail, `bad` is refused; and it can be wholly out of order.
#[derive(Debug, Default)]
struct Plane {
    out_of_order: AtomicBool,
    away: AtomicBool,
    cured: AtomicBool,
    /// The models of each batch asked for, and whether it was taken.
    batches: Mutex<Vec<(Vec<String>, bool)>>,
}

impl Plane {
    fn taken(&self) -> Vec<String> {
        let batches = self.batches.lock().unwrap();
        let taken = batches.iter().filter(|(_, taken)| *taken);
        taken.flat_map(|(models, _)| models.clone()).collect()
    }

    fn asked(&self, model: &str) -> usize {
        let batches = self.batches.lock().unwrap();
        batches.iter().filter(|(models, _)| models == &[model]).count()
    }
}

#[async_trait]
impl ControlLink for Plane {
    async fn attach(&self, _: Hello, _: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
        Err(LinkError::Unreachable(String::new()))
    }

    async fn authorize(&self, _: SecretHash) -> Result<Authorization, LinkError> {
        Err(LinkError::Unreachable(String::new()))
    }

    async fn deliver(&self, _: ReplicaId, records: Vec<EncodedRecord>) -> Result<Receipt, LinkError> {
        let decoded: Vec<_> = records.iter().map(|record| record.decode().unwrap()).collect();
        let models: Vec<_> = decoded.iter().map(|record| record.model.clone()).collect();
        let poisoned = !self.cured.load(Ordering::Relaxed) && models.iter().any(|model| model.starts_with("poison"));
        let fails = poisoned || self.out_of_order.load(Ordering::Relaxed);
        let away = self.away.load(Ordering::Relaxed);
        self.batches.lock().unwrap().push((models, !fails && !away));
        match (away, fails) {
            (true, _) => Err(LinkError::Unreachable(String::new())),
            (_, true) => Err(LinkError::Internal {
                request_id: String::new(),
            }),
            _ => Ok(Receipt {
                rejected: decoded
                    .iter()
                    .filter(|record| record.model == "bad")
                    .map(|record| Rejected {
                        id: record.id,
                        reason: "the test says so".into(),
                    })
                    .collect(),
            }),
        }
    }
}

struct Bench {
    plane: Arc<Plane>,
    core: Arc<Shared>,
    _directory: tempfile::TempDir,
    delivering: JoinHandle<()>,
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.delivering.abort();
    }
}

impl Bench {
    /// Delivery of these records, put in before it begins.
    fn start(plane: Plane, models: &[&str]) -> Self {
        let (plane, directory) = (Arc::new(plane), tempfile::tempdir().unwrap());
        let options = Options {
            spool: SpoolOptions::new(directory.path()),
            ..Options::new("test", "127.0.0.1:1", "0.0.0")
        };
        let ambient = Ambient::system();
        let spool = Spool::open(&options.spool, &ambient, Arc::new(SystemDisk)).unwrap();
        spool.set_key(&SpoolKey::from_bytes([1; 32]));
        let upstream = Upstream::new(&options).unwrap();
        let link: Arc<dyn ControlLink> = Arc::<Plane>::clone(&plane);
        let core = Arc::new(Shared::new(options, link, ambient, upstream, spool));
        core.attached.send_replace(true);
        let bench = Self {
            plane,
            delivering: tokio::spawn(run(Arc::clone(&core))),
            core,
            _directory: directory,
        };
        bench.put(models);
        bench
    }

    fn put(&self, models: &[&str]) {
        for model in models {
            let record = InterceptionRecord {
                model: (*model).to_owned(),
                ..a_record()
            };
            assert!(self.core.spool.reserve().unwrap().fill(record).is_none());
        }
    }

    /// Lets time pass until the condition holds.
    async fn until(&self, condition: impl Fn(&Self) -> bool) {
        let patience = Instant::now() + Duration::from_secs(3600);
        while !condition(self) {
            assert!(Instant::now() < patience, "it never came true: {:?}", self.plane);
            sleep(Duration::from_millis(10)).await;
        }
    }

    async fn empty(&self) {
        self.until(|bench| bench.core.spool.depth() == 0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn records_go_in_their_order_and_leave_the_spool() {
    let bench = Bench::start(Plane::default(), &["a", "b", "c"]);
    bench.empty().await;
    bench.put(&["d"]);
    bench.empty().await;
    assert_eq!(bench.plane.taken(), ["a", "b", "c", "d"]);
    assert_eq!(bench.core.spool.set_aside_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn what_the_control_plane_can_not_take_is_set_aside_at_once() {
    let bench = Bench::start(Plane::default(), &["a", "bad", "c"]);
    bench.empty().await;
    assert_eq!(bench.core.spool.set_aside_count(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_poison_record_is_passed_and_set_aside_after_some_tries_while_others_pass() {
    let bench = Bench::start(Plane::default(), &["a", "b", "poison", "c", "d"]);
    bench.until(|bench| bench.plane.taken() == ["a", "b", "c", "d"]).await;
    // Nobody passes it any more: it is tried, ever more rarely, but not judged by that.
    sleep(Duration::from_secs(600)).await;
    let tries = bench.plane.asked("poison");
    assert!((10..=120).contains(&tries), "{tries}");
    assert_eq!(
        (bench.core.spool.set_aside_count(), bench.core.spool.depth() > 0),
        (0, true)
    );
    for _ in 0..10 {
        bench.put(&["x"]);
        sleep(Duration::from_secs(10)).await;
    }
    let judged_by = bench.plane.asked("poison") - tries;
    assert!((1..TRIES as usize + 10).contains(&judged_by), "{judged_by}");
    assert_eq!((bench.core.spool.set_aside_count(), bench.core.spool.depth()), (1, 0));
    assert_eq!(bench.plane.taken().len(), 14);
}

#[tokio::test(start_paused = true)]
async fn several_poison_records_are_each_found() {
    let models = ["poison 1", "poison 2", "a", "poison 3", "b", "c", "poison 4"];
    let bench = Bench::start(Plane::default(), &models);
    while bench.core.spool.depth() > 0 {
        sleep(Duration::from_secs(10)).await;
        bench.put(&["x"]);
        bench
            .until(|bench| bench.plane.taken().iter().filter(|model| *model == "x").count() > 0)
            .await;
        if bench.core.spool.set_aside_count() == 4 {
            bench.empty().await;
        }
    }
    assert_eq!(bench.core.spool.set_aside_count(), 4);
    assert_eq!(bench.plane.taken()[..3], ["a", "b", "c"]);
}

#[tokio::test(start_paused = true)]
async fn a_suspect_that_is_taken_after_all_is_no_longer_one() {
    let bench = Bench::start(Plane::default(), &["poison", "a"]);
    bench.until(|bench| bench.plane.taken() == ["a"]).await;
    bench.plane.cured.store(true, Ordering::Relaxed);
    bench.empty().await;
    assert_eq!(
        (bench.plane.taken(), bench.core.spool.set_aside_count()),
        (vec!["a".into(), "poison".into()], 0)
    );
}

#[tokio::test(start_paused = true)]
async fn a_control_plane_that_fails_at_everything_is_itself_to_blame() {
    let plane = Plane::default();
    plane.out_of_order.store(true, Ordering::Relaxed);
    let models: Vec<_> = (0..40).map(|number| number.to_string()).collect();
    let models: Vec<_> = models.iter().map(String::as_str).collect();
    let bench = Bench::start(plane, &models);
    sleep(Duration::from_secs(3000)).await;
    assert_eq!((bench.core.spool.set_aside_count(), bench.core.spool.depth()), (0, 40));
    bench.plane.out_of_order.store(false, Ordering::Relaxed);
    bench.empty().await;
    let mut taken = bench.plane.taken();
    taken.sort_by_key(|model| model.parse::<u32>().unwrap());
    taken.dedup();
    assert_eq!(taken, models);
    assert_eq!(bench.core.spool.set_aside_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_last_record_before_a_failure_does_not_wait_for_another() {
    let plane = Plane::default();
    plane.out_of_order.store(true, Ordering::Relaxed);
    let bench = Bench::start(plane, &["a", "b"]);
    sleep(Duration::from_secs(100)).await;
    assert_eq!(bench.core.spool.depth(), 2);
    bench.plane.out_of_order.store(false, Ordering::Relaxed);
    sleep(Duration::from_secs(40)).await;
    assert_eq!((bench.core.spool.depth(), bench.plane.taken().len()), (0, 2));
    assert_eq!(bench.core.spool.set_aside_count(), 0);
}

#[tokio::test(start_paused = true)]
async fn while_the_control_plane_is_away_everything_waits() {
    let plane = Plane::default();
    plane.away.store(true, Ordering::Relaxed);
    let bench = Bench::start(plane, &["a", "b"]);
    sleep(Duration::from_secs(600)).await;
    bench.put(&["c"]);
    bench.plane.away.store(false, Ordering::Relaxed);
    bench.empty().await;
    assert_eq!(bench.plane.taken(), ["a", "b", "c"]);
}
