//! How many records a second a database takes in: `cargo run --release -p lychgate-store --example replay -- URL [RECORDS] [BATCH] [WORKERS]`.
//!
//! Each worker hands over batches as replicas do that deliver their spools. Of two records one has asked for a tool, and the
//! next one brings its result. The database at URL must be empty and is left full.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    reason = "a measurement, not a product"
)]

use lychgate_authz::{Caller, Role, Scopes};
use lychgate_store::{DatabaseUrl, ReplicaStamp, Store, TokenInsert, UserInsert};
use lychgate_types::interception::{CredentialKind, InterceptionRecord, Outcome, Prompt, TokenUsage, ToolUsage};
use lychgate_types::provider::{Api, ProviderType};
use lychgate_types::secret::{SecretHash, UserTokenSecret};
use lychgate_types::{Ambient, UserId};
use std::collections::BTreeMap;
use std::sync::Arc;
use tokio::time::Instant;

#[tokio::main]
async fn main() {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let Some(url) = args.first() else {
        eprintln!("replay URL [RECORDS] [BATCH] [WORKERS]");
        std::process::exit(2);
    };
    let number = |at: usize, default: usize| args.get(at).map_or(default, |text| text.parse().unwrap());
    let (records, batch, workers) = (number(1, 100_000), number(2, 500), number(3, 2));

    let ambient = Ambient::system();
    let store = Store::connect(&DatabaseUrl::parse(url).unwrap(), ambient.clone())
        .await
        .unwrap();
    store.migrate().await.unwrap();
    let hash = token(&store, &ambient).await;

    let begun = Instant::now();
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..workers {
        let (store, ambient) = (store.clone(), ambient.clone());
        tasks.spawn(async move {
            let mut call = None;
            for _ in 0..records / workers / batch {
                let batch: Vec<_> = (0..batch)
                    .map(|_| Arc::new(record(&ambient, hash, &mut call)))
                    .collect();
                let done = store
                    .interception_ingest(&Caller::control_plane(), ReplicaStamp::default(), &batch)
                    .await;
                assert_eq!(done.unwrap().rejected, []);
            }
        });
    }
    tasks.join_all().await;
    let (seconds, records) = (
        begun.elapsed().as_secs_f64(),
        records / workers / batch * batch * workers,
    );
    println!(
        "{records} records in {seconds:.2} s: {:.0} a second, batches of {batch} by {workers}",
        records as f64 / seconds
    );
    println!(
        "own CPU {:.1} µs a record, at most {} MiB",
        own_cpu() / records as f64,
        peak_mib()
    );
    store.close().await;
}

async fn token(store: &Store, ambient: &Ambient) -> SecretHash {
    let secret = UserTokenSecret::generate(ambient);
    let user = UserInsert {
        username: "load".into(),
        role: Role::Owner,
    };
    let token = TokenInsert {
        id: ambient.new_id(),
        created_at: ambient.now(),
        user_id: ambient.new_id::<UserId>(),
        name: "load".into(),
        secret_prefix: secret.prefix().into(),
        hashed_secret: secret.hash().as_bytes().to_vec(),
        scopes: Scopes::all(),
        expires_at: None,
    };
    let made = store
        .users_bootstrap(&Caller::control_plane(), user, token)
        .await
        .unwrap();
    assert!(made.is_some(), "the database is not empty");
    secret.hash()
}

/// `call`: the tool call of the record before, if it asked for one.
fn record(ambient: &Ambient, token_hash: SecretHash, call: &mut Option<String>) -> InterceptionRecord {
    let id: lychgate_types::InterceptionId = ambient.new_id();
    let now = ambient.now();
    let response = format!("msg_{}", id.as_uuid().simple());
    let parent = call.take();
    let mut tool_usages = Vec::new();
    if parent.is_none() {
        let asked = format!("toolu_{}", id.as_uuid().simple());
        tool_usages.push(ToolUsage {
            provider_response_id: response.clone(),
            tool_call_id: asked.clone(),
            tool: "Read".into(),
            input: r#"{"file_path":"/home/ada/project/src/main.rs"}"#.into(),
        });
        *call = Some(asked);
    }
    InterceptionRecord {
        id,
        token_hash,
        provider: "anthropic".into(),
        provider_type: ProviderType::Anthropic,
        api: Api::AnthropicMessages,
        model: "claude-sonnet-4-5".into(),
        streaming: true,
        client: "Claude Code".into(),
        user_agent: "claude-cli/2.0.0 (external, cli)".into(),
        client_session_id: Some("2f1d3c1e-6c1e-4a43-9f2b-0d7c0f6f4d11".into()),
        thread_parent_tool_call_id: parent,
        credential_kind: CredentialKind::Centralized,
        credential_hint: "sk-a…cdef".into(),
        started_at: now,
        ended_at: now,
        outcome: Outcome::Completed,
        upstream_status: Some(200),
        error_type: None,
        error_message: None,
        provider_request_id: Some("req_011CSHoEeqs5C35K2UUqR7Fy".into()),
        served_model: None,
        stop_reason: Some("end_turn".into()),
        attempts: 1,
        time_to_first_byte_ms: Some(420),
        overhead_us: 80,
        token_usages: vec![TokenUsage {
            provider_response_id: response.clone(),
            input_tokens: 1200,
            output_tokens: 300,
            cache_read_input_tokens: 20_000,
            cache_write_input_tokens: 0,
            cache_write_1h_input_tokens: 0,
            reasoning_tokens: 0,
            estimated: false,
            extra: BTreeMap::new(),
        }],
        prompts: vec![Prompt {
            provider_response_id: response,
            prompt: "Explain what this function does and why the test fails on the second run. ".repeat(3),
        }],
        tool_usages,
        model_thoughts: Vec::new(),
    }
}

/// User and kernel time of this process, in microseconds.
fn own_cpu() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    // The unit is a hundredth of a second on every Linux that runs Rust programs.
    ticks as f64 * 10_000.0
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
}
