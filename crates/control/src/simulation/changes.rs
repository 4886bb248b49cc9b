//! What people change by the API of one control plane, and when they are told that it is done.

use super::plane::Plane;
use super::world::World;
use lychgate_link::LinkError;
use std::sync::Arc;

/// Tells all control planes that there is something new, or fails to.
fn announce(world: &Arc<World>) {
    for number in 0..world.settings.planes {
        let Some(plane) = world.plane(number) else { continue };
        if world.dice.percent(80) {
            let world = world.clone();
            tokio::spawn(async move {
                world.answer().await;
                plane.feed.bell.notify_one();
            });
        }
    }
}

async fn revoked(world: &Arc<World>, plane: &Plane, tokens: &[usize]) {
    tokens.iter().for_each(|token| world.tokens().spoil(*token));
    announce(world);
    let hashes: Vec<_> = {
        let database = world.database();
        tokens.iter().map(|token| database.tokens[*token].hash).collect()
    };
    plane.tokens_revoked(&hashes).await;
}

fn acknowledged(world: &World, tokens: &[usize]) {
    world.log(&format!("the revocation of {tokens:?} is acknowledged"));
    tokens.iter().for_each(|token| world.tokens().acknowledge(*token));
}

pub(super) async fn revoke(world: Arc<World>, plane: usize, token: usize) {
    let Some(plane) = world.plane(plane) else { return };
    let done = plane.serve(async {
        world.look_up().await?;
        if world.database().tokens[token].revoked_at.is_some() {
            return Err(gone());
        }
        world.log(&format!("token {token} is revoked"));
        world.database().revoke(token, world.ambient.now());
        revoked(&world, &plane, &[token]).await;
        Ok(())
    });
    if done.await.is_ok() {
        acknowledged(&world, &[token]);
    }
}

/// Suspends whose token this is, or activates them again.
pub(super) async fn suspend(world: Arc<World>, plane: usize, token: usize) {
    let Some(plane) = world.plane(plane) else { return };
    let done = plane.serve(async {
        world.look_up().await?;
        let user = world.database().tokens[token].user;
        if !world.database().users[user].1 {
            world.log(&format!("user {user} is suspended"));
            let tokens = world.database().suspend(user);
            revoked(&world, &plane, &tokens).await;
            return Ok(tokens);
        }
        world.log(&format!("user {user} is activated"));
        let mut database = world.database();
        database.users[user].1 = false;
        for number in (0..world.settings.tokens).filter(|number| database.tokens[*number].user == user) {
            if database.is_good(number) {
                world.tokens().mend(number);
            }
        }
        Ok(Vec::new())
    });
    if let Ok(tokens) = done.await {
        acknowledged(&world, &tokens);
    }
}

pub(super) async fn configure(world: Arc<World>, plane: usize) {
    let Some(plane) = world.plane(plane) else { return };
    let done = plane.serve(async {
        world.look_up().await?;
        world.log("the configuration is changed");
        world.database().configure();
        announce(&world);
        plane.configuration_changed().await
    });
    drop(done.await);
}

fn gone() -> LinkError {
    LinkError::Unreachable(String::new())
}
