//! What goes wrong, and how it is repaired.

use super::cluster::Cluster;
use super::control_plane::ControlPlane;
use super::disk::Trouble;
use super::host::{self, Loss};
use super::network::State;
use lychgate_types::secret::GatewayKeySecret;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// Kinds of faults; which of them happen in a run is drawn from its seed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    Network,
    Partition,
    ControlPlane,
    Shutdown,
    AllControlPlanes,
    Database,
    Killed,
    Power,
    Stopped,
    Disk,
    Rotation,
    WrongKey,
    Disabled,
    Deleted,
    Drain,
    Clock,
    Pruned,
}

pub(super) const ALL: [Fault; 17] = [
    Fault::Network,
    Fault::Partition,
    Fault::ControlPlane,
    Fault::Shutdown,
    Fault::AllControlPlanes,
    Fault::Database,
    Fault::Killed,
    Fault::Power,
    Fault::Stopped,
    Fault::Disk,
    Fault::Rotation,
    Fault::WrongKey,
    Fault::Disabled,
    Fault::Deleted,
    Fault::Drain,
    Fault::Clock,
    Fault::Pruned,
];

/// Makes something go wrong, and repairs it after a while.
pub(super) async fn inject(cluster: Arc<Cluster>, fault: Fault) {
    let rng = cluster.rng.clone();
    let host = rng.index(cluster.settings.replicas);
    let control_plane = rng.index(cluster.settings.control_planes);
    let while_ms = rng.pick(&[200, 2000, 8000, 30_000]);
    let lasts = rng.millis(10, while_ms);
    cluster.log(&format!(
        "{fault:?} for {lasts:?}: replica {host}, control_plane {control_plane}"
    ));
    match fault {
        Fault::Network => connection(&cluster, &[host], &[control_plane], lasts).await,
        Fault::Partition => {
            let all: Vec<_> = (0..cluster.settings.control_planes).collect();
            connection(&cluster, &[host], &all, lasts).await;
        }
        Fault::ControlPlane => control_planes(&cluster, &[control_plane], false, lasts).await,
        Fault::Shutdown => control_planes(&cluster, &[control_plane], true, lasts).await,
        Fault::AllControlPlanes => {
            let all: Vec<_> = (0..cluster.settings.control_planes).collect();
            control_planes(&cluster, &all, rng.percent(50), lasts).await;
        }
        Fault::Database => database(&cluster, lasts).await,
        Fault::Killed => process(&cluster, host, Loss::Process, lasts).await,
        Fault::Power => process(&cluster, host, Loss::Power, lasts).await,
        Fault::Stopped => {
            // Not to be cancelled half-way, since only the end of its process ends what then goes on.
            let ending = cluster.clone();
            drop(tokio::spawn(async move { host::stop(&ending, host).await }).await);
            sleep(lasts).await;
            host::start(&cluster, host);
        }
        Fault::Disk => disk(&cluster, host, lasts.min(Duration::from_secs(6))).await,
        Fault::Rotation => rotation(&cluster, host, lasts).await,
        Fault::WrongKey => wrong_key(&cluster, host, lasts).await,
        Fault::Disabled => disabled(&cluster, host, lasts).await,
        Fault::Deleted => deleted(&cluster, host),
        Fault::Drain => drain(&cluster, host, control_plane).await,
        Fault::Clock => {
            let most = rng.pick(&[500, 10_000, 7_200_000]);
            let micros = i64::try_from(rng.between(1, most)).unwrap() * 1000;
            cluster.model(host).clock_jumped = true;
            cluster.hosts[host]
                .wall
                .jump(if rng.percent(50) { micros } else { -micros });
        }
        Fault::Pruned => {
            let mut database = cluster.database();
            let last = usize::try_from(database.last()).unwrap();
            database.prune(last.saturating_sub(rng.index(2)));
        }
    }
}

async fn connection(cluster: &Cluster, hosts: &[usize], control_planes: &[usize], lasts: Duration) {
    let kind = cluster.rng.below(3);
    let connections = || {
        let all = hosts
            .iter()
            .flat_map(|host| control_planes.iter().map(move |control_plane| (*host, *control_plane)));
        all.map(|(host, control_plane)| &cluster.hosts[host].connections[control_plane])
    };
    let slow = cluster.rng.pick(&[300, 3000]);
    connections().for_each(|connection| match kind {
        0 => connection.set(State::Cut),
        1 => connection.set(State::Silent),
        _ => connection.slow_down(Some(slow)),
    });
    sleep(lasts).await;
    connections().for_each(|connection| match kind {
        0 | 1 => connection.set(State::Open),
        _ => connection.slow_down(None),
    });
}

async fn control_planes(cluster: &Arc<Cluster>, control_planes: &[usize], in_order: bool, lasts: Duration) {
    let ending: Vec<_> = control_planes
        .iter()
        .filter_map(|number| cluster.control_plane(*number))
        .collect();
    if in_order {
        ending.iter().for_each(|control_plane| control_plane.shut_down());
        sleep(cluster.rng.millis(1, 300)).await;
    }
    ending.iter().for_each(|control_plane| control_plane.kill());
    control_planes
        .iter()
        .for_each(|number| cluster.set_control_plane(*number, None));
    sleep(lasts).await;
    for number in control_planes {
        start_control_plane(cluster, *number);
    }
}

/// Starts a control plane, unless one runs.
pub(super) fn start_control_plane(cluster: &Arc<Cluster>, number: usize) {
    if cluster.control_plane(number).is_none() {
        cluster.set_control_plane(number, Some(ControlPlane::start(cluster)));
    }
}

async fn database(cluster: &Cluster, lasts: Duration) {
    let set = |is_down| {
        cluster.database().is_down = is_down;
        *cluster.database_changed.lock().unwrap() = Instant::now();
    };
    // A record that fails again and again while others are stored is set aside; that is not what is tested here.
    if cluster.database_changed.lock().unwrap().elapsed() < Duration::from_secs(10) {
        return;
    }
    set(true);
    sleep(lasts).await;
    set(false);
}

async fn process(cluster: &Arc<Cluster>, host: usize, loss: Loss, lasts: Duration) {
    host::lose(cluster, host, loss);
    sleep(lasts).await;
    host::start(cluster, host);
}

async fn disk(cluster: &Cluster, host: usize, lasts: Duration) {
    let place = &cluster.hosts[host];
    let set = |trouble| {
        place.disk.trouble(trouble);
        *place.disk_changed.lock().unwrap() = Some(Instant::now());
    };
    set(cluster.rng.pick(&[Trouble::Full, Trouble::Unsynced]));
    sleep(lasts).await;
    set(Trouble::None);
}

/// Rotates the key of a replica; the new secret is written into its file before the old one's grace period is over, or after it.
async fn rotation(cluster: &Cluster, host: usize, grace: Duration) {
    let key = cluster.hosts[host].key;
    let secret = GatewayKeySecret::generate(&cluster.ambient);
    cluster.database().rotate(key, secret.clone(), Instant::now() + grace);
    sleep(grace.mul_f64(f64::from(cluster.rng.pick(&[10, 50, 99, 150])) / 100.0)).await;
    write_key_files(cluster, key, &secret);
}

/// Writes a secret that no key has into a replica's file, and corrects it. A replica that runs goes on with the previous one.
async fn wrong_key(cluster: &Cluster, host: usize, lasts: Duration) {
    let place = &cluster.hosts[host];
    let wrong = GatewayKeySecret::generate(&cluster.ambient);
    cluster.log(&format!("replica {host} is given a wrong secret"));
    cluster.model(host).key_changed();
    place.key_file.send_replace(wrong);
    sleep(lasts).await;
    let right = cluster.database().secret(place.key);
    write_key_files(cluster, place.key, &right);
}

/// Writes a secret into the key files of all replicas that have this key.
pub(super) fn write_key_files(cluster: &Cluster, key: usize, secret: &GatewayKeySecret) {
    // Another rotation may have been faster.
    if cluster.database().secret(key).hash() != secret.hash() {
        return;
    }
    for (number, host) in cluster.hosts.iter().enumerate().filter(|(_, host)| host.key == key) {
        if host.key_file.borrow().hash() != secret.hash() {
            cluster.log(&format!("replica {number} is given another secret"));
            cluster.model(number).key_changed();
            host.key_file.send_replace(secret.clone());
        }
    }
}

async fn disabled(cluster: &Cluster, host: usize, lasts: Duration) {
    let key = cluster.hosts[host].key;
    cluster.database().change_key(key, |key| key.is_disabled = true);
    sleep(lasts).await;
    cluster.database().change_key(key, |key| key.is_disabled = false);
}

fn deleted(cluster: &Cluster, host: usize) {
    // One key must remain.
    let key = cluster.hosts[host].key;
    if key == 0 {
        return;
    }
    cluster.database().change_key(key, |key| key.is_deleted = true);
    let out = cluster.hosts.iter().filter(|host| host.key == key);
    out.for_each(|host| host.key_is_deleted.store(true, Ordering::Relaxed));
    if let Some(control_plane) = cluster.control_plane(0) {
        control_plane.attachments.close_key(cluster.database().keys[key].id);
    }
}

async fn drain(cluster: &Arc<Cluster>, host: usize, number: usize) {
    let (Some(replica), Some(control_plane)) = (cluster.replica(host), cluster.control_plane(number)) else {
        return;
    };
    let drained = control_plane.serve(async {
        cluster.look_up().await?;
        cluster.database().drain(replica.gateway().replica_id());
        control_plane.catch_up().await
    });
    drop(drained.await);
}

/// Repairs everything.
pub(super) fn repair(cluster: &Arc<Cluster>) {
    cluster.log("everything is put right");
    cluster.is_calm.store(true, Ordering::Relaxed);
    cluster.database().is_down = false;
    *cluster.database_changed.lock().unwrap() = Instant::now();
    for key in 0..cluster.settings.keys {
        let secret = {
            let mut database = cluster.database();
            if database.keys[key].is_disabled {
                database.change_key(key, |key| key.is_disabled = false);
            }
            database.secret(key)
        };
        write_key_files(cluster, key, &secret);
    }
    for number in 0..cluster.settings.control_planes {
        let shutting_down = |control_plane: &Arc<ControlPlane>| control_plane.is_shutting_down.load(Ordering::Relaxed);
        if let Some(control_plane) = cluster.control_plane(number).filter(shutting_down) {
            control_plane.kill();
            cluster.set_control_plane(number, None);
        }
        start_control_plane(cluster, number);
    }
    for (number, host) in cluster.hosts.iter().enumerate() {
        host.disk.trouble(Trouble::None);
        *host.disk_changed.lock().unwrap() = Some(Instant::now());
        for connection in &host.connections {
            connection.slow_down(None);
            connection.set(State::Open);
        }
        host::start(cluster, number);
    }
}
