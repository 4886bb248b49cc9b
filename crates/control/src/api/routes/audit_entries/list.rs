//! `GET /api/v1/audit-entries`

use crate::api::authenticate::Authenticated;
use crate::api::error::ApiError;
use crate::api::extract::Query;
use crate::api::routes::problems::{Always, BadQuery};
use crate::api::schemas;
use crate::api::validate::Validations;
use crate::state::App;
use axum::extract::State;
use lychgate_authz::Resource;
use lychgate_store::AuditFilter;
use lychgate_types::{AuditEntryId, RequestId, Timestamp, TokenId};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use uuid::Uuid;

/// Which audit entries, and which page of them.
#[derive(Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(crate) struct AuditEntryListQuery {
    /// Only those about this type of resource, for example `ai_gateway_key`.
    #[param(schema_with = schemas::one_of::<Resource>)]
    resource_type: Option<String>,
    /// Only those with this action, for example `create`.
    action: Option<String>,
    /// Only those of this actor, by id or name, or `control_plane`. A name stands for the user who has it, else for the gateway key,
    /// else for whoever acted under it last.
    actor: Option<String>,
    /// Only those at or after this time.
    #[param(value_type = Option<String>, format = DateTime)]
    since: Option<String>,
    /// Only those before this time.
    #[param(value_type = Option<String>, format = DateTime)]
    until: Option<String>,
    /// Maximum number of entries.
    #[param(value_type = Option<u32>, minimum = 1, maximum = 200, default = 50)]
    limit: Option<String>,
    /// The `next` of the previous page.
    after: Option<String>,
}

/// One page of audit entries.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AuditEntryList {
    audit_entries: Vec<AuditEntry>,
    /// Pass it as `after` to get the next page; null on the last page.
    next: Option<String>,
}

/// An action, or an attempt at one.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct AuditEntry {
    #[schema(value_type = String, format = Uuid)]
    id: AuditEntryId,
    #[schema(value_type = String, format = DateTime)]
    created_at: Timestamp,
    actor: Actor,
    /// For example `create`, `attach`.
    action: String,
    /// For example `ai_gateway_key`.
    resource_type: &'static str,
    /// The target of the action.
    target_id: Option<Uuid>,
    /// Its name at that time.
    target_name: Option<String>,
    /// The public prefix of that credential.
    target_prefix: Option<String>,
    /// `ok`, `denied` or `failed`.
    outcome: &'static str,
    /// More, in words.
    detail: Option<String>,
    /// The fields that the action changed, as texts, as they were; a field that was not set is missing. Of secrets only public
    /// prefixes.
    before: BTreeMap<String, String>,
    /// The same fields as they became.
    after: BTreeMap<String, String>,
    /// Null for work that was not caused by a request.
    #[schema(value_type = Option<String>, format = Uuid)]
    request_id: Option<RequestId>,
}

/// Who it was.
#[derive(Serialize, utoipa::ToSchema)]
pub(crate) struct Actor {
    /// `user`, `replica` or `control_plane`.
    kind: &'static str,
    /// The user's or gateway key's id; null for the control plane.
    id: Option<Uuid>,
    /// The name of the user or gateway key at that time.
    name: Option<String>,
    /// The token that the user authenticated with.
    #[schema(value_type = Option<String>, format = Uuid)]
    token_id: Option<TokenId>,
}

impl From<lychgate_store::AuditEntry> for AuditEntry {
    fn from(entry: lychgate_store::AuditEntry) -> Self {
        Self {
            id: entry.id,
            created_at: entry.created_at,
            actor: Actor {
                kind: entry.actor_kind.as_str(),
                id: entry.actor_id,
                name: entry.actor_name,
                token_id: entry.actor_token_id,
            },
            action: entry.action,
            resource_type: entry.resource_type.as_str(),
            target_id: entry.target_id,
            target_name: entry.target_name,
            target_prefix: entry.target_prefix,
            outcome: entry.outcome.as_str(),
            detail: entry.detail,
            before: entry.change.before,
            after: entry.change.after,
            request_id: entry.request_id,
        }
    }
}

/// Lists audit entries, newest first.
#[utoipa::path(get, path = "/audit-entries", operation_id = "audit_entry_list", tag = "audit-entries",
    params(AuditEntryListQuery),
    responses((status = 200, description = "One page of audit entries.", body = AuditEntryList), Always, BadQuery))]
pub(crate) async fn audit_entry_list(
    State(app): State<App>,
    Authenticated { caller, .. }: Authenticated,
    Query(query): Query<AuditEntryListQuery>,
) -> Result<axum::Json<AuditEntryList>, ApiError> {
    let mut validations = Validations::default();
    let filter = AuditFilter {
        resource_type: validations.parse("resource_type", query.resource_type.as_deref()),
        action: query.action,
        actor: query.actor,
        since: validations.parse("since", query.since.as_deref()),
        until: validations.parse("until", query.until.as_deref()),
    };
    let page = validations.page(query.limit.as_deref(), query.after.as_deref());
    let page = validations.all(Some(page))?;
    let found = app.store.audit_list(&caller, &filter, page).await?;
    let audit_entries = found.items.into_iter().map(AuditEntry::from).collect();
    Ok(axum::Json(AuditEntryList {
        audit_entries,
        next: found.next.map(|cursor| cursor.to_string()),
    }))
}
