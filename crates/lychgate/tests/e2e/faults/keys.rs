//! What an operator does to gateway keys while their replicas use them.

use super::act::recover;
use super::log::{Kind, Troubles};
use super::plan::key_of;
use super::world::World;
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::sleep;

/// The name of a key that was replaced so often.
pub(super) fn key_name(key: usize, replaced: usize) -> String {
    format!("key-{key}-{replaced}")
}

/// It gets a new secret, which its replicas find in their files.
pub(super) async fn rotate(world: &World, key: usize, by: usize, grace_seconds: u32) {
    let turn = world.key_turns[key].lock().await;
    let troubles = begin(world, key);
    let path = format!("ai-gateway/keys/{}/rotate", key_name(key, *turn));
    // By force, since the secret before the present one may be in its grace period.
    let wanted = json!({"grace_seconds": grace_seconds, "force": true});
    let rotated = world.must(by, "POST", &path, wanted).await;
    hand_over(world, key, &rotated).await;
    drop(turn);
    recover(world, &troubles, Duration::ZERO).await;
}

/// Another key takes its place: it is deleted once its replicas have the other's secret.
pub(super) async fn replace(world: &World, key: usize, by: usize) {
    let mut turn = world.key_turns[key].lock().await;
    let troubles = begin(world, key);
    let (old, new) = (key_name(key, *turn), key_name(key, *turn + 1));
    *turn += 1;
    let made = world
        .must(by, "POST", "ai-gateway/keys", json!({"name": new, "replaces": old}))
        .await;
    hand_over(world, key, &made).await;
    let path = format!("ai-gateway/keys/{old}");
    let (status, answer) = world.insist(by, "DELETE", &path, &Value::Null).await;
    // An earlier attempt may have done it, and its answer been lost.
    assert!((200..300).contains(&status) || status == 404, "{status} {answer}");
    drop(turn);
    recover(world, &troubles, Duration::ZERO).await;
}

/// It is disabled, and enabled again.
pub(super) async fn disable(world: &World, key: usize, by: usize, lasts: Duration) {
    let turn = world.key_turns[key].lock().await;
    let troubles = begin(world, key);
    let path = format!("ai-gateway/keys/{}", key_name(key, *turn));
    for disabled in [true, false] {
        world.must(by, "PATCH", &path, json!({"disabled": disabled})).await;
        sleep(if disabled { lasts } else { Duration::ZERO }).await;
    }
    drop(turn);
    recover(world, &troubles, Duration::ZERO).await;
}

fn begin(world: &World, key: usize) -> Troubles {
    world.log.begins(Kind::Key, replicas_of(world, key))
}

/// Gives the secret that an answer shows to the key's replicas, and waits until they have it.
async fn hand_over(world: &World, key: usize, answer: &Value) {
    let secret = answer["key"].as_str().expect("a secret");
    world.write_key(key, secret);
    // A replica that is ready may be so by the secret of before, and be refused a moment later.
    let replicas = replicas_of(world, key).into_iter();
    join_all(replicas.map(|replica| world.took_key(replica, secret))).await;
}

fn replicas_of(world: &World, key: usize) -> Vec<usize> {
    world.everybody().filter(|replica| key_of(*replica) == key).collect()
}
