//! `GET /api/v1/ai-gateway/interceptions`

use super::Interception;
use crate::api::authenticate::Authenticated;
use crate::api::error::ApiError;
use crate::api::extract::Query;
use crate::api::routes::problems::{Always, BadQuery};
use crate::api::schemas;
use crate::api::validate::Validations;
use crate::state::App;
use axum::extract::State;
use lychgate_store::{InterceptionFilter, NameOrId};
use lychgate_types::interception::Outcome;
use serde::{Deserialize, Serialize};

/// Which interceptions, and which page of them.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct InterceptionListQuery {
    /// Only those of this user, by id or username. A username stands for the user who has it, else for the one who had it last.
    user: Option<String>,
    /// Only those to the provider with this name.
    provider: Option<String>,
    /// Only those for this model.
    model: Option<String>,
    /// Only those from this client program, for example `Claude Code`.
    client: Option<String>,
    /// Only those of this session, by `session_id` or `client_session_id`.
    session: Option<String>,
    /// Only those with this outcome.
    #[param(schema_with = schemas::one_of::<Outcome>)]
    outcome: Option<String>,
    /// Only those that started at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<String>,
    /// Only those that started before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<String>,
    /// Maximum number of entries.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// One page of interceptions.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct InterceptionList {
    interceptions: Vec<InterceptionSummary>,
    /// Pass it as `after` to get the next page; null on the last page.
    next: Option<String>,
}

/// An interception with the sums over its token usages in place of its lists.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct InterceptionSummary {
    #[serde(flatten)]
    seen: Interception,
    /// Neither read from nor written to a cache.
    input_tokens: i64,
    /// Including reasoning.
    output_tokens: i64,
    cache_read_input_tokens: i64,
    cache_write_input_tokens: i64,
    cache_write_1h_input_tokens: i64,
    /// Included in the output tokens.
    reasoning_tokens: i64,
    /// Whether the final counts of some response are missing.
    estimated: bool,
}

impl From<lychgate_store::InterceptionSummary> for InterceptionSummary {
    fn from(seen: lychgate_store::InterceptionSummary) -> Self {
        let tokens = seen.tokens;
        Self {
            seen: seen.into(),
            input_tokens: tokens.input_tokens,
            output_tokens: tokens.output_tokens,
            cache_read_input_tokens: tokens.cache_read_input_tokens,
            cache_write_input_tokens: tokens.cache_write_input_tokens,
            cache_write_1h_input_tokens: tokens.cache_write_1h_input_tokens,
            reasoning_tokens: tokens.reasoning_tokens,
            estimated: tokens.estimated,
        }
    }
}

/// Lists interceptions, newest first. Members see their own.
#[utoipa::path(get, path = "/ai-gateway/interceptions", operation_id = "interception_list", tag = "ai-gateway/interceptions",
    params(InterceptionListQuery),
    responses((status = 200, description = "One page of interceptions.", body = InterceptionList), Always, BadQuery))]
pub(crate) async fn interception_list(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    Query(query): Query<InterceptionListQuery>,
) -> Result<axum::Json<InterceptionList>, ApiError> {
    let mut validations = Validations::default();
    let page = validations.page(query.limit.as_deref(), query.after.as_deref());
    let outcome = validations.parse("outcome", query.outcome.as_deref());
    let since = validations.parse("since", query.since.as_deref());
    let until = validations.parse("until", query.until.as_deref());
    let page = validations.all(Some(page))?;
    let user = query.user.as_ref().map(NameOrId::from);
    let InterceptionListQuery {
        provider,
        model,
        client,
        session,
        ..
    } = query;
    let filter = InterceptionFilter {
        user,
        provider,
        model,
        client,
        session,
        outcome,
        since,
        until,
    };
    let found = app.store.interception_list(&caller, &filter, page).await?;
    let interceptions = found.items.into_iter().map(InterceptionSummary::from).collect();
    Ok(axum::Json(InterceptionList {
        interceptions,
        next: found.next.map(|cursor| cursor.to_string()),
    }))
}
