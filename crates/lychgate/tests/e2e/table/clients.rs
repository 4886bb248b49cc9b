//! The clients that are known, and where their sessions come from.

use super::row::Row;
use lychgate_scripted::Endpoint;
use serde_json::{Value, json};

const BODY_SESSION: &str = r#"{"device_id":"d","account_uuid":"","session_id":"s-body"}"#;

pub(super) fn rows() -> Vec<Row> {
    let client = |name: &'static str, agent: &'static str| {
        let answer = r#"{"id":"msg_1","type":"message","role":"assistant","content":[],"stop_reason":"end_turn","usage":{"input_tokens":1,"output_tokens":2}}"#;
        Row::blocking(Endpoint::Messages, name, answer)
            .header("user-agent", agent)
            .records(json!({
                "client": name, "stop_reason": "end_turn",
                "usage": {"provider_response_id": "msg_1", "input_tokens": 1, "output_tokens": 2},
            }))
    };
    let session = |row: Row, id: &str, session: &str| row.records(json!({"client_session_id": id, "session": session}));
    // Another client's session headers, which must not count.
    let strangers = |row: Row| {
        row.header("session_id", "codex's")
            .header("x-interaction-id", "vs code's")
    };
    vec![
        session(
            client("Claude Code", "claude-cli/2.1.0 (external, cli)")
                .header("x-claude-code-session-id", "s-1")
                .asks(metadata(BODY_SESSION)),
            "s-1",
            "a new one",
        ),
        session(
            client("Claude Code", "Claude-Desktop/1").asks(metadata(BODY_SESSION)),
            "s-body",
            "a new one",
        ),
        session(
            client("Claude Code", "claude-cli/1.0").asks(metadata("user_0a1b_account_5f_session_s-1")),
            "s-1",
            "Claude Code",
        ),
        strangers(client("Claude Code", "claude-cli/2.1.0")),
        session(
            client("Codex", "codex_cli_rs/0.44.0 (Mac OS 26.0; arm64)").header("session_id", "s-1"),
            "s-1",
            "a new one",
        ),
        session(
            client("Codex", "Codex-TUI/1.2").header("session-id", "s-1"),
            "s-1",
            "Codex",
        ),
        session(
            client("Copilot in VS Code", "GitHubCopilotChat/0.31.0").header("x-interaction-id", "s-1"),
            "s-1",
            "a new one",
        ),
        session(
            client("Copilot CLI", "copilot/0.0.330 (linux)").header("x-client-session-id", "s-1"),
            "s-1",
            "a new one",
        ),
        strangers(client("Zed", "Zed/0.206.6+stable (linux; x86_64)")),
        session(
            client("Kilo Code", "Kilo-Code/4.98.0").header("x-kilocode-taskid", "s-1"),
            "s-1",
            "a new one",
        ),
        strangers(client("Kilo Code", "node").header("originator", "kilo-code")),
        strangers(client("Roo Code", "Roo-Code/3.28.0")),
        strangers(client("Roo Code", "node").header("originator", "roo-code")),
        strangers(client("Cursor", "whatever").header("x-cursor-client-version", "2.0")),
        session(
            client("Mux", "mux/0.9").header("x-mux-workspace-id", "s-1"),
            "s-1",
            "a new one",
        ),
        strangers(client("Crush", "Charm Crush/0.10 (https://charm.land)")),
        session(
            client("OpenCode", "opencode/0.14.1").header("x-opencode-session", "s-1"),
            "s-1",
            "a new one",
        ),
        session(
            client("OpenCode", "opencode/0.14.1").header("x-session-affinity", "s-1"),
            "s-1",
            "OpenCode",
        ),
        strangers(client("Unknown", "my-claude-cli/2")).asks(metadata(BODY_SESSION)),
    ]
}

fn metadata(user_id: &str) -> Value {
    json!({"metadata": {"user_id": user_id}})
}
