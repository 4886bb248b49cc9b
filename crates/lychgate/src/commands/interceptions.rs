//! `lychgate interceptions`: recorded AI requests.

use super::{PageArgs, name_or_id};
use crate::config::Environment;
use crate::credentials::{ServerArgs, connect};
use crate::failure::Outcome;
use crate::output::{Field, Format, FormatArgs, json, lines, listing, plain_lines, table, write};
use clap::Subcommand;
use lychgate_types::Timestamp;
use lychgate_types::interception;
use serde_json::Value;

/// `lychgate interceptions …`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(flatten)]
    server: ServerArgs,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List interceptions, newest first.
    List {
        #[command(flatten)]
        filters: Filters,
        #[command(flatten)]
        page: PageArgs,
        #[command(flatten)]
        format: FormatArgs,
    },
    /// Show one, with its token usages, prompt, tool calls and thoughts.
    Show {
        /// Its id
        id: String,
        #[command(flatten)]
        format: FormatArgs,
    },
}

#[derive(Debug, clap::Args)]
struct Filters {
    /// Only this user's, by name or id
    #[arg(long, value_name = "USER")]
    user: Option<String>,
    /// Only this provider's
    #[arg(long, value_name = "NAME")]
    provider: Option<String>,
    /// Only this model's
    #[arg(long, value_name = "NAME")]
    model: Option<String>,
    /// Only this client program's
    #[arg(long, value_name = "NAME")]
    client: Option<String>,
    /// Only this session's
    #[arg(long, value_name = "ID")]
    session: Option<String>,
    /// Only with this end: completed, failed or client_aborted
    #[arg(long)]
    outcome: Option<interception::Outcome>,
    /// Only from this time on
    #[arg(long, value_name = "TIME")]
    since: Option<Timestamp>,
    /// Only before this time
    #[arg(long, value_name = "TIME")]
    until: Option<Timestamp>,
}

const COLUMNS: &[Field] = &[
    Field("id", "id"),
    Field("started", "started_at"),
    Field("user", "user.username"),
    Field("provider", "provider"),
    Field("model", "model"),
    Field("client", "client"),
    Field("stream", "streaming"),
    Field("outcome", "outcome"),
    Field("input", "input_tokens"),
    Field("cached", "cache_read_input_tokens"),
    Field("output", "output_tokens"),
    Field("tools", "tool_usage_count"),
];

const FIELDS: &[Field] = &[
    Field("id", "id"),
    Field("user", "user.username"),
    Field("token", "token_id"),
    Field("provider", "provider"),
    Field("api", "api"),
    Field("model", "model"),
    Field("streaming", "streaming"),
    Field("client", "client"),
    Field("user agent", "user_agent"),
    Field("session", "session_id"),
    Field("client session", "client_session_id"),
    Field("thread root", "thread_root_id"),
    Field("thread parent", "thread_parent_id"),
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
];

const TOOL_COLUMNS: &[Field] = &[
    Field("tool", "tool"),
    Field("call", "tool_call_id"),
    Field("input", "input"),
];

const PATH: &str = "ai-gateway/interceptions";

/// Runs the command.
pub(crate) async fn run(args: Args, environment: &Environment) -> Outcome {
    let api = connect(&args.server, environment)?;
    match args.verb {
        Verb::List { filters, page, format } => {
            let filters = vec![
                ("user", filters.user),
                ("provider", filters.provider),
                ("model", filters.model),
                ("client", filters.client),
                ("session", filters.session),
                ("outcome", filters.outcome.map(|outcome| outcome.to_string())),
                ("since", filters.since.map(|at| at.to_string())),
                ("until", filters.until.map(|at| at.to_string())),
            ];
            let answer = api.get_with(PATH, &page.query(filters)).await?;
            listing(format.output, &answer, "interceptions", COLUMNS)
        }
        Verb::Show { id, format } => {
            let answer = api.get(&format!("{PATH}/{}", name_or_id(&id)?)).await?;
            match format.output {
                Format::Json => json(&answer),
                Format::Table => write(&page(&answer)),
            }
        }
    }
}

/// The whole record as text: its fields, then its parts under their headings.
fn page(answer: &Value) -> String {
    let list = |name: &str| answer[name].as_array().map(Vec::as_slice).unwrap_or_default();
    let mut text = lines(answer, FIELDS);
    if !list("token_usages").is_empty() {
        text += &format!("\ntokens\n{}", table(list("token_usages"), USAGE_COLUMNS));
    }
    if !list("tool_usages").is_empty() {
        text += &format!("\ntool calls\n{}", table(list("tool_usages"), TOOL_COLUMNS));
    }
    for prompt in list("prompts") {
        text += &format!(
            "\nprompt\n{}\n",
            plain_lines(prompt["prompt"].as_str().unwrap_or_default())
        );
    }
    for thought in list("model_thoughts") {
        let source = plain_lines(thought["source"].as_str().unwrap_or_default());
        text += &format!(
            "\nthought ({source})\n{}\n",
            plain_lines(thought["content"].as_str().unwrap_or_default())
        );
    }
    text
}
