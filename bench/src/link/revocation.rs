//! From the API's answer to the last request that any replica serves. Each replica is under a steady stream of requests by the
//! one token; a token is revoked, or its user suspended, by the control plane to which all are attached, or by another one.
//!
//! A request is served late if it was sent after the answer had been read and was let through. What was sent before and
//! answered after is reported separately.

use super::lanes::{Lane, Seen, Stream};
use super::{Bench, Found, Times};
use crate::report::figures::{Bar, Figure};
use crate::targets::deployment::Deployment;
use crate::targets::target::{Answer, Prompt};
use anyhow::{Context as _, ensure};
use hyper::Method;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::time::Duration;
use tokio::time::{Instant, sleep};

const REPLICAS: usize = 20;
/// Connections to each replica, so that a slow answer does not hold up the next request.
const LANES: usize = 4;
/// Between two requests to the same replica: 2,500 a second in all, which two cores carry without queues.
const GAP: Duration = Duration::from_millis(8);
/// How long requests go on at least once the answer is there.
const TAIL: Duration = Duration::from_millis(80);
/// A replica that has refused so many in a row has received the revocation.
const REFUSED: usize = 3;
/// A replica that has not received it by then never does.
const GIVE_UP: Duration = Duration::from_secs(10);

/// What ends a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Token,
    User,
}

/// Somebody whose token is to end.
struct Victim {
    user: String,
    token_id: String,
    token: String,
}

/// One revocation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Revocation {
    /// Until the last request that was served was sent; zero where none was sent after the answer.
    sent: Duration,
    /// Until the last answer to a request that was served had ended.
    ended: Duration,
    /// Until every replica had been seen to refuse.
    refused: Duration,
    /// How long the call to the API took.
    call: Duration,
}

pub(super) async fn measure(bench: &Bench<'_>) -> anyhow::Result<Found> {
    let (mut deployment, _provider) = bench.deployment().await?;
    deployment.add_server().await?;
    deployment.start_replicas(REPLICAS, &[]).await?;
    let mut lanes = Vec::new();
    for _ in 0..LANES {
        for (at, replica) in deployment.replicas().iter().enumerate() {
            lanes.push(Lane::open(at, replica.address).await?);
        }
    }
    let count = bench.count(100, 5);
    let mut found = Found::default();
    let mut numbers = serde_json::Map::new();
    for (server, by) in [(0, "one control plane"), (1, "revoked by another control plane")] {
        let mut all = Vec::new();
        for how in [How::Token, How::User] {
            let mut here = Vec::new();
            for number in 0..count {
                let name = format!("victim-{server}-{}-{number}", how.name());
                let victim = victim(&deployment, &name).await?;
                let (back, revocation) = round(&deployment, lanes, &victim, how, server, number).await?;
                (lanes, here) = (back, [here, vec![revocation]].concat());
            }
            numbers.insert(format!("{by}, {}", how.name()), as_json(&here));
            all.extend(here);
        }
        found.figures.extend(figures(by, &all));
    }
    found.numbers = Value::Object(numbers);
    deployment.kill_replicas();
    Ok(found)
}

impl How {
    const fn name(self) -> &'static str {
        match self {
            Self::Token => "token",
            Self::User => "user",
        }
    }
}

async fn victim(deployment: &Deployment, user: &str) -> anyhow::Result<Victim> {
    deployment
        .post("/api/v1/users", json!({"username": user, "role": "member"}))
        .await?;
    let made = deployment
        .post("/api/v1/tokens", json!({"name": "bench", "user": user}))
        .await?;
    let text = |field: &str| made[field].as_str().map(str::to_owned).context("a token does not read");
    Ok(Victim {
        user: user.to_owned(),
        token_id: text("id")?,
        token: text("token")?,
    })
}

/// Ends one token under load, and gives the lanes back.
async fn round(
    deployment: &Deployment,
    lanes: Vec<Lane>,
    victim: &Victim,
    how: How,
    server: usize,
    number: usize,
) -> anyhow::Result<(Vec<Lane>, Revocation)> {
    let mut requests = HashMap::new();
    for replica in 0..REPLICAS {
        let target = deployment.target(replica, &victim.token)?;
        requests.insert(replica, target.request(Prompt::Small, Answer::Json)?);
    }
    let mut pairs = Vec::with_capacity(lanes.len());
    for lane in lanes {
        let request = requests.get(&lane.replica).context("no such replica")?.clone();
        pairs.push((lane, request));
    }
    // In the order in which they were opened: the lanes of one replica are evenly apart.
    let mut taken = [0; REPLICAS];
    pairs.sort_by_cached_key(|(lane, _)| {
        let turn = taken
            .get_mut(lane.replica)
            .map_or(0, |turn| std::mem::replace(turn, *turn + 1));
        (turn, lane.replica)
    });
    let stream = Stream::start(pairs, GAP * u32::try_from(LANES)?);
    until(&stream, |seen| all_replicas(seen, |status| status == 200, 2)).await;
    // So that revocations do not fall into step with requests.
    sleep(Duration::from_millis(number as u64 % 7)).await;
    let (method, path) = match how {
        How::Token => (Method::DELETE, format!("/api/v1/tokens/{}", victim.token_id)),
        How::User => (Method::POST, format!("/api/v1/users/{}/suspend", victim.user)),
    };
    let called = Instant::now();
    deployment.call(server, method, &path, None).await?;
    let answered = Instant::now();
    until(&stream, |seen| {
        answered.elapsed() > TAIL && all_replicas(&after(seen, answered), |status| status == 401, REFUSED)
    })
    .await;
    let (lanes, seen) = stream.stop().await?;
    let strange = seen.iter().find(|one| !matches!(one.status, 200 | 401));
    ensure!(strange.is_none(), "neither served nor refused: {strange:?}");
    Ok((lanes, judge(&seen, called, answered)))
}

/// Looks again and again until it is so, or it is time to give up.
async fn until(stream: &Stream, so: impl Fn(&[Seen]) -> bool) {
    let end = Instant::now() + GIVE_UP;
    while Instant::now() < end && !so(&stream.seen()) {
        sleep(Duration::from_millis(5)).await;
    }
}

fn after(seen: &[Seen], moment: Instant) -> Vec<Seen> {
    seen.iter().filter(|one| one.start > moment).copied().collect()
}

/// Whether the last so many answers of every replica are like this.
fn all_replicas(seen: &[Seen], like: impl Fn(u16) -> bool, count: usize) -> bool {
    (0..REPLICAS).all(|replica| {
        let of_it = seen.iter().rev().filter(|one| one.replica == replica);
        of_it.take(count).filter(|one| like(one.status)).count() == count
    })
}

fn judge(seen: &[Seen], called: Instant, answered: Instant) -> Revocation {
    let since = |moment: Instant| moment.saturating_duration_since(answered);
    let served = || seen.iter().filter(|one| one.status == 200);
    let late = served().map(|one| one.start).max();
    let ended = served().map(|one| one.end).max();
    let refused = (0..REPLICAS).map(|replica| {
        let last_served = served().filter(|one| one.replica == replica).map(|one| one.start).max();
        let refusals = seen.iter().filter(|one| one.replica == replica && one.status == 401);
        let first = refusals
            .map(|one| one.start)
            .filter(|start| Some(*start) > last_served)
            .min();
        // One that never refused has been served to the end, which `sent` tells.
        first.map_or(GIVE_UP, since)
    });
    Revocation {
        sent: late.map_or(Duration::ZERO, since),
        ended: ended.map_or(Duration::ZERO, since),
        refused: refused.max().unwrap_or_default(),
        call: answered - called,
    }
}

fn times(all: &[Revocation], of: fn(&Revocation) -> Duration) -> Times {
    Times::new(all.iter().map(of).collect())
}

fn figures(by: &str, all: &[Revocation]) -> Vec<Figure> {
    let sent = times(all, |one| one.sent);
    let late = all.iter().filter(|one| !one.sent.is_zero()).count();
    let from = format!(
        "{} revocations, {late} with a request served that was sent after the answer; ms: worst {:.2}; until the last answer ended: \
         {}; seen to refuse everywhere: {}; the call itself: {}",
        all.len(),
        sent.worst(),
        times(all, |one| one.ended).summary(),
        times(all, |one| one.refused).summary(),
        times(all, |one| one.call).summary(),
    );
    let one = |percent, bar, from| Figure {
        name: format!("revocation, {REPLICAS} replicas, {by}, p{percent}"),
        value: sent.percentile(percent),
        unit: "ms".to_owned(),
        bar: Some(Bar::AtMost(bar)),
        from,
    };
    vec![one(50, 20.0, from), one(99, 200.0, String::new())]
}

fn as_json(all: &[Revocation]) -> Value {
    json!({
        "sent": times(all, |one| one.sent).numbers(),
        "ended": times(all, |one| one.ended).numbers(),
        "refused": times(all, |one| one.refused).numbers(),
        "call": times(all, |one| one.call).numbers(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_sent_after_the_answer_counts_as_served_late() {
        let zero = Instant::now();
        let ms = |n| zero + Duration::from_millis(n);
        let seen = |replica, start, end, status| Seen {
            replica,
            start: ms(start),
            end: ms(end),
            status,
        };
        let mut all: Vec<Seen> = (0..REPLICAS).map(|replica| seen(replica, 12, 13, 401)).collect();
        all.push(seen(0, 9, 15, 200));
        let judged = judge(&all, ms(5), ms(10));
        let expected = Revocation {
            sent: Duration::ZERO,
            ended: Duration::from_millis(5),
            refused: Duration::from_millis(2),
            call: Duration::from_millis(5),
        };
        assert_eq!(judged, expected);
        all.extend([seen(1, 14, 16, 200), seen(1, 18, 19, 401)]);
        let judged = judge(&all, ms(5), ms(10));
        assert_eq!(
            (judged.sent, judged.refused),
            (Duration::from_millis(4), Duration::from_millis(8))
        );
        assert_eq!(judged.ended, Duration::from_millis(6));
    }
}
