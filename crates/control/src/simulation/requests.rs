//! Clients: each request is admitted or refused, in lookup for a while, and recorded or cancelled.

use super::cluster::Cluster;
use super::database::{POISON, PROVIDER, UNFIT};
use super::ledger::Record;
use lychgate_gateway::harness::simulated::{Admission, Refused};
use lychgate_types::InterceptionId;
use lychgate_types::interception::{CredentialKind, InterceptionRecord, Outcome, Prompt};
use lychgate_types::provider::{Api, ProviderType};
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::Instant;

/// How long after a disk failure there is certainly room again.
const ROOM_AFTER: Duration = Duration::from_secs(3);

/// Admitted requests that the scenario has not taken yet.
#[derive(Debug, Default)]
pub(super) struct Arrivals {
    admitted: Mutex<BTreeMap<u64, Open>>,
    pub(super) bell: Notify,
}

/// An admitted request.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) host: usize,
    pub(super) process: u64,
    token: usize,
    admission: Admission,
}

impl Arrivals {
    /// In the order of their arrival.
    pub(super) fn take(&self) -> BTreeMap<u64, Open> {
        std::mem::take(&mut self.admitted.lock().unwrap())
    }
}

/// A client sends a request with a token; `None`: with an unknown one.
pub(super) fn send(cluster: &Arc<Cluster>, arrivals: &Arc<Arrivals>, host: usize, token: Option<usize>) {
    let (Some(replica), Some(process)) = (cluster.replica(host), cluster.model(host).process) else {
        return;
    };
    let number = cluster.next();
    let (cluster, arrivals) = (cluster.clone(), arrivals.clone());
    tokio::spawn(async move {
        let text = match token {
            Some(token) => cluster.database().tokens[token].text.clone(),
            None => cluster.stranger.clone(),
        };
        if cluster.model(host).process != Some(process) {
            return;
        }
        let token = token.unwrap_or(usize::MAX);
        let has_room = has_room(&cluster, host);
        cluster.model(host).request_arrived(number, token, has_room);
        let answer = replica.admit(PROVIDER, &text).await;
        if cluster.model(host).process != Some(process) {
            return;
        }
        check_answer(&cluster, host, number, token, &answer);
        if let Ok(admission) = answer {
            let open = Open {
                host,
                process,
                token,
                admission,
            };
            arrivals.admitted.lock().unwrap().insert(number, open);
            arrivals.bell.notify_one();
        }
    });
}

fn has_room(cluster: &Cluster, host: usize) -> bool {
    let place = &cluster.hosts[host];
    let quiet = place
        .disk_changed
        .lock()
        .unwrap()
        .is_none_or(|at| at.elapsed() > ROOM_AFTER);
    !cluster.settings.spool_is_small && place.disk.is_well() && quiet
}

fn check_answer(cluster: &Cluster, host: usize, number: u64, token: usize, answer: &Result<Admission, Refused>) {
    let status = answer.as_ref().err().map(|refused| refused.status);
    let what = answer
        .as_ref()
        .map_or_else(|refused| refused.message.as_str(), |_| "admitted");
    cluster.log(&format!("request {number} of token {token} at replica {host}: {what}"));
    cluster.model(host).request_answered(number, status);
    let place = &cluster.hosts[host];
    let checked = match status {
        None => {
            let lease = (!cluster.model(host).clock_jumped).then_some(cluster.settings.lease);
            let sound = cluster.sound_since(host);
            *place.admitted.lock().unwrap() += 1;
            cluster.tokens().check_admitted(token, sound, cluster.bound(), lease)
        }
        Some(401) if token == usize::MAX => Ok(()),
        Some(401) => cluster.tokens().check_denied(token).map_err(str::to_owned),
        Some(503) => Ok(()),
        Some(status) => Err(format!("nobody expects {status}")),
    };
    if let Err(why) = checked {
        cluster.violation(format!(
            "replica {host}, token {token}, request {number}: {what}, but {why}"
        ));
    }
}

/// A request ends with its record.
pub(super) fn finish(cluster: &Arc<Cluster>, number: u64, open: Open) {
    let Open {
        host,
        process,
        token,
        admission,
    } = open;
    let place = &cluster.hosts[host];
    let id = place.ambient.new_id();
    let model = match cluster.rng.below(100) {
        odd if odd < cluster.settings.odd_records && odd % 2 == 0 && poison_is_due(cluster) => {
            format!("{POISON}-{number}")
        }
        odd if odd < cluster.settings.odd_records => format!("{UNFIT}-{number}"),
        _ => format!("model-{number}"),
    };
    let record = record(cluster, host, token, id, &model);
    let disk_was_well = has_room(cluster, host) || (place.disk.is_well() && cluster.settings.spool_is_small);
    place.disk.take_last();
    cluster.log(&format!("request {number} ends at replica {host} as {model}"));
    let unrecorded = cluster.replica(host).map(|replica| replica.gateway().unrecorded());
    let kept = admission.finish(record);
    let given_up = cluster.replica(host).map(|replica| replica.gateway().unrecorded()) != unrecorded;
    let entry = Record {
        model,
        host,
        process,
        order: cluster.next(),
        at: Instant::now(),
        spot: place.disk.take_last(),
        disk_was_well,
        completed: false,
        must: !given_up,
        committed: false,
        synced: false,
        failed: false,
    };
    cluster.ledger().finished(id, entry);
    let cluster = cluster.clone();
    tokio::spawn(async move {
        if kept.await && cluster.model(host).process == Some(process) {
            cluster.ledger().completed(id);
        }
    });
}

/// Each poison record takes time to be found. In a small spool it can be alone for ever: while there is no room, no other record
/// is delivered.
fn poison_is_due(cluster: &Cluster) -> bool {
    !cluster.settings.spool_is_small && cluster.ledger().poison() < 2
}

fn record(cluster: &Cluster, host: usize, token: usize, id: InterceptionId, model: &str) -> InterceptionRecord {
    let now = cluster.hosts[host].ambient.now();
    let length = cluster
        .rng
        .below(if cluster.settings.spool_is_small { 12_000 } else { 600 });
    let prompt = Prompt {
        provider_response_id: String::new(),
        prompt: noise(id, usize::try_from(length).unwrap()).into(),
    };
    InterceptionRecord {
        id,
        token_hash: cluster.database().tokens[token].hash,
        provider: PROVIDER.to_owned(),
        provider_type: ProviderType::Anthropic,
        api: Api::AnthropicMessages,
        model: model.to_owned(),
        served_model: None,
        streaming: false,
        client: "Unknown".to_owned(),
        user_agent: String::new(),
        client_session_id: None,
        thread_parent_tool_call_id: None,
        credential_kind: CredentialKind::Centralized,
        credential_hint: String::new(),
        started_at: now,
        ended_at: now,
        outcome: Outcome::Completed,
        upstream_status: Some(200),
        error_type: None,
        error_message: None,
        provider_request_id: None,
        stop_reason: None,
        stored_object: None,
        completes: false,
        thread_parent_response_id: None,
        stored_items: Vec::new(),
        attempts: 1,
        time_to_first_byte_ms: None,
        overhead_us: 0,
        token_usages: Vec::new(),
        prompts: vec![prompt],
        tool_usages: Vec::new(),
        model_thoughts: Vec::new(),
    }
}

/// A text that hardly shrinks when it is compressed, the same for the same id.
fn noise(id: InterceptionId, length: usize) -> String {
    let mut state = id.as_uuid().as_u64_pair().1 | 1;
    let characters = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        char::from(b'!' + u8::try_from((state >> 40) % 94).unwrap())
    });
    characters.take(length).collect()
}
