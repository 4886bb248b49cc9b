//! Reading interceptions.

pub(crate) mod completion;
pub(crate) mod ingest;

use crate::engine::{Assembled, Conn, Moment, Row, args, cut, foreign};
use crate::error::StoreError;
use crate::guard::Found;
use crate::page::Page;
use crate::rows::interceptions::{InterceptionSummary, TokenSums};
use crate::rows::users::UserRef;
use ingest::LABEL;
use lychgate_types::interception::{ModelThought, Outcome, Prompt, TokenUsage, ToolUsage};
use lychgate_types::{Content, InterceptionId, Timestamp, UserId};
use uuid::Uuid;

/// The page's rows first, then the sums over those alone.
macro_rules! page {
    () => {
        "WITH page AS (SELECT i.id, i.user_id, i.token_id, i.provider, i.provider_type, i.api, i.model, i.served_model, \
         i.streaming, \
         i.client, i.user_agent, i.client_session_id, i.session_id, i.thread_parent_tool_call_id, \
         i.thread_parent_id, i.thread_root_id, \
         i.credential_kind, i.credential_hint, i.gateway_key_id, i.replica_id, i.started_at, i.ended_at, i.outcome, \
         i.upstream_status, i.error_type, i.error_message, i.provider_request_id, i.stop_reason, i.attempts, \
         i.time_to_first_byte_ms, i.overhead_us, i.times_replaced, i.received_at, i.told_started_at, i.told_ended_at FROM interceptions i WHERE "
    };
}
macro_rules! with_sums {
    () => {
        "), sums AS (SELECT t.interception_id, CAST(SUM(t.input_tokens) AS BIGINT) AS input_tokens, \
         CAST(SUM(t.output_tokens) AS BIGINT) AS output_tokens, \
         CAST(SUM(t.cache_read_input_tokens) AS BIGINT) AS cache_read_input_tokens, \
         CAST(SUM(t.cache_write_input_tokens) AS BIGINT) AS cache_write_input_tokens, \
         CAST(SUM(t.cache_write_1h_input_tokens) AS BIGINT) AS cache_write_1h_input_tokens, \
         CAST(SUM(t.reasoning_tokens) AS BIGINT) AS reasoning_tokens, \
         CAST(MAX(CASE WHEN t.estimated THEN 1 ELSE 0 END) AS BIGINT) AS estimated \
         FROM token_usages t WHERE t.interception_id IN (SELECT id FROM page) GROUP BY t.interception_id) \
         SELECT p.id, p.user_id, u.username, u.deleted_at AS user_deleted_at, p.token_id, p.provider, p.provider_type, p.api, \
         p.model, p.served_model, p.streaming, \
         p.client, p.user_agent, p.client_session_id, p.session_id, p.thread_parent_tool_call_id, \
         p.thread_parent_id, p.thread_root_id, \
         p.credential_kind, p.credential_hint, p.gateway_key_id, p.replica_id, p.started_at, p.ended_at, p.outcome, \
         p.upstream_status, p.error_type, p.error_message, p.provider_request_id, p.stop_reason, p.attempts, \
         p.time_to_first_byte_ms, p.overhead_us, p.times_replaced, p.received_at, p.told_started_at, p.told_ended_at, COALESCE(s.input_tokens, 0) AS input_tokens, \
         COALESCE(s.output_tokens, 0) AS output_tokens, \
         COALESCE(s.cache_read_input_tokens, 0) AS cache_read_input_tokens, \
         COALESCE(s.cache_write_input_tokens, 0) AS cache_write_input_tokens, \
         COALESCE(s.cache_write_1h_input_tokens, 0) AS cache_write_1h_input_tokens, \
         COALESCE(s.reasoning_tokens, 0) AS reasoning_tokens, COALESCE(s.estimated, 0) AS estimated \
         FROM page p JOIN users u ON u.id = p.user_id LEFT JOIN sums s ON s.interception_id = p.id "
    };
}

/// Conditions follow, and what ends the page.
const LIST: &str = concat!(page!(), "(i.started_at, i.id) < ($1, $2)");

super::statements! {
    FIND = concat!(page!(), "i.id = $1", with_sums!());
    /// With conditions that follow.
    ANY = "SELECT i.id FROM interceptions i WHERE (i.started_at, i.id) < ($1, $2)";
    TOKEN_USAGES = "SELECT provider_response_id, input_tokens, output_tokens, cache_read_input_tokens, \
         cache_write_input_tokens, cache_write_1h_input_tokens, reasoning_tokens, estimated, extra, attributes \
         FROM token_usages WHERE interception_id = $1 ORDER BY position";
    PROMPTS = "SELECT provider_response_id, prompt, prompt_zstd FROM prompts WHERE interception_id = $1 ORDER BY position";
    TOOL_USAGES = "SELECT provider_response_id, tool_call_id, tool, input, input_zstd FROM tool_usages \
         WHERE interception_id = $1 ORDER BY position";
    MODEL_THOUGHTS = "SELECT content, content_zstd, source FROM model_thoughts WHERE interception_id = $1 ORDER BY position";
}

fn read(row: &Row) -> Result<InterceptionSummary, StoreError> {
    Ok(InterceptionSummary {
        id: row.id("id")?,
        user: UserRef {
            id: row.id("user_id")?,
            username: row.text("username")?,
            deleted: row.opt_time("user_deleted_at")?.is_some(),
        },
        token_id: row.id("token_id")?,
        provider: row.text("provider")?,
        provider_type: row.parsed("provider_type")?,
        api: row.parsed("api")?,
        model: row.text("model")?,
        served_model: row.opt_text("served_model")?,
        streaming: row.bool("streaming")?,
        client: row.text("client")?,
        user_agent: row.text("user_agent")?,
        client_session_id: row.opt_text("client_session_id")?,
        session_id: row.uuid("session_id")?,
        thread_parent_tool_call_id: row.opt_text("thread_parent_tool_call_id")?,
        thread_parent_id: row.opt_id("thread_parent_id")?,
        thread_root_id: row.opt_id("thread_root_id")?,
        credential_kind: row.parsed("credential_kind")?,
        credential_hint: row.text("credential_hint")?,
        gateway_key_id: row.opt_id("gateway_key_id")?,
        replica_id: row.opt_id("replica_id")?,
        started_at: row.time("started_at")?,
        ended_at: row.time("ended_at")?,
        outcome: row.parsed("outcome")?,
        upstream_status: row
            .opt_int("upstream_status")?
            .map(u16::try_from)
            .transpose()
            .map_err(foreign)?,
        error_type: row.opt_text("error_type")?,
        error_message: row.opt_text("error_message")?,
        provider_request_id: row.opt_text("provider_request_id")?,
        stop_reason: row.opt_text("stop_reason")?,
        attempts: u32::try_from(row.int("attempts")?).map_err(foreign)?,
        time_to_first_byte_ms: row.opt_int("time_to_first_byte_ms")?,
        overhead_us: row.int("overhead_us")?,
        times_replaced: row.bool("times_replaced")?,
        received_at: row.opt_time("received_at")?,
        told_times: row.opt_time("told_started_at")?.zip(row.opt_time("told_ended_at")?),
        tokens: TokenSums {
            input_tokens: row.int("input_tokens")?,
            output_tokens: row.int("output_tokens")?,
            cache_read_input_tokens: row.int("cache_read_input_tokens")?,
            cache_write_input_tokens: row.int("cache_write_input_tokens")?,
            cache_write_1h_input_tokens: row.int("cache_write_1h_input_tokens")?,
            reasoning_tokens: row.int("reasoning_tokens")?,
            estimated: row.int("estimated")? != 0,
        },
    })
}

/// Which rows are wanted: the filter, with what it names looked up.
#[derive(Clone, Default)]
pub(crate) struct Wanted {
    pub(crate) user: Option<UserId>,
    pub(crate) provider: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) client: Option<String>,
    pub(crate) session: Option<Session>,
    pub(crate) outcome: Option<Outcome>,
    pub(crate) since: Option<Timestamp>,
    pub(crate) until: Option<Timestamp>,
}

/// How a session is named.
#[derive(Clone)]
pub(crate) enum Session {
    /// By the gateway.
    Ours(Uuid),
    /// By the client.
    Clients(String),
}

impl Wanted {
    /// Each with an index that is entered at the value and goes on by time. Of outcomes, the usual one has none: nearly all rows have it.
    fn conditions(&self, statement: Assembled) -> Assembled {
        let text = |text: &Option<String>| text.as_deref().map(|text| cut(text, LABEL).to_owned());
        let statement = statement
            .given(" AND i.started_at >= ?", self.since.map(Moment::at))
            .given(" AND i.user_id = ?", self.user)
            .given(" AND i.provider = ?", text(&self.provider))
            .given(" AND i.model = ?", text(&self.model))
            .given(" AND i.client = ?", text(&self.client));
        let statement = match &self.session {
            None => statement,
            Some(Session::Ours(id)) => statement.part(" AND i.session_id = ?", args![*id]),
            Some(Session::Clients(id)) => statement.part(" AND i.client_session_id = ?", args![cut(id, LABEL)]),
        };
        match self.outcome {
            None => statement,
            Some(Outcome::Completed) => statement.part(" AND i.outcome = 'completed'", args![]),
            Some(outcome) => statement.part(
                " AND i.outcome = ? AND i.outcome <> 'completed'",
                args![outcome.as_str()],
            ),
        }
    }

    pub(super) fn listing(&self, page: Page) -> Assembled {
        let (at, id) = super::descending(page, self.until);
        self.conditions(Assembled::new(LIST, args![at, id]))
            .part(" ORDER BY i.started_at DESC, i.id DESC LIMIT ?", args![page.fetch()])
            .part(concat!(with_sums!(), "ORDER BY p.started_at DESC, p.id DESC"), args![])
    }

    pub(super) fn any(&self) -> Assembled {
        let (at, id) = super::descending(Page::first(1), self.until);
        self.conditions(Assembled::new(ANY, args![at, id]))
            .part(" LIMIT 1", args![])
    }
}

pub(crate) async fn list(conn: Conn<'_>, wanted: &Wanted, page: Page) -> Result<Vec<InterceptionSummary>, StoreError> {
    wanted.listing(page).all(conn).await?.iter().map(read).collect()
}

/// Whether there is any such row.
pub(crate) async fn exists(conn: Conn<'_>, wanted: &Wanted) -> Result<bool, StoreError> {
    Ok(!wanted.any().all(conn).await?.is_empty())
}

pub(crate) async fn find(conn: Conn<'_>, id: InterceptionId) -> Result<Found<InterceptionSummary>, StoreError> {
    let row = conn.optional(FIND, args![id]).await?;
    row.as_ref().map(read).transpose().map(Found::new)
}

pub(crate) async fn token_usages(conn: Conn<'_>, id: InterceptionId) -> Result<Vec<TokenUsage>, StoreError> {
    let read = |row: &Row| {
        Ok(TokenUsage {
            provider_response_id: row.text("provider_response_id")?,
            input_tokens: row.int("input_tokens")?,
            output_tokens: row.int("output_tokens")?,
            cache_read_input_tokens: row.int("cache_read_input_tokens")?,
            cache_write_input_tokens: row.int("cache_write_input_tokens")?,
            cache_write_1h_input_tokens: row.int("cache_write_1h_input_tokens")?,
            reasoning_tokens: row.int("reasoning_tokens")?,
            estimated: row.bool("estimated")?,
            extra: row.counters("extra")?,
            attributes: row.labels("attributes")?,
        })
    };
    conn.all(TOKEN_USAGES, args![id]).await?.iter().map(read).collect()
}

/// A content, from its two columns.
fn content(row: &Row, text: &str, zstd: &str) -> Result<Content, StoreError> {
    Ok(match row.opt_bytes(zstd)? {
        Some(bytes) => Content::Zstd(bytes),
        None => Content::Plain(row.text(text)?),
    })
}

pub(crate) async fn prompts(conn: Conn<'_>, id: InterceptionId) -> Result<Vec<Prompt>, StoreError> {
    let read = |row: &Row| {
        Ok(Prompt {
            provider_response_id: row.text("provider_response_id")?,
            prompt: content(row, "prompt", "prompt_zstd")?,
        })
    };
    conn.all(PROMPTS, args![id]).await?.iter().map(read).collect()
}

pub(crate) async fn tool_usages(conn: Conn<'_>, id: InterceptionId) -> Result<Vec<ToolUsage>, StoreError> {
    let read = |row: &Row| {
        Ok(ToolUsage {
            provider_response_id: row.text("provider_response_id")?,
            tool_call_id: row.text("tool_call_id")?,
            tool: row.text("tool")?,
            input: content(row, "input", "input_zstd")?,
        })
    };
    conn.all(TOOL_USAGES, args![id]).await?.iter().map(read).collect()
}

pub(crate) async fn model_thoughts(conn: Conn<'_>, id: InterceptionId) -> Result<Vec<ModelThought>, StoreError> {
    let read = |row: &Row| {
        Ok(ModelThought {
            content: content(row, "content", "content_zstd")?,
            source: row.parsed("source")?,
        })
    };
    conn.all(MODEL_THOUGHTS, args![id]).await?.iter().map(read).collect()
}
