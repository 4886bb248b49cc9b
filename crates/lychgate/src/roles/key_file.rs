//! Follows the gateway key's file while the replica runs, so that a rotated key needs no restart.
//!
//! Not here: what is done with a new key (crate `link`, which keeps using the old one until the new one is accepted).

use super::gateway::parse_key;
use crate::config::{others_have_access, read_secret};
use lychgate_types::secret::GatewayKeySecret;
use std::path::PathBuf;
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::MissedTickBehavior;

/// The file is one line long and often a mounted secret, for which there are no file notifications, so it is polled.
const EVERY: Duration = Duration::from_secs(1);

/// Keeps `key` at what the file holds, for ever. A file that holds no key (it may be half written) changes nothing.
pub(crate) async fn follow(path: PathBuf, key: watch::Sender<GatewayKeySecret>) {
    let mut look = tokio::time::interval(EVERY);
    look.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reported = None;
    if others_have_access(&path) {
        // Not refused: secrets that an orchestrator mounts often are readable by all who are in the container.
        tracing::warn!(path = %path.display(), "other users can read or change the key file: run `chmod 600` on it");
    }
    loop {
        look.tick().await;
        match read(path.clone()).await {
            Ok(read) => {
                reported = None;
                let is_new = |known: &GatewayKeySecret| known.hash() != read.hash();
                if is_new(&key.borrow()) {
                    tracing::info!(prefix = read.prefix(), path = %path.display(), "the key file has a new gateway key");
                    key.send_replace(read);
                }
            }
            Err(why) => {
                if reported.as_ref() != Some(&why) {
                    tracing::warn!(path = %path.display(), %why, "the key file can't be used; still using the previous key");
                }
                reported = Some(why);
            }
        }
    }
}

async fn read(path: PathBuf) -> Result<GatewayKeySecret, String> {
    let text = tokio::task::spawn_blocking(move || read_secret(&path)).await;
    parse_key(&text.map_err(|why| why.to_string())??)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::secret_file;
    use lychgate_types::Ambient;

    #[tokio::test(start_paused = true)]
    async fn a_new_key_is_taken_and_a_broken_file_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("key");
        let [first, second, third] = [(); 3].map(|()| GatewayKeySecret::generate(&Ambient::system()));
        secret_file::replace(&path, first.expose()).unwrap();
        let (give, mut given) = watch::channel(first);
        let following = tokio::spawn(follow(path.clone(), give));
        secret_file::replace(&path, second.expose()).unwrap();
        given.wait_for(|key| key.hash() == second.hash()).await.unwrap();

        secret_file::replace(&path, &third.expose()[..45]).unwrap();
        tokio::time::timeout(EVERY * 2, given.changed()).await.unwrap_err();
        std::fs::remove_file(&path).unwrap();
        tokio::time::timeout(EVERY * 2, given.changed()).await.unwrap_err();
        secret_file::replace(&path, third.expose()).unwrap();
        given.wait_for(|key| key.hash() == third.hash()).await.unwrap();
        following.abort();
    }
}
