//! What keeping a record costs: encoded, sealed, written; and what reading it back for delivery costs.

use divan::Bencher;
use lychgate_gateway::SpoolOptions;
use lychgate_gateway::harness::spool::Appender;
use lychgate_types::Ambient;
use lychgate_types::interception::{CredentialKind, InterceptionRecord, Outcome, Prompt, TokenUsage};
use lychgate_types::provider::{Api, ProviderType};
use lychgate_types::secret::SecretHash;
use std::cell::Cell;

/// Records after which all are acknowledged, as delivery would: the files stay few.
const ROUND: u64 = 10_000;

#[expect(clippy::expect_used, reason = "a bench that can't start has nothing to tell")]
fn appender() -> (tempfile::TempDir, Appender) {
    let directory = tempfile::tempdir().expect("a directory");
    let appender = Appender::open(&SpoolOptions::new(directory.path())).expect("a spool");
    (directory, appender)
}

/// A record with a prompt of so many bytes.
fn record(ambient: &Ambient, prompt: usize) -> InterceptionRecord {
    let now = ambient.now();
    let response = || "chatcmpl-BenchBenchBenchBenchBenchBench0".to_owned();
    InterceptionRecord {
        id: ambient.new_id(),
        token_hash: SecretHash::from_bytes([3; 32]),
        provider: "openai".to_owned(),
        provider_type: ProviderType::OpenAi,
        api: Api::OpenAiChatCompletions,
        model: "gpt-5.4-mini".to_owned(),
        streaming: true,
        client: "Codex".to_owned(),
        user_agent: "codex_cli_rs/0.60.0 (Debian 12; x86_64)".to_owned(),
        client_session_id: Some("0199b2a4-0000-7000-8000-000000000000".to_owned()),
        thread_parent_tool_call_id: None,
        credential_kind: CredentialKind::Centralized,
        credential_hint: "sk-a…cdef".to_owned(),
        started_at: now,
        ended_at: now,
        outcome: Outcome::Completed,
        upstream_status: Some(200),
        error_type: None,
        error_message: None,
        provider_request_id: Some("req_0123456789abcdef".to_owned()),
        served_model: None,
        stop_reason: Some("stop".to_owned()),
        stored_object: None,
        completes: false,
        thread_parent_response_id: None,
        stored_items: Vec::new(),
        attempts: 1,
        time_to_first_byte_ms: Some(120),
        overhead_us: 90,
        token_usages: vec![TokenUsage {
            provider_response_id: response(),
            input_tokens: 1000,
            output_tokens: 500,
            ..TokenUsage::default()
        }],
        prompts: (prompt > 0)
            .then(|| Prompt {
                provider_response_id: response(),
                prompt: "x".repeat(prompt).into(),
            })
            .into_iter()
            .collect(),
        tool_usages: Vec::new(),
        model_thoughts: Vec::new(),
    }
}

/// One record into the spool, synced at an interval by somebody else. Now and then all are read back, which is counted in.
#[divan::bench(args = [0, 200, 2_000, 20_000], sample_count = 200, sample_size = 100)]
#[expect(clippy::expect_used, reason = "a bench that fails has nothing to tell")]
fn spool_append(bencher: Bencher<'_, '_>, prompt: usize) {
    let (_directory, appender) = appender();
    let (ambient, count) = (Ambient::system(), Cell::new(0));
    bencher
        .with_inputs(|| {
            if count.replace(count.get() + 1) % ROUND == 0 {
                appender.empty(256).expect("what was written");
            }
            record(&ambient, prompt)
        })
        .bench_local_values(|record| assert!(appender.append(record)));
}

/// The same by several at once.
#[divan::bench(threads = [1, 2, 4], sample_count = 200, sample_size = 100)]
fn spool_append_together(bencher: Bencher<'_, '_>) {
    let (_directory, appender) = appender();
    let ambient = Ambient::system();
    bencher
        .with_inputs(|| record(&ambient, 200))
        .bench_values(|record| assert!(appender.append(record)));
}

/// A thousand records read back in batches, opened and acknowledged.
#[divan::bench(sample_count = 50)]
#[expect(clippy::expect_used, reason = "a bench that fails has nothing to tell")]
fn spool_read_back_1000(bencher: Bencher<'_, '_>) {
    let ambient = Ambient::system();
    bencher
        .with_inputs(|| {
            let (directory, appender) = appender();
            (0..1000).for_each(|_| assert!(appender.append(record(&ambient, 200))));
            (directory, appender)
        })
        .bench_local_refs(|(_, appender)| appender.empty(256).expect("what was written"));
}
