//! OpenAI Responses: the output items of an answer.

use crate::answer::{Answer, Call, End, fragments, pieces};
use crate::json::quoted;
use crate::scenario::Scenario;
use crate::seed::Seed;
use serde_json::Value;

/// An output item: how it begins in a stream, the events in between (name and members), and what it is in the end.
pub(crate) struct Item {
    pub(crate) id: String,
    pub(crate) begin: String,
    pub(crate) between: Vec<(&'static str, String)>,
    pub(crate) whole: String,
}

/// The items of an answer, in order.
pub(crate) fn items(answer: &mut Answer, scenario: Scenario) -> Vec<Item> {
    let mut items = Vec::new();
    if let Some(thought) = answer.thought.take() {
        items.push(reasoning(&mut answer.seed, &thought));
    }
    if let Some(commentary) = answer.commentary.take() {
        items.push(message(&mut answer.seed, &commentary, Some("commentary"), End::Stop));
    }
    for call in std::mem::take(&mut answer.calls) {
        items.push(function_call(&mut answer.seed, &call));
    }
    if scenario == Scenario::EveryTool {
        items.extend(other_calls(&mut answer.seed));
    }
    if let Some(text) = answer.text.take() {
        items.push(message(&mut answer.seed, &text, None, answer.end));
    }
    items
}

fn reasoning(seed: &mut Seed, thought: &str) -> Item {
    let id = seed.hex("rs_", 50);
    let encrypted = seed.id("gAAAAAB", 120);
    let text = quoted(thought);
    let part = format!(r#"{{"type":"summary_text","text":{text}}}"#);
    let mut between = vec![(
        "response.reasoning_summary_part.added",
        r#""summary_index":0,"part":{"type":"summary_text","text":""}"#.to_owned(),
    )];
    for piece in pieces(thought) {
        let members = format!(r#""summary_index":0,"delta":{}"#, quoted(piece));
        between.push(("response.reasoning_summary_text.delta", members));
    }
    between.push((
        "response.reasoning_summary_text.done",
        format!(r#""summary_index":0,"text":{text}"#),
    ));
    between.push((
        "response.reasoning_summary_part.done",
        format!(r#""summary_index":0,"part":{part}"#),
    ));
    Item {
        begin: format!(r#"{{"id":"{id}","type":"reasoning","encrypted_content":"{encrypted}","summary":[]}}"#),
        between,
        whole: format!(r#"{{"id":"{id}","type":"reasoning","encrypted_content":"{encrypted}","summary":[{part}]}}"#),
        id,
    }
}

fn message(seed: &mut Seed, text: &str, phase: Option<&str>, end: End) -> Item {
    let id = seed.hex("msg_", 50);
    let status = if end == End::Length { "incomplete" } else { "completed" };
    let phase = phase.map(|phase| format!(r#","phase":"{phase}""#)).unwrap_or_default();
    let (delta, done, part) = if end == End::Refusal {
        let part = |text: &str| format!(r#"{{"type":"refusal","refusal":{}}}"#, quoted(text));
        (
            "response.refusal.delta",
            "response.refusal.done",
            [part(""), part(text)],
        )
    } else {
        let part = |text: &str| {
            format!(
                r#"{{"type":"output_text","annotations":[],"logprobs":[],"text":{}}}"#,
                quoted(text)
            )
        };
        (
            "response.output_text.delta",
            "response.output_text.done",
            [part(""), part(text)],
        )
    };
    let (logprobs, member) = if end == End::Refusal {
        ("", "refusal")
    } else {
        (r#","logprobs":[]"#, "text")
    };
    let mut between = vec![(
        "response.content_part.added",
        format!(r#""content_index":0,"part":{}"#, part[0]),
    )];
    for piece in pieces(text) {
        between.push((
            delta,
            format!(r#""content_index":0,"delta":{}{logprobs}"#, quoted(piece)),
        ));
    }
    between.push((
        done,
        format!(r#""content_index":0,"{member}":{}{logprobs}"#, quoted(text)),
    ));
    between.push((
        "response.content_part.done",
        format!(r#""content_index":0,"part":{}"#, part[1]),
    ));
    Item {
        begin: format!(
            r#"{{"id":"{id}","type":"message","status":"in_progress","content":[],"role":"assistant"{phase}}}"#
        ),
        between,
        whole: format!(
            r#"{{"id":"{id}","type":"message","status":"{status}","content":[{}],"role":"assistant"{phase}}}"#,
            part[1]
        ),
        id,
    }
}

fn function_call(seed: &mut Seed, call: &Call) -> Item {
    let (name, input) = (quoted(&call.name), quoted(&call.arguments));
    let call_id = seed.id("call_", 24);
    let (prefix, kind, member, delta, done) = if call.custom {
        (
            "ctc_",
            "custom_tool_call",
            "input",
            "response.custom_tool_call_input.delta",
            "response.custom_tool_call_input.done",
        )
    } else {
        let events = (
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
        );
        ("fc_", "function_call", "arguments", events.0, events.1)
    };
    let id = seed.hex(prefix, 50);
    let item = |status: &str, input: &str| {
        format!(
            r#"{{"id":"{id}","type":"{kind}","status":"{status}","{member}":{input},"call_id":"{call_id}","name":{name}}}"#
        )
    };
    let mut between: Vec<_> = fragments(&call.arguments)
        .iter()
        .map(|fragment| (delta, format!(r#""delta":{}"#, quoted(fragment))))
        .collect();
    between.push((done, format!(r#""{member}":{input}"#)));
    Item {
        begin: item("in_progress", r#""""#),
        between,
        whole: item("completed", &input),
        id,
    }
}

/// One call of each further kind; most have no deltas of their own.
fn other_calls(seed: &mut Seed) -> Vec<Item> {
    let custom = Call {
        name: "free_text".to_owned(),
        arguments: "SELECT 1;\n".to_owned(),
        custom: true,
    };
    let mut items = vec![function_call(seed, &custom)];
    let patch = Value::from("@@\n-old\n+new\n");
    for (prefix, kind, members) in [
        (
            "lsh_",
            "local_shell_call",
            r#""action":{"type":"exec","command":["ls","-l"],"env":{}}"#.to_owned(),
        ),
        (
            "sh_",
            "shell_call",
            r#""action":{"commands":["ls -l"],"timeout_ms":null,"max_output_length":null}"#.to_owned(),
        ),
        (
            "apc_",
            "apply_patch_call",
            format!(r#""operation":{{"type":"update_file","path":"a.txt","diff":{patch}}}"#),
        ),
        (
            "cu_",
            "computer_call",
            r#""action":{"type":"click","button":"left","x":10,"y":20},"pending_safety_checks":[]"#.to_owned(),
        ),
    ] {
        let call_id = seed.id("call_", 24);
        items.push(plain(
            seed.hex(prefix, 50),
            kind,
            &format!(r#""call_id":"{call_id}",{members}"#),
            None,
        ));
    }
    let arguments = quoted(r#"{"path":"README.md"}"#);
    let mcp = format!(
        r#""server_label":"files","name":"read","arguments":{arguments},"output":"text","error":null,"approval_request_id":null"#
    );
    items.push(plain(seed.hex("mcp_", 50), "mcp_call", &mcp, Some("response.mcp_call")));
    let search = r#""action":{"type":"search","query":"example","sources":null}"#;
    items.push(plain(
        seed.hex("ws_", 50),
        "web_search_call",
        search,
        Some("response.web_search_call"),
    ));
    items
}

/// An item that comes whole, with the provider's progress events where it has them.
fn plain(id: String, kind: &str, members: &str, progress: Option<&str>) -> Item {
    let item = |status: &str| format!(r#"{{"id":"{id}","type":"{kind}","status":"{status}",{members}}}"#);
    let between = match progress {
        Some("response.mcp_call") => vec!["response.mcp_call.in_progress", "response.mcp_call.completed"],
        Some(_) => vec![
            "response.web_search_call.in_progress",
            "response.web_search_call.searching",
            "response.web_search_call.completed",
        ],
        None => Vec::new(),
    };
    // Progress events have no members of their own; this one justifies the comma before it.
    let between = between
        .into_iter()
        .map(|name| (name, r#""obfuscation":"""#.to_owned()))
        .collect();
    Item {
        begin: item("in_progress"),
        between,
        whole: item("completed"),
        id,
    }
}
