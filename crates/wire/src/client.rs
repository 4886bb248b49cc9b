//! Which program sent a request, and what it calls its session: one table, no code per client.

use crate::capture;
use std::borrow::Cow;

/// The name of a client that is none of the table's.
pub const UNKNOWN: &str = "Unknown";
/// The name of OpenAI's coding agent.
pub const CODEX: &str = "Codex";

/// What the headers tell about the client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ClientFacts {
    /// The client's name, from the table; [`UNKNOWN`] where it is none of them.
    pub client: &'static str,
    /// The client's own session id, where it sends one.
    pub session_id: Option<String>,
}

/// One client: it is recognised by any of `signs`; its session id is the first that `sessions` finds.
struct Client {
    name: &'static str,
    signs: &'static [Sign],
    sessions: &'static [Session],
}

enum Sign {
    /// The user agent begins with this, in any case.
    UserAgent(&'static str),
    /// The header has this value, in any case.
    HeaderIs(&'static str, &'static str),
    /// The header is there.
    HasHeader(&'static str),
}

enum Session {
    /// A header's value.
    Header(&'static str),
    /// What the request's body says ([`crate::RequestFacts::body_session_id`]).
    Body,
}

use Session::{Body, Header};
use Sign::{HasHeader, HeaderIs, UserAgent};

const CLIENTS: &[Client] = &[
    Client {
        name: "Claude Code",
        signs: &[UserAgent("claude")],
        sessions: &[Header("x-claude-code-session-id"), Body],
    },
    Client {
        name: CODEX,
        signs: &[UserAgent("codex")],
        sessions: &[Header("session_id"), Header("session-id")],
    },
    Client {
        name: "Copilot in VS Code",
        signs: &[UserAgent("githubcopilotchat/")],
        sessions: &[Header("x-interaction-id")],
    },
    Client {
        name: "Copilot CLI",
        signs: &[UserAgent("copilot/")],
        sessions: &[Header("x-client-session-id")],
    },
    Client {
        name: "Zed",
        signs: &[UserAgent("zed/")],
        sessions: &[],
    },
    Client {
        name: "Kilo Code",
        signs: &[UserAgent("kilo-code/"), HeaderIs("originator", "kilo-code")],
        sessions: &[Header("x-kilocode-taskid")],
    },
    Client {
        name: "Roo Code",
        signs: &[UserAgent("roo-code/"), HeaderIs("originator", "roo-code")],
        sessions: &[],
    },
    Client {
        name: "Cursor",
        signs: &[HasHeader("x-cursor-client-version")],
        sessions: &[],
    },
    Client {
        name: "Mux",
        signs: &[UserAgent("mux/")],
        sessions: &[Header("x-mux-workspace-id")],
    },
    Client {
        name: "Crush",
        signs: &[UserAgent("charm crush/")],
        sessions: &[],
    },
    Client {
        name: "Gemini CLI",
        signs: &[UserAgent("geminicli")],
        sessions: &[],
    },
    Client {
        name: "OpenCode",
        signs: &[UserAgent("opencode")],
        sessions: &[Header("x-opencode-session"), Header("x-session-affinity")],
    },
];

/// Finds the client in the table. `header` looks up a request header by its lower-case name; `body_session_id` is
/// [`crate::RequestFacts::body_session_id`].
pub fn identify<'a>(header: impl Fn(&str) -> Option<&'a str>, body_session_id: Option<&str>) -> ClientFacts {
    let agent = header("user-agent");
    let shows = |sign: &Sign| match sign {
        UserAgent(prefix) => agent.is_some_and(|agent| starts_with(agent, prefix)),
        HeaderIs(name, value) => header(name).is_some_and(|found| found.eq_ignore_ascii_case(value)),
        HasHeader(name) => header(name).is_some(),
    };
    let Some(client) = CLIENTS.iter().find(|client| client.signs.iter().any(shows)) else {
        return ClientFacts {
            client: UNKNOWN,
            session_id: None,
        };
    };
    let find = |session: &Session| match session {
        Header(name) => header(name)
            .map(str::trim)
            .filter(|id| !id.is_empty())
            .map(|id| capture::name(Cow::Borrowed(id))),
        // Cut where it was read; a second cut could leave half of the first one's mark.
        Body => body_session_id.filter(|id| !id.is_empty()).map(str::to_owned),
    };
    ClientFacts {
        client: client.name,
        session_id: client.sessions.iter().find_map(find),
    }
}

fn starts_with(text: &str, prefix: &str) -> bool {
    // Bytes, because a user agent may have a character where the prefix would end.
    text.as_bytes()
        .get(..prefix.len())
        .is_some_and(|head| head.eq_ignore_ascii_case(prefix.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::CUT_MARK;
    use lychgate_types::provider::Api;

    fn of(headers: &[(&str, &'static str)], body: Option<&str>) -> (&'static str, Option<String>) {
        let facts = identify(|name| headers.iter().find(|(n, _)| *n == name).map(|(_, v)| *v), body);
        (facts.client, facts.session_id)
    }

    #[test]
    fn each_client_is_known_by_its_sign_and_its_session_header() {
        for (agent, client, session) in [
            (
                "claude-cli/2.0.14 (external, cli)",
                "Claude Code",
                Some("x-claude-code-session-id"),
            ),
            ("codex_cli_rs/0.44.0 (Mac OS 26.0; arm64)", "Codex", Some("session_id")),
            ("Codex-TUI/1.2", "Codex", Some("session-id")),
            (
                "GitHubCopilotChat/0.31.0",
                "Copilot in VS Code",
                Some("x-interaction-id"),
            ),
            ("copilot/0.0.330 (linux)", "Copilot CLI", Some("x-client-session-id")),
            ("Zed/0.206.6+stable (linux; x86_64)", "Zed", None),
            ("Kilo-Code/4.98.0", "Kilo Code", Some("x-kilocode-taskid")),
            ("Roo-Code/3.28.0", "Roo Code", None),
            ("mux/0.9", "Mux", Some("x-mux-workspace-id")),
            ("Charm Crush/0.10 (https://charm.land)", "Crush", None),
            ("opencode/0.14.1", "OpenCode", Some("x-opencode-session")),
            ("opencode/0.14.1", "OpenCode", Some("x-session-affinity")),
        ] {
            let mut headers = vec![("user-agent", agent)];
            headers.extend(session.map(|name| (name, " s-1 ")));
            assert_eq!(
                of(&headers, None),
                (client, session.map(|_| "s-1".to_owned())),
                "{agent}"
            );
        }
        assert_eq!(
            of(&[("originator", "Kilo-Code"), ("x-kilocode-taskid", "t")], None).0,
            "Kilo Code"
        );
        assert_eq!(of(&[("originator", "roo-code")], None).0, "Roo Code");
        assert_eq!(of(&[("x-cursor-client-version", "2.0")], None).0, "Cursor");
    }

    #[test]
    fn prefixes_are_anchored() {
        for agent in ["my-claude/1", "github-copilot/1", "crush/1", "ze", "", "zed", "é"] {
            assert_eq!(of(&[("user-agent", agent)], None), (UNKNOWN, None), "{agent}");
        }
        assert_eq!(of(&[("originator", "kilo-code-fork")], None).0, UNKNOWN);
    }

    #[test]
    fn the_first_session_wins_and_no_other_clients_counts() {
        let claude = ("user-agent", "claude-cli/2");
        assert_eq!(
            of(&[claude, ("x-claude-code-session-id", "h")], Some("b")).1.as_deref(),
            Some("h")
        );
        assert_eq!(
            of(&[claude, ("x-claude-code-session-id", " ")], Some("b")).1.as_deref(),
            Some("b")
        );
        assert_eq!(of(&[claude, ("session_id", "codex")], None).1, None);
        assert_eq!(
            of(&[("user-agent", "zed/1"), ("session_id", "codex")], Some("b")).1,
            None
        );
        assert_eq!(
            of(&[("user-agent", "curl/8"), ("x-session-affinity", "a")], Some("b")),
            (UNKNOWN, None)
        );
    }

    #[test]
    fn long_sessions_are_cut_once() {
        let long = format!("{}🔑", "a".repeat(509));
        let cut = format!("{}{CUT_MARK}", "a".repeat(509));
        let body = format!(r#"{{"metadata":{{"user_id":"_session_{long}"}}}}"#);
        let body = crate::read_request(Api::AnthropicMessages, None, body.as_bytes()).unwrap();
        let claude = |name: &str| (name == "user-agent").then_some("claude-cli/2");
        let facts = identify(claude, body.body_session_id.as_deref());
        assert_eq!(facts.session_id.as_deref(), Some(cut.as_str()));
        let mux = |name: &str| match name {
            "user-agent" => Some("mux/1"),
            "x-mux-workspace-id" => Some(long.as_str()),
            _ => None,
        };
        assert_eq!(identify(mux, None).session_id, Some(cut));
    }
}
