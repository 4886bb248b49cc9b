//! Look-ups and pages with a million tokens and ten thousand gateway keys in the database. They are put there by SQL, past the
//! product; statistics are brought up to date and all of it is written out, as PostgreSQL would do by itself a while later.

use super::lanes::{Lane, Seen};
use super::{Bench, Found, Times};
use crate::report::figures::{Bar, Figure};
use crate::targets::deployment::Deployment;
use crate::targets::target::{Answer, Prompt};
use anyhow::{Context as _, ensure};
use hyper::Method;
use lychgate_types::{Ambient, secret::UserTokenSecret};
use serde_json::{Value, json};
use std::time::Duration;
use tokio::time::Instant;

/// Users that the tokens belong to.
const USERS: usize = 10_000;
/// Unknown tokens that are asked about at the same time, for the figure without a bar.
const TOGETHER: usize = 16;

pub(super) async fn measure(bench: &Bench<'_>) -> anyhow::Result<Found> {
    let (tokens, keys) = (bench.count(1_000_000, 50_000), bench.count(10_000, 1_000));
    let (mut deployment, _provider) = bench.deployment().await?;
    let filling = Instant::now();
    fill(&deployment, tokens, keys).await?;
    let filling = filling.elapsed().as_secs_f64();
    deployment.start_replicas(1, &[]).await?;
    let asked = bench.count(3_000, 200);
    let alone = unknown(&deployment, asked, 1).await?;
    let together = unknown(&deployment, asked, TOGETHER).await?;
    let pages = key_pages(&deployment, bench.count(100, 10)).await?;
    let lists = token_pages(&deployment, bench.count(100, 20)).await?;
    let mut figures = vec![Figure {
        name: format!("unknown-token check with {tokens} tokens, p99"),
        value: alone.percentile(99),
        unit: "ms".to_owned(),
        bar: Some(Bar::AtMost(5.0)),
        from: format!(
            "request in, 401 out, through a replica, {asked} tokens one after the other, ms: {}; {TOGETHER} at once: {}; filled in {filling:.0} s",
            alone.summary(),
            together.summary()
        ),
    }];
    figures.push(page(
        format!("page of gateway keys, {keys} of them, p99 of the slowest kind"),
        &pages,
    ));
    figures.push(page(
        format!("page of one user's tokens, {tokens} in all, p99 of the slowest kind"),
        &lists,
    ));
    let of_each = |kinds: &[(&str, Times)]| -> Value {
        kinds
            .iter()
            .map(|(kind, times)| json!([kind, times.numbers()]))
            .collect()
    };
    let numbers = json!({
        "unknown": alone.numbers(), "unknown_together": together.numbers(), "key_pages": of_each(&pages), "token_pages": of_each(&lists),
    });
    Ok(Found { figures, numbers })
}

fn page(name: String, kinds: &[(&str, Times)]) -> Figure {
    let summaries: Vec<String> = kinds
        .iter()
        .map(|(kind, times)| format!("{kind}: {}", times.summary()))
        .collect();
    Figure {
        name,
        value: kinds.iter().map(|(_, times)| times.percentile(99)).fold(0.0, f64::max),
        unit: "ms".to_owned(),
        bar: Some(Bar::AtMost(20.0)),
        from: format!("over the API, ms: {}", summaries.join("; ")),
    }
}

/// `user-1` has a tenth of all tokens, `newest` has one, the last of all, `nobody` none.
async fn fill(deployment: &Deployment, tokens: usize, keys: usize) -> anyhow::Result<()> {
    let id = |kind: u8, number: &str| {
        // Ids that ascend with time, as the product's do.
        format!("('0190{kind:04}00007000800' || lpad(to_hex({number}), 13, '0'))::uuid")
    };
    let at = |number: &str| format!("now() - interval '30 days' + {number} * interval '1 second'");
    let users = format!(
        "INSERT INTO users (id, created_at, username, role, state) SELECT {}, {}, \
         CASE n WHEN {} THEN 'newest' WHEN {} THEN 'nobody' ELSE 'user-' || n END, 'member', 'active' \
         FROM generate_series(1, {}) n",
        id(1, "n"),
        at("n"),
        USERS + 1,
        USERS + 2,
        USERS + 2
    );
    let owner = format!(
        "CASE WHEN n = {tokens} THEN {} WHEN n % 10 = 0 THEN 1 ELSE 2 + n % {} END",
        USERS + 1,
        USERS - 1
    );
    let made = format!(
        "SET session_replication_role = replica; /* the users are there: no look-up for each row */ \
         INSERT INTO tokens (id, created_at, user_id, name, secret_prefix, token_hash, scopes, expires_at) \
         SELECT {}, {}, {}, 'bench', 'lgu_' || lpad(n::text, 7, '0'), sha256(n::text::bytea), \
         (SELECT min(scopes) FROM tokens), now() + interval '60 days' FROM generate_series(1, {tokens}) n",
        id(2, "n"),
        at("n"),
        id(1, &owner)
    );
    let gateway_keys = format!(
        "INSERT INTO ai_gateway_keys (id, created_at, name, secret_prefix, hashed_secret) \
         SELECT {}, {}, 'edge-' || n, 'lgw_' || lpad(n::text, 7, '0'), sha256(n::text::bytea) FROM generate_series(1, {keys}) n",
        id(3, "n"),
        at("n")
    );
    deployment
        .sql(&[&users, &made, &gateway_keys, "VACUUM ANALYZE", "CHECKPOINT"])
        .await
        .map(drop)
}

/// Asks about tokens that nobody has, each once, on so many lanes.
async fn unknown(deployment: &Deployment, count: usize, lanes: usize) -> anyhow::Result<Times> {
    let ambient = Ambient::system();
    let address = deployment.replicas().first().context("no replica")?.address;
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..lanes {
        let mut requests = Vec::with_capacity(count / lanes);
        for _ in 0..count / lanes {
            let token = UserTokenSecret::generate(&ambient);
            requests.push(
                deployment
                    .target(0, token.expose())?
                    .request(Prompt::Small, Answer::Json)?,
            );
        }
        let mut lane = Lane::open(0, address).await?;
        running.spawn(async move {
            let mut seen: Vec<Seen> = Vec::with_capacity(requests.len());
            for request in requests {
                seen.push(lane.ask(request).await);
            }
            seen
        });
    }
    let seen = running.join_all().await.concat();
    let strange = seen.iter().find(|one| one.status != 401);
    ensure!(strange.is_none(), "an unknown token is not refused as one: {strange:?}");
    Ok(Times::new(seen.iter().map(|one| one.end - one.start).collect()))
}

async fn key_pages(deployment: &Deployment, count: usize) -> anyhow::Result<Vec<(&'static str, Times)>> {
    let path = |query: &str| format!("/api/v1/ai-gateway/keys{query}");
    Ok(vec![
        ("first page", again(deployment, &path(""), count).await?),
        ("each page in turn", in_turn(deployment, &path("?"), count).await?),
        ("some match", again(deployment, &path("?q=99"), count).await?),
        (
            "all match, page by page",
            in_turn(deployment, &path("?q=edge&"), count).await?,
        ),
        ("none match", again(deployment, &path("?q=nothing"), count).await?),
        ("200 at once", again(deployment, &path("?limit=200"), count).await?),
    ])
}

async fn token_pages(deployment: &Deployment, count: usize) -> anyhow::Result<Vec<(&'static str, Times)>> {
    let path = |query: &str| format!("/api/v1/tokens{query}");
    Ok(vec![
        ("everybody's", again(deployment, &path(""), count).await?),
        (
            "of one with a tenth of all",
            again(deployment, &path("?user=user-1"), count).await?,
        ),
        (
            "the same, page by page",
            in_turn(deployment, &path("?user=user-1&"), count).await?,
        ),
        (
            "of one with some",
            again(deployment, &path("?user=user-5000"), count).await?,
        ),
        (
            "of one with the newest alone",
            again(deployment, &path("?user=newest"), count).await?,
        ),
        (
            "of one with none",
            again(deployment, &path("?user=nobody"), count).await?,
        ),
    ])
}

/// The same page so many times.
async fn again(deployment: &Deployment, path: &str, count: usize) -> anyhow::Result<Times> {
    let mut times = Vec::with_capacity(count);
    for _ in 0..count {
        times.push(one(deployment, path).await?.0);
    }
    Ok(Times::new(times))
}

/// Page after page, at most so many. Between two of them a larger one is passed over, to get further in.
async fn in_turn(deployment: &Deployment, path: &str, count: usize) -> anyhow::Result<Times> {
    let mut times = Vec::with_capacity(count);
    let mut after = String::new();
    for _ in 0..count {
        let (time, next) = one(deployment, &format!("{path}{after}")).await?;
        times.push(time);
        let Some(next) = next else { break };
        let (_, further) = one(deployment, &format!("{path}limit=200&after={next}")).await?;
        after = format!("after={}", further.unwrap_or(next));
    }
    Ok(Times::new(times))
}

/// One page: how long it took, and the next one's place.
async fn one(deployment: &Deployment, path: &str) -> anyhow::Result<(Duration, Option<String>)> {
    let begun = Instant::now();
    let page = deployment.call(0, Method::GET, path, None).await?;
    let took = begun.elapsed();
    let page: Value = serde_json::from_slice(&page).context("a page does not read")?;
    Ok((took, page["next"].as_str().map(str::to_owned)))
}
