//! Maintenance of gateway keys: warns in the log before one expires, and deletes rotated secrets that stopped working long ago.

use super::tick;
use crate::state::{App, KEY_EXPIRES_SOON};
use lychgate_authz::Caller;
use lychgate_store::KeyExpiry;
use lychgate_telemetry::error::chain;
use lychgate_types::{GatewayKeyId, Timestamp};
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::watch;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// How long before a key expires a warning is logged, the last warning first; each once.
const WARNINGS: [Duration; 3] = [DAY, Duration::from_secs(7 * 24 * 60 * 60), KEY_EXPIRES_SOON];
/// How late a warning may be.
const PERIOD: Duration = Duration::from_secs(60 * 60);

pub(super) async fn run(app: App, mut stopped: watch::Receiver<bool>) {
    let mut warned = Warned::default();
    loop {
        warn(&app, &mut warned).await;
        if let Err(error) = app.store.ai_gateway_key_secrets_prune(&Caller::control_plane()).await {
            tracing::warn!(error = %chain(&error), "old secrets of gateway keys can't be deleted; retrying later");
        }
        if !tick(PERIOD, &mut stopped).await {
            return;
        }
    }
}

async fn warn(app: &App, warned: &mut Warned) {
    let now = app.ambient.now();
    match app
        .store
        .ai_gateway_key_expiring(&Caller::control_plane(), now.plus(KEY_EXPIRES_SOON))
        .await
    {
        Ok(near) => {
            for key in warned.due(now, near) {
                tracing::warn!(
                    key = key.name,
                    expires_at = %key.expires_at,
                    "a gateway key expires {}; its replicas accept no requests from then on: extend it, or give them another key",
                    in_words(now, key.expires_at)
                );
            }
        }
        Err(error) => {
            tracing::warn!(error = %chain(&error), "the gateway keys that expire soon can't be read; retrying later");
        }
    }
}

/// The remaining time in whole days.
fn in_words(now: Timestamp, at: Timestamp) -> String {
    let left = at.as_micros().saturating_sub(now.as_micros());
    match left / i64::try_from(DAY.as_micros()).unwrap_or(i64::MAX) {
        0 => "within a day".to_owned(),
        1 => "in a day".to_owned(),
        days => format!("in {days} days"),
    }
}

/// Which warnings were given by this process.
#[derive(Default)]
struct Warned(HashMap<GatewayKeyId, (Timestamp, Duration)>);

impl Warned {
    /// Those among the soon expiring keys that the next warning is due for.
    fn due(&mut self, now: Timestamp, near: Vec<KeyExpiry>) -> Vec<KeyExpiry> {
        let mut given = HashMap::with_capacity(near.len());
        let mut due = Vec::new();
        for key in near {
            let reached = |before: &&Duration| key.expires_at <= now.plus(**before);
            let Some(warning) = WARNINGS.iter().find(reached) else {
                continue;
            };
            let this = (key.expires_at, *warning);
            given.insert(key.id, this);
            if self.0.get(&key.id) != Some(&this) {
                due.push(key);
            }
        }
        self.0 = given;
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lychgate_types::Ambient;

    fn days(days: u64) -> Duration {
        DAY * u32::try_from(days).unwrap()
    }

    #[test]
    fn each_warning_is_given_once_and_again_for_another_expiry() {
        let start = Timestamp::from_micros(0);
        let id = Ambient::system().new_id();
        let key = |end: Duration| KeyExpiry {
            id,
            name: "edge".into(),
            expires_at: start.plus(end),
        };
        let mut warned = Warned::default();
        let mut told = Vec::new();
        for hour in 0..24 * 20 {
            let after = Duration::from_secs(hour * 3600);
            let near = if after + KEY_EXPIRES_SOON >= days(20) {
                vec![key(days(20))]
            } else {
                vec![]
            };
            if !warned.due(start.plus(after), near).is_empty() {
                told.push(hour / 24);
            }
        }
        assert_eq!(told, [6, 13, 19]);
        let late = start.plus(days(19));
        assert!(warned.due(late, vec![key(days(20))]).is_empty());
        assert_eq!(warned.due(late, vec![key(days(21))]).len(), 1, "its end was moved");
        assert!(warned.due(late, vec![]).is_empty());
        assert_eq!(warned.due(late, vec![key(days(21))]).len(), 1, "enabled again");
    }

    #[test]
    fn the_time_that_is_left_in_words() {
        let now = Timestamp::from_micros(0);
        let words = |left: Duration| in_words(now, now.plus(left));
        assert_eq!(words(DAY - Duration::from_micros(1)), "within a day");
        assert_eq!(
            (words(DAY), words(days(2) - Duration::from_micros(1))),
            ("in a day".into(), "in a day".into())
        );
        assert_eq!(words(KEY_EXPIRES_SOON), "in 14 days");
    }
}
