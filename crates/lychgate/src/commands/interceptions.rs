//! `lychgate interceptions`: recorded AI requests.

use super::listing::{ListArgs, Listing};
use super::name_or_id;
use super::range::RangeArgs;
use crate::client::ApiClient;
use crate::client::credentials::{ServerArgs, connect};
use crate::config::Environment;
use crate::failure::Outcome;
use crate::terminal::output::{Field, Format, FormatArgs, json, lines, table, write};
use crate::terminal::plain::plain_lines;
use clap::Subcommand;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use lychgate_types::interception;
use serde_json::Value;

/// `lychgate interceptions …`.
#[derive(Debug, clap::Args)]
pub(crate) struct InterceptionsArgs {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    command: InterceptionsCommand,
}

#[derive(Debug, Subcommand)]
enum InterceptionsCommand {
    /// List recorded requests, newest first.
    List {
        #[command(flatten)]
        filters: Filters,
        #[command(flatten)]
        list: ListArgs,
    },
    /// Show a request with its token usage, prompt, tool calls and thoughts.
    Show {
        /// Id of the request
        id: String,
        #[command(flatten)]
        format: FormatArgs,
    },
}

#[derive(Debug, clap::Args)]
struct Filters {
    /// Only requests of this user, by name or id; the name of a deleted user, too, unless somebody else has it now
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only requests to this provider
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Only requests for this model
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Only requests of this client program
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Only requests of this session, by the id that the client shows or by ours
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Only requests with this outcome: completed, failed, client_aborted, interrupted, gateway_stopped or unfinished
    #[arg(long)]
    outcome: Option<interception::Outcome>,
    #[command(flatten)]
    range: RangeArgs,
}

const LISTING: Listing = Listing {
    path: PATH,
    entries: "interceptions",
    columns: &[
        Field("id", "id"),
        Field("started", "started_at"),
        Field("model", "model"),
        Field("outcome", "outcome"),
        Field("user", "user.username"),
        Field("input", "input_tokens"),
        Field("output", "output_tokens"),
        Field("tools", "tools"),
        Field("prompt", "prompt"),
    ],
    more: &[
        Field("provider", "provider"),
        Field("cached", "cache_read_input_tokens"),
        Field("client", "client"),
        Field("client session", "client_session_id"),
        Field("session", "session_id"),
    ],
};

const FIELDS: &[Field] = &[
    Field("id", "id"),
    Field("user", "user.username"),
    Field("token", "token_id"),
    Field("provider", "provider"),
    Field("api", "api"),
    Field("model", "model"),
    Field("served model", "served_model"),
    Field("streaming", "streaming"),
    Field("client", "client"),
    Field("user agent", "user_agent"),
    Field("session", "session_id"),
    Field("client session", "client_session_id"),
    Field("thread root", "thread_root_id"),
    Field("thread parent", "thread_parent_id"),
    Field("result of call", "thread_parent_tool_call_id"),
    Field("credential", "credential_kind"),
    Field("gateway key", "gateway_key_id"),
    Field("replica", "replica_id"),
    Field("started", "started_at"),
    Field("ended", "ended_at"),
    Field("outcome", "outcome"),
    Field("status", "upstream_status"),
    Field("error", "error_type"),
    Field("error message", "error_message"),
    Field("stop reason", "stop_reason"),
    Field("provider request", "provider_request_id"),
    Field("attempts", "attempts"),
    Field("first byte ms", "time_to_first_byte_ms"),
    Field("overhead µs", "overhead_us"),
];

const USAGE_COLUMNS: &[Field] = &[
    Field("response", "provider_response_id"),
    Field("input", "input_tokens"),
    Field("cache read", "cache_read_input_tokens"),
    Field("cache write", "cache_write_input_tokens"),
    Field("cache write 1h", "cache_write_1h_input_tokens"),
    Field("output", "output_tokens"),
    Field("reasoning", "reasoning_tokens"),
    Field("estimated", "estimated"),
    Field("model", "model"),
    Field("tier", "service_tier"),
    Field("speed", "speed"),
    Field("geo", "inference_geo"),
    Field("cost", "cost"),
];

const TOOL_COLUMNS: &[Field] = &[
    Field("tool", "tool"),
    Field("call", "tool_call_id"),
    Field("input", "input"),
];

const PATH: &str = "ai-gateway/interceptions";
/// Records fetched concurrently.
const AT_ONCE: usize = 8;
/// Characters of a prompt that a row shows.
const PROMPT_LENGTH: usize = 40;

/// Runs the command.
pub(crate) async fn run(args: InterceptionsArgs, environment: &Environment) -> Outcome {
    let api = connect(&args.server, environment)?;
    match args.command {
        InterceptionsCommand::List { filters, list } => {
            let mut query = vec![
                ("user", filters.user),
                ("provider", filters.provider),
                ("model", filters.model),
                ("client", filters.client),
                ("session", filters.session),
                ("outcome", filters.outcome.map(|outcome| outcome.to_string())),
            ];
            filters.range.add_to(&mut query);
            let explained = async |rows| with_content(&api, rows).await;
            LISTING.print_with(&api, query, list, explained).await
        }
        InterceptionsCommand::Show { id, format } => {
            let answer = api.get(&format!("{PATH}/{}", name_or_id(&id)?)).await?;
            match format.output {
                Format::Table => write(&page(&answer)),
                format => json(format, &answer),
            }
        }
    }
}

/// Adds the start of the prompt and the tool names to each row. The API's listing has no content, so each record is fetched.
async fn with_content(api: &ApiClient, rows: Vec<Value>) -> Outcome<Vec<Value>> {
    let row = async |mut row: Value| -> Outcome<Value> {
        let id = row["id"].as_str().unwrap_or_default();
        let whole = api.get(&format!("{PATH}/{}", name_or_id(id)?)).await?;
        row["prompt"] = start_of(whole["prompts"][0]["prompt"].as_str().unwrap_or_default()).into();
        let tools = whole["tool_usages"].as_array().map(Vec::as_slice).unwrap_or_default();
        row["tools"] = tools.iter().map(|usage| usage["tool"].clone()).collect();
        Ok(row)
    };
    stream::iter(rows).map(row).buffered(AT_ONCE).try_collect().await
}

/// The first words, on one line.
fn start_of(prompt: &str) -> String {
    let line = prompt.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(PROMPT_LENGTH) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}

/// The whole record as text: its fields, then each part under a heading.
fn page(answer: &Value) -> String {
    let list = |name: &str| answer[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut text = lines(answer, FIELDS);
    if !list("token_usages").is_empty() {
        text += &format!("\ntokens\n{}", table(list("token_usages"), USAGE_COLUMNS));
    }
    if !list("tool_usages").is_empty() {
        let row = |tool: &Value| {
            let mut row = tool.clone();
            row["input"] = format!("{}{}", tool["input"].as_str().unwrap_or_default(), truncated(tool)).into();
            row
        };
        let rows: Vec<_> = list("tool_usages").iter().map(row).collect();
        text += &format!("\ntool calls\n{}", table(&rows, TOOL_COLUMNS));
    }
    for prompt in list("prompts") {
        text += &format!(
            "\nprompt{}\n{}\n",
            truncated(prompt),
            plain_lines(prompt["prompt"].as_str().unwrap_or_default())
        );
    }
    for thought in list("model_thoughts") {
        let source = plain_lines(thought["source"].as_str().unwrap_or_default());
        text += &format!(
            "\nthought ({source}){}\n{}\n",
            truncated(thought),
            plain_lines(thought["content"].as_str().unwrap_or_default())
        );
    }
    text
}

/// What is said of a content of which the API gives the beginning only.
fn truncated(content: &Value) -> &'static str {
    match content["truncated"] == true {
        true => " (truncated)",
        false => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prompt_is_shown_on_one_line_and_cut_at_a_character() {
        assert_eq!(start_of(" one\n  two\t"), "one two");
        assert_eq!(start_of(&"é".repeat(40)), "é".repeat(40));
        assert_eq!(start_of(&"é".repeat(41)), format!("{}…", "é".repeat(40)));
    }

    #[test]
    fn a_record_shows_its_parts() {
        let answer = serde_json::json!({
            "id": "i", "user": { "username": "ada" },
            "token_usages": [{ "provider_response_id": "r", "input_tokens": 7, "estimated": false, "service_tier": "priority" }],
            "tool_usages": [{ "tool": "read", "tool_call_id": "t", "input": "{\"path\":\"a\\u001b\"}", "truncated": true }],
            "prompts": [{ "prompt": "hello\n\u{1b}[2J" }],
            "model_thoughts": [
                { "source": "thinking", "content": "well", "truncated": false },
                { "source": "commentary", "content": "lo", "truncated": true },
            ],
        });
        let text = page(&answer);
        for part in [
            "user              ada",
            "priority",
            "prompt\nhello\n\\u{1b}[2J\n",
            "thought (thinking)\nwell\n",
            "thought (commentary) (truncated)\nlo\n",
            "tool calls\nTOOL",
            "(truncated)\n\nprompt\n",
        ] {
            assert!(text.contains(part), "{part:?} is missing in:\n{text}");
        }
    }
}
