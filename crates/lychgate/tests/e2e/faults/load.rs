//! Clients: each sends one request after another, whether or not they succeed.

use super::log::{End, Kind, Sent};
use super::world::{GOOD, World};
use crate::dice::Dice;
use crate::request::Ask;
use lychgate_scripted::{Endpoint, Scenario};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};

/// The prefix of the marker in the name of the client program.
pub(super) const PROGRAM_NAME: &str = "fault-suite/";
/// How long a client waits, while the replica's process runs. The longest that the product takes by itself is five seconds, for
/// a token that is not known while nobody answers.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);

/// Sends requests with the good tokens until it is stopped.
pub(super) async fn client(world: &World, replica: usize, mut dice: Dice, stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let token = dice.below(GOOD);
        send(world, replica, token, |marker| draw(&mut dice, marker)).await;
        sleep(Duration::from_millis(10 + dice.below(50) as u64)).await;
    }
}

/// Sends requests with one token until it is refused permanently, or stopped.
pub(super) async fn probe(world: &World, replica: usize, token: usize, stop: watch::Receiver<bool>) {
    while !*stop.borrow() {
        let sent = send(world, replica, token, |marker| {
            Ask::new(Endpoint::Messages, Scenario::Text, false, marker)
        })
        .await;
        if matches!(sent.end, End::Refused(401, _)) {
            return;
        }
        let asked = world.log.revocations().iter().any(|one| one.token == token);
        sleep(Duration::from_millis(if asked { 10 } else { 50 })).await;
    }
}

fn draw(dice: &mut Dice, marker: &str) -> Ask {
    let endpoint = dice.of(&[
        Endpoint::Messages,
        Endpoint::ChatCompletions,
        Endpoint::Responses,
        Endpoint::Embeddings,
    ]);
    if endpoint == Endpoint::Embeddings {
        return Ask::new(endpoint, Scenario::Text, false, marker);
    }
    // As long as people's questions are, so that what a provider adds to each weighs no more than it does.
    let said = format!("{marker} {}", "on and ".repeat(20 + dice.below(200)));
    let scenario = dice.of(&[
        Scenario::Text,
        // Its stream takes more than a second: whatever kills a replica meets some of them.
        Scenario::Slow,
        Scenario::Thinking,
        Scenario::Cached,
        Scenario::MaxTokens,
    ]);
    Ask::new(endpoint, scenario, dice.percent(60), &said)
}

/// Sends one request, which is found again by its marker, and notes what became of it.
pub(super) async fn send(world: &World, replica: usize, token: usize, ask: impl FnOnce(&str) -> Ask) -> Sent {
    static COUNT: AtomicUsize = AtomicUsize::new(0);
    let marker = format!("marker-{}", COUNT.fetch_add(1, Ordering::Relaxed));
    let ask = ask(&marker);
    let began = Instant::now();
    let url = world.replicas[replica].url();
    let call = ask.call_by(&format!("{PROGRAM_NAME}{marker}"), &url, &world.tokens[token].secret);
    let mut exchange = std::pin::pin!(async {
        let open = match call.try_open().await {
            Ok(open) => open,
            Err(why) => return (String::new(), End::Nothing(why)),
        };
        let answer = open.rest().await;
        let end = match (answer.status, answer.broken) {
            (200, false) => End::Complete,
            (200, true) => End::Broken,
            (status, _) => End::Refused(status, answer.text()),
        };
        (answer.header("x-lychgate-interception-id").to_owned(), end)
    });
    let mut deadline = began + DEADLINE;
    let (id, end) = loop {
        tokio::select! {
            done = &mut exchange => break done,
            () = sleep_until(deadline) => {
                let later = began + DEADLINE + down(world, replica, began);
                if later <= deadline {
                    break (String::new(), End::Late);
                }
                deadline = later;
            }
        }
    };
    let sent = Sent {
        marker,
        replica,
        token,
        ask,
        began,
        ended: Instant::now(),
        id,
        end,
    };
    world.log.sent(sent.clone());
    sent
}

/// For how long a replica's process did not run since then.
fn down(world: &World, replica: usize, since: Instant) -> Duration {
    let troubles = world.log.troubles(replica);
    let down = troubles.iter().filter(|trouble| trouble.kind == Kind::Down);
    down.map(|trouble| {
        trouble
            .to
            .unwrap_or_else(Instant::now)
            .saturating_duration_since(trouble.from.max(since))
    })
    .sum()
}
