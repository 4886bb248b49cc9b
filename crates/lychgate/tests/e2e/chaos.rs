//! A few hundred requests through a replica while the providers misbehave in every way that a socket allows: nobody waits for
//! ever, nobody gets an empty success, every request is on record once, retries stay within their budget, and what is sound is
//! not touched by what happens beside it.
//!
//! Not here: HTTP/2's own ways to fail, such as GOAWAY, since it is spoken to providers over TLS only (`gateway`'s tests).

mod faults;
mod plan;

use crate::PROGRAM;
use crate::dice::Dice;
use faults::{Faulty, NUMBER};
use lychgate_testkit::app::{App, PROVIDER_KEY, Replica};
use lychgate_testkit::http::{Answer, post};
use lychgate_testkit::wait::eventually;
use plan::Plan;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::TcpSocket;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

const REQUESTS: usize = 360;
const AT_A_TIME: usize = 32;
/// The longest that a request may take by the providers' policies.
const TOTAL: Duration = Duration::from_millis(4000);
/// What a busy machine may add.
const SLACK: Duration = Duration::from_secs(6);
const BUDGET_PERCENT: usize = 20;
/// Retries that are always allowed within ten seconds.
const BUDGET_LEAST: usize = 10;
/// What the replica may have grown by at the end.
const MEMORY: u64 = 64 << 20;
/// Names a run's seed, to make it again.
const SEED: &str = "LYCHGATE_CHAOS_SEED";

/// How a request ended for its client.
struct Ended {
    plan: usize,
    took: Duration,
    status: u16,
    /// Empty where there is no interception.
    interception: String,
    /// The whole answer; none where the client left.
    answer: Option<Answer>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_the_provider_does() {
    let seed = match std::env::var(SEED) {
        Ok(seed) => seed.parse().unwrap_or_else(|why| panic!("{SEED}={seed}: {why}")),
        // The same run for every change; set the variable to look further.
        Err(_) => 1,
    };
    tell(&format!("{SEED}={seed}"));
    let mut dice = Dice::new(seed);
    let plans: Arc<Vec<Plan>> = Arc::new((0..REQUESTS).map(|number| Plan::draw(&mut dice, number)).collect());
    let provider = Faulty::start(&plans, seed).await;
    let app = App::start(PROGRAM, None).await;
    // A port that is taken and where nobody listens.
    let nobody = TcpSocket::new_v4().unwrap();
    nobody.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    set_up(&app, &provider, nobody.local_addr().unwrap().port()).await;
    let replica = app.replica("edge-1").await;
    let before = (replica.process.resident_memory(), replica.process.open_files());

    let begun = Instant::now();
    let ended = run(&app, &replica, &plans).await;
    let took = begun.elapsed();

    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for end in &ended {
        *statuses.entry(end.status).or_default() += 1;
    }
    tell(&format!("statuses and how often, after {took:?}: {statuses:?}"));
    for end in &ended {
        check_answer(&plans[end.plan], end);
    }
    // A run in which all was well, or nothing, would show nothing.
    let good = statuses.get(&200).copied().unwrap_or(0);
    assert!((REQUESTS / 8..REQUESTS * 4 / 5).contains(&good), "{good} successes");
    let records = check_records(&app, &ended).await;
    check_retries(&plans, &provider.attempts(), &ended, &records, took);
    assert!(replica.process.is_running() && app.server.is_running());
    let log = replica.process.stderr();
    assert!(!log.contains("panicked"), "{log}");
    assert_eq!(replica.readiness().await, (200, "ready\n".to_owned()));
    let grown = replica.process.resident_memory().saturating_sub(before.0);
    assert!(grown < MEMORY, "{} MiB more than before", grown >> 20);
    eventually("connections that nobody needs are closed", async || {
        (replica.process.open_files() < before.1 + 2 * AT_A_TIME).then_some(())
    })
    .await;
}

#[expect(clippy::print_stderr, reason = "the seed is needed to reproduce a failure")]
fn tell(what: &str) {
    eprintln!("chaos: {what}");
}

/// `steady` has no breaker, `touchy` a quick one, and nobody listens at `gone`.
async fn set_up(app: &App, provider: &Faulty, nobody: u16) {
    let key = app.write("chaos-key", PROVIDER_KEY);
    let key = key.to_str().unwrap();
    for (name, kind, base) in [
        ("steady", "anthropic", format!("http://{}", provider.addr)),
        ("touchy", "openai", format!("http://{}/v1", provider.addr)),
        ("gone", "anthropic", format!("http://127.0.0.1:{nobody}")),
    ] {
        app.cli_ok(&[
            "providers",
            "create",
            name,
            "--type",
            kind,
            "--base-url",
            &base,
            "--allow-private",
            "--key-file",
            key,
        ])
        .await;
        let failures = if name == "touchy" { 20 } else { 0 };
        let policy = json!({
            "retry": {"max_attempts": 3, "budget_percent": BUDGET_PERCENT, "base_delay_ms": 10, "max_delay_ms": 100},
            "timeouts": {"connect_ms": 1000, "headers_ms": 1500, "idle_ms": 1500, "total_ms": TOTAL.as_millis() as u64},
            "breaker": {"failures": failures, "window_seconds": 2, "open_seconds": 1, "half_open_requests": 2},
            "key_cooldown_seconds": 1,
        });
        app.set_policy(name, &policy).await;
    }
}

/// Sends every plan's request, so many at a time.
async fn run(app: &App, replica: &Replica, plans: &Arc<Vec<Plan>>) -> Vec<Ended> {
    let room = Arc::new(Semaphore::new(AT_A_TIME));
    let mut requests = JoinSet::new();
    for number in 0..plans.len() {
        let (plans, room) = (Arc::clone(plans), Arc::clone(&room));
        let (base, token) = (replica.url.clone(), app.token.clone());
        requests.spawn(async move {
            let _place = room.acquire_owned().await.unwrap();
            request(&plans[number], number, &base, &token).await
        });
    }
    requests.join_all().await
}

async fn request(plan: &Plan, number: usize, base: &str, token: &str) -> Ended {
    let begun = Instant::now();
    let call = post(format!("{base}/ai/{}{}", plan.provider, plan.endpoint.path()))
        .bearer(token)
        .header("anthropic-version", "2023-06-01")
        .header(NUMBER, &number.to_string())
        .text(&plan.body);
    let mut open = call.open().await;
    let status = open.status;
    let id = open
        .headers
        .get("x-lychgate-interception-id")
        .map(|id| id.to_str().unwrap().to_owned());
    let answer = match plan.leaves_after {
        Some(count) if status == 200 => {
            open.at_least(count).await;
            open.leave().await;
            None
        }
        _ => Some(open.rest().await),
    };
    Ended {
        plan: number,
        took: begun.elapsed(),
        status,
        interception: id.unwrap_or_default(),
        answer,
    }
}

fn check_answer(plan: &Plan, end: &Ended) {
    let case = format!("request {}, {} after {:?}: {plan:?}", end.plan, end.status, end.took);
    assert!(end.took < TOTAL + SLACK, "too late: {case}");
    let Some(answer) = &end.answer else { return };
    assert!(answer.broken || !answer.body.is_empty(), "an empty body: {case}");
    match answer.status {
        200 if plan.is_sound() => assert!(
            answer.body == plan.answer && !answer.broken,
            "{}: {case}",
            answer.text()
        ),
        200 => {}
        // No refusal breaks off, and each says what it is in the provider's shape.
        status => {
            assert!(
                status >= 400 && !answer.broken && answer.value()["error"]["message"].is_string(),
                "{}: {case}",
                answer.text()
            );
        }
    }
    if plan.provider == "gone" {
        assert_eq!(answer.status, 502, "{}: {case}", answer.text());
    }
    // Without a breaker, what happens to others is no reason to fail.
    if plan.provider == "steady" && plan.is_sound() {
        assert_eq!(answer.status, 200, "{}: {case}", answer.text());
    }
    if end.interception.is_empty() {
        assert!(
            plan.provider == "touchy" && answer.status == 503,
            "{}: {case}",
            answer.text()
        );
        assert_ne!(answer.header("retry-after"), "", "{case}");
    }
}

/// Every interception is there once, and says of its end what the client saw.
async fn check_records(app: &App, ended: &[Ended]) -> HashMap<String, Value> {
    let mut wanted: Vec<&str> = ended
        .iter()
        .map(|end| end.interception.as_str())
        .filter(|id| !id.is_empty())
        .collect();
    wanted.sort_unstable();
    let listing = eventually("every interception is on record", async || {
        let listing = app.interceptions().await;
        (listing.len() >= wanted.len()).then_some(listing)
    })
    .await;
    let mut found: Vec<&str> = listing.iter().map(|one| one["id"].as_str().unwrap()).collect();
    found.sort_unstable();
    assert_eq!(found, wanted);
    let records: HashMap<_, _> = listing
        .iter()
        .map(|one| (one["id"].as_str().unwrap().to_owned(), one.clone()))
        .collect();
    for end in ended {
        let Some(record) = records.get(&end.interception) else {
            continue;
        };
        let outcome = record["outcome"].as_str().unwrap();
        let fits = match &end.answer {
            None => matches!(outcome, "client_aborted" | "completed" | "failed"),
            // A connection that is cut behind the model's own last word loses nothing that counts.
            Some(answer) if answer.status == 200 && answer.broken && !record["stop_reason"].is_null() => {
                matches!(outcome, "completed" | "failed")
            }
            Some(answer) if answer.broken || answer.status != 200 => outcome == "failed",
            Some(_) => matches!(outcome, "completed" | "failed"),
        };
        assert!(fits, "request {}: {record:#}", end.plan);
        assert!(
            record["ended_at"].as_str() >= record["started_at"].as_str(),
            "{record:#}"
        );
    }
    records
}

/// The retries that are on record, and the attempts that the provider saw, stay within the budget of each provider.
fn check_retries(plans: &[Plan], seen: &[usize], ended: &[Ended], records: &HashMap<String, Value>, took: Duration) {
    let mut counts: HashMap<&str, (usize, usize)> = HashMap::new();
    for end in ended {
        let plan = &plans[end.plan];
        let (requests, retries) = counts.entry(plan.provider).or_default();
        *requests += 1;
        let attempts = records
            .get(&end.interception)
            .map_or(0, |record| record["attempts"].as_u64().unwrap() as usize);
        *retries += attempts.saturating_sub(1);
        assert!(
            seen[end.plan] <= attempts,
            "request {}: {} attempts of {attempts}: {plan:?}",
            end.plan,
            seen[end.plan]
        );
    }
    // Windows of ten seconds may begin anywhere in the run.
    let windows = took.as_secs() as usize / 10 + 1;
    for (provider, (requests, retries)) in counts {
        let budget = (requests * BUDGET_PERCENT / 100).max(BUDGET_LEAST * windows);
        assert!(
            retries <= budget,
            "{provider}: {retries} retries of {requests} requests"
        );
        // A breaker that opens at once leaves nothing to retry.
        assert!(
            retries > 0 || provider == "touchy",
            "{provider}: not one retry of {requests} requests"
        );
    }
}
