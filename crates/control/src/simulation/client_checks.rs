//! What must hold for the link client itself: a call does not fail while a control plane can be reached that accepts a gateway key
//! which the client knows.

use super::cluster::Cluster;
use lychgate_link::LinkError;
use lychgate_types::KeyRefusal;
use lychgate_types::secret::SecretHash;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::time::Instant;

/// How long a control plane may take until it knows of another state of a key.
const KEY_LEARNT: Duration = Duration::from_secs(2);
/// How long the client may avoid a control plane that failed.
const BACKOFF: Duration = Duration::from_secs(3);
/// A network and a database this fast, in milliseconds, never make an attempt time out.
const FAST: (u64, u64) = (20, 8);

/// The key of the last call that was answered.
#[derive(Debug, Clone, Default)]
pub(super) struct LastAccepted(Arc<Mutex<Option<SecretHash>>>);

impl LastAccepted {
    pub(super) fn set(&self, key: SecretHash) {
        *self.0.lock().unwrap() = Some(key);
    }
}

/// A call that has begun.
pub(super) struct Call {
    begun: Instant,
    keys: Vec<SecretHash>,
}

impl Call {
    /// A call of a process that has this key file and had this key accepted before.
    pub(super) fn begin(cluster: &Cluster, host: usize, accepted: &LastAccepted) -> Self {
        let newest = cluster.hosts[host].key_file.borrow().hash();
        Self {
            begun: Instant::now(),
            keys: accepted.0.lock().unwrap().into_iter().chain([newest]).collect(),
        }
    }

    /// What is wrong with an error that it ended with.
    pub(super) fn check(&self, cluster: &Cluster, host: usize, error: &LinkError) -> Result<(), &'static str> {
        match error {
            LinkError::Unreachable(_) if self.could_reach(cluster, host) => {
                Err("a control plane was reachable all the time")
            }
            LinkError::Refused(refusal) if refusal.reason.is_about_the_key() && self.had_a_valid_key(cluster) => {
                Err("a known key was valid all the time")
            }
            LinkError::Refused(refusal) if refusal.reason == KeyRefusal::Other => Err("the reason is unknown"),
            _ => Ok(()),
        }
    }

    fn could_reach(&self, cluster: &Cluster, host: usize) -> bool {
        let settings = &cluster.settings;
        let is_certain = settings.lost_answers == 0 && (settings.link_ms, settings.database_ms) <= FAST;
        let is_reachable = |control_plane| {
            // One that shuts down tells its replicas to go elsewhere.
            let running = cluster.control_plane(control_plane);
            let stays = running.is_some_and(|it| !it.is_shutting_down.load(Ordering::Relaxed));
            let since = cluster.reachable_since(host, control_plane);
            stays && since.is_some_and(|since| since + BACKOFF < self.begun)
        };
        is_certain && (0..settings.control_planes).any(is_reachable)
    }

    fn had_a_valid_key(&self, cluster: &Cluster) -> bool {
        let database = cluster.database();
        let is_valid = |key: &SecretHash| {
            let since = database.valid_since(key);
            since.is_some_and(|since| since + KEY_LEARNT < self.begun)
        };
        self.keys.iter().any(is_valid)
    }
}
