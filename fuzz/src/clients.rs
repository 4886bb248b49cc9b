//! What is said of finding the client: name and session id are those that a second reader finds, which has the
//! specification's table as branches.

use crate::bounds::clipped;
use crate::json;
use lychgate_types::provider::Api;
use lychgate_wire::client::{ClientFacts, identify};
use lychgate_wire::limits::NAME_BYTES;
use lychgate_wire::read_request;

/// Longer than any prefix in the table.
const PREFIXES: usize = 24;

/// Finds the client by headers, looked up by name, and by the `metadata.user_id` of a request's body.
pub fn check<'a>(header: impl Fn(&str) -> Option<&'a str>, user_id: &str) {
    let body = serde_json::json!({"metadata": {"user_id": user_id}}).to_string();
    let request = read_request(Api::AnthropicMessages, None, body.as_bytes()).expect("an object");
    let of_body = request.body_session_id.as_deref();
    if let Some(session) = user_session(user_id) {
        assert_eq!(of_body, session.map(|id| clipped(&id, NAME_BYTES)).as_deref());
    }

    compare(&header, of_body);
    let client = name(&header);
    let others_sessions = |name: &str| match session_header(name) {
        Some((owner, header)) => (owner != client).then_some(header),
        None => header(name),
    };
    compare(others_sessions, of_body);
    let agent = header("user-agent").unwrap_or_default();
    for start in (0..PREFIXES).filter_map(|end| agent.get(..end)) {
        let shorter = |name: &str| match name {
            "user-agent" => Some(start),
            _ => header(name),
        };
        compare(shorter, of_body);
    }
}

/// `said` is the session that the body holds, cut to what is kept.
fn compare<'a>(header: impl Fn(&str) -> Option<&'a str>, said: Option<&str>) {
    let client = name(&header);
    let row = SESSIONS.iter().find(|(name, _)| *name == client);
    let ids = row
        .into_iter()
        .flat_map(|(_, names)| *names)
        .filter_map(|name| header(name));
    let of_header = ids.map(str::trim).find(|id| !id.is_empty());
    let of_body = said.filter(|id| !id.is_empty() && client == "Claude Code");
    let wanted = ClientFacts {
        client,
        session_id: of_header
            .map(|id| clipped(id, NAME_BYTES))
            .or(of_body.map(str::to_owned)),
    };
    assert_eq!(identify(header, said), wanted);
}

/// The session that a `user_id` holds, uncut. The outer `None` says that there may be one and this reader can't tell.
pub fn user_session(user_id: &str) -> Option<Option<String>> {
    if user_id.trim_start().starts_with('{') {
        return match json::value(user_id.as_bytes()) {
            Some(value) => Some(value["session_id"].as_str().map(str::to_owned)),
            None if json::is_object(user_id.as_bytes()) => None,
            None => Some(None),
        };
    }
    let after = user_id.find("_session_").map(|at| &user_id[at + "_session_".len()..]);
    Some(after.filter(|id| !id.is_empty()).map(str::to_owned))
}

/// The first of the table of which the headers show a sign.
fn name<'a>(header: impl Fn(&str) -> Option<&'a str>) -> &'static str {
    let lower = |name: &str| header(name).unwrap_or_default().to_ascii_lowercase();
    let (agent, origin) = (lower("user-agent"), lower("originator"));
    if agent.starts_with("claude") {
        "Claude Code"
    } else if agent.starts_with("codex") {
        "Codex"
    } else if agent.starts_with("githubcopilotchat/") {
        "Copilot in VS Code"
    } else if agent.starts_with("copilot/") {
        "Copilot CLI"
    } else if agent.starts_with("zed/") {
        "Zed"
    } else if agent.starts_with("kilo-code/") || origin == "kilo-code" {
        "Kilo Code"
    } else if agent.starts_with("roo-code/") || origin == "roo-code" {
        "Roo Code"
    } else if header("x-cursor-client-version").is_some() {
        "Cursor"
    } else if agent.starts_with("mux/") {
        "Mux"
    } else if agent.starts_with("charm crush/") {
        "Crush"
    } else if agent.starts_with("opencode") {
        "OpenCode"
    } else {
        "Unknown"
    }
}

/// A session header by its name, and the client that it belongs to.
fn session_header(name: &str) -> Option<(&'static str, &'static str)> {
    let mut all = SESSIONS
        .iter()
        .flat_map(|(client, names)| names.iter().map(|name| (*client, *name)));
    all.find(|(_, header)| *header == name)
}

/// The headers that may hold a client's session id. No other client's counts.
const SESSIONS: &[(&str, &[&str])] = &[
    ("Claude Code", &["x-claude-code-session-id"]),
    ("Codex", &["session_id", "session-id"]),
    ("Copilot in VS Code", &["x-interaction-id"]),
    ("Copilot CLI", &["x-client-session-id"]),
    ("Kilo Code", &["x-kilocode-taskid"]),
    ("Mux", &["x-mux-workspace-id"]),
    ("OpenCode", &["x-opencode-session", "x-session-affinity"]),
];
