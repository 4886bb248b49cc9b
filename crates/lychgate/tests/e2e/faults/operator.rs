//! What an operator does over the API, on whichever control plane answers.

use super::world::{LOOK_EVERY, World};
use lychgate_testkit::http::{self, Call};
use serde_json::Value;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

/// How long an operator waits for a control plane at first, twice as long with each further attempt, and for all together. What
/// is given up goes on for a while on a busy machine, so that impatience would keep it busy.
const ASK: Duration = Duration::from_secs(2);
const INSIST: Duration = Duration::from_secs(90);
/// Bytes of a secret that are shown.
const SHOWN: usize = 11;

impl World {
    /// Makes something on the first control plane while nothing is amiss.
    pub(super) async fn make(&self, path: &str, wanted: Value) -> Value {
        let url = format!("{}/api/v1/{path}", self.planes[0].url());
        let call = http::post(url).bearer(&self.owner).json(&wanted);
        call.send().await.expect(201).value()
    }

    pub(super) fn key_file(&self, key: usize) -> PathBuf {
        self.directory().join(format!("key-{key}"))
    }

    /// Puts a key's secret where its replicas look for it.
    pub(super) fn write_key(&self, key: usize, secret: &str) {
        let fresh = self.directory().join(format!("fresh-key-{key}"));
        std::fs::write(&fresh, secret).unwrap();
        std::fs::set_permissions(&fresh, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
        std::fs::rename(fresh, self.key_file(key)).unwrap();
    }

    /// Returns once a replica has read this secret, which is in its key file already, or has another life, which began by reading it.
    pub(super) async fn took_key(&self, replica: usize, secret: &str) {
        let node = &self.replicas[replica];
        let (lives, line) = (node.lives().len(), format!("prefix=\"{}\"", &secret[..SHOWN]));
        let until = Instant::now() + INSIST;
        while node.lives().len() == lives && !node.process().stderr().contains(&line) {
            if Instant::now() > until {
                return self.log.wrong(format!("replica {replica} does not read its new key"));
            }
            sleep(LOOK_EVERY).await;
        }
    }

    /// Asks a control plane, and where it fails the other one, again and again: status and answer.
    pub(super) async fn insist(&self, first: usize, method: &str, path: &str, body: &Value) -> (u16, Value) {
        let until = Instant::now() + INSIST;
        let (mut last, mut patience) = (String::new(), ASK);
        // What was given up may be done later: it is the same change then, not another one.
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let attempt = format!("fault-suite-{}", COUNT.fetch_add(1, Ordering::Relaxed));
        for plane in (0..self.planes.len()).cycle().skip(first) {
            if Instant::now() > until {
                break;
            }
            let url = format!("{}/api/v1/{path}", self.planes[plane].url());
            let mut call = Call::new(method.parse().unwrap(), url).bearer(&self.owner);
            call = call.header("idempotency-key", &attempt);
            if !body.is_null() {
                call = call.json(body);
            }
            match timeout(patience, async { Ok::<_, String>(call.try_open().await?.rest().await) }).await {
                Ok(Ok(answer)) if answer.status < 500 && !answer.broken => {
                    return (answer.status, serde_json::from_slice(&answer.body).unwrap_or_default());
                }
                Ok(Ok(answer)) => last = format!("{} {}", answer.status, answer.text()),
                Ok(Err(why)) => last = why,
                Err(_) => {
                    last = format!("no answer within {patience:?}");
                    patience *= 2;
                }
            }
            sleep(LOOK_EVERY).await;
        }
        panic!("{method} {path}: no control plane did it within {INSIST:?}: {last}")
    }

    /// The same for what must succeed.
    pub(super) async fn must(&self, first: usize, method: &str, path: &str, body: Value) -> Value {
        let (status, answer) = self.insist(first, method, path, &body).await;
        assert!((200..300).contains(&status), "{method} {path}: {status} {answer:#}");
        answer
    }

    /// Every interception on record.
    pub(super) async fn interceptions(&self) -> Vec<Value> {
        let (mut all, mut after) = (Vec::new(), String::new());
        loop {
            let path = format!("ai-gateway/interceptions?limit=200{after}");
            let page = self.must(0, "GET", &path, Value::Null).await;
            all.extend(page["interceptions"].as_array().expect("a list").iter().cloned());
            match page["next"].as_str() {
                Some(next) => after = format!("&after={next}"),
                None => return all,
            }
        }
    }
}
