//! Changes that people make through one control plane's API, and when those are acknowledged.

use super::cluster::Cluster;
use super::control_plane::ControlPlane;
use lychgate_link::LinkError;
use std::sync::Arc;

/// Notifies all control planes of a change; some notifications get lost.
fn announce(cluster: &Arc<Cluster>) {
    for number in 0..cluster.settings.control_planes {
        let Some(control_plane) = cluster.control_plane(number) else {
            continue;
        };
        if cluster.rng.percent(80) {
            let cluster = cluster.clone();
            tokio::spawn(async move {
                cluster.answer().await;
                control_plane.feed.bell.notify_one();
            });
        }
    }
}

async fn revoked(cluster: &Arc<Cluster>, control_plane: &ControlPlane, tokens: &[usize]) {
    tokens.iter().for_each(|token| cluster.tokens().invalidate(*token));
    announce(cluster);
    let hashes: Vec<_> = {
        let database = cluster.database();
        tokens.iter().map(|token| database.tokens[*token].hash).collect()
    };
    control_plane.tokens_revoked(&hashes).await;
}

fn acknowledged(cluster: &Cluster, tokens: &[usize]) {
    cluster.log(&format!("the revocation of {tokens:?} is acknowledged"));
    tokens.iter().for_each(|token| cluster.tokens().acknowledge(*token));
}

pub(super) async fn revoke(cluster: Arc<Cluster>, control_plane: usize, token: usize) {
    let Some(control_plane) = cluster.control_plane(control_plane) else {
        return;
    };
    let done = control_plane.serve(async {
        cluster.look_up().await?;
        if cluster.database().tokens[token].revoked_at.is_some() {
            return Err(already_revoked());
        }
        cluster.log(&format!("token {token} is revoked"));
        cluster.database().revoke(token, cluster.ambient.now());
        revoked(&cluster, &control_plane, &[token]).await;
        Ok(())
    });
    if done.await.is_ok() {
        acknowledged(&cluster, &[token]);
    }
}

/// Suspends the user of this token, or activates them again.
pub(super) async fn suspend(cluster: Arc<Cluster>, control_plane: usize, token: usize) {
    let Some(control_plane) = cluster.control_plane(control_plane) else {
        return;
    };
    let done = control_plane.serve(async {
        cluster.look_up().await?;
        let user = cluster.database().tokens[token].user;
        if !cluster.database().users[user].1 {
            cluster.log(&format!("user {user} is suspended"));
            let tokens = cluster.database().suspend(user);
            revoked(&cluster, &control_plane, &tokens).await;
            return Ok(tokens);
        }
        cluster.log(&format!("user {user} is activated"));
        let mut database = cluster.database();
        database.users[user].1 = false;
        for number in (0..cluster.settings.tokens).filter(|number| database.tokens[*number].user == user) {
            if database.is_good(number) {
                cluster.tokens().restore(number);
            }
        }
        Ok(Vec::new())
    });
    if let Ok(tokens) = done.await {
        acknowledged(&cluster, &tokens);
    }
}

pub(super) async fn configure(cluster: Arc<Cluster>, control_plane: usize) {
    let Some(control_plane) = cluster.control_plane(control_plane) else {
        return;
    };
    let done = control_plane.serve(async {
        cluster.look_up().await?;
        cluster.log("the configuration is changed");
        cluster.database().configure();
        announce(&cluster);
        control_plane.configuration_changed().await
    });
    drop(done.await);
}

fn already_revoked() -> LinkError {
    LinkError::Unreachable(String::new())
}
