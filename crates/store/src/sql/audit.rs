//! The audit log.

use crate::engine::{Conn, Moment, Row, args, cut};
use crate::error::StoreError;
use crate::page::Page;
use crate::rows::audit::{ActorKind, AuditEntry, AuditFilter, AuditInsert};
use lychgate_authz::{Caller, Principal, Resource};
use lychgate_types::{AuditEntryId, Timestamp, UserId};

macro_rules! columns {
    () => {
        "id, created_at, actor_kind, actor_id, actor_name, actor_token_id, action, resource_type, target_id, target_name, \
         target_prefix, outcome, detail, request_id"
    };
}

super::statements! {
    INSERT = concat!("INSERT INTO audit_entries (", columns!(), ") VALUES ($1, $2, $3, $4, \
         COALESCE((SELECT username FROM users WHERE id = $4), (SELECT name FROM ai_gateway_keys WHERE id = $4)), \
         $5, $6, $7, $8, $9, $10, $11, $12, $13)");
    LIST = concat!("SELECT ", columns!(), " FROM audit_entries WHERE (resource_type = $1 OR $1 IS NULL) \
         AND (action = $2 OR $2 IS NULL) \
         AND (actor_name = $3 OR actor_id = $4 OR $3 IS NULL) \
         AND created_at >= $5 AND created_at < $6 AND (created_at, id) < ($7, $8) \
         ORDER BY created_at DESC, id DESC LIMIT $9");
}

fn read(row: &Row) -> Result<AuditEntry, StoreError> {
    Ok(AuditEntry {
        id: row.id("id")?,
        created_at: row.time("created_at")?,
        actor_kind: row.parsed("actor_kind")?,
        actor_id: row.opt_uuid("actor_id")?,
        actor_name: row.opt_text("actor_name")?,
        actor_token_id: row.opt_id("actor_token_id")?,
        action: row.text("action")?,
        resource_type: row.parsed("resource_type")?,
        target_id: row.opt_uuid("target_id")?,
        target_name: row.opt_text("target_name")?,
        target_prefix: row.opt_text("target_prefix")?,
        outcome: row.parsed("outcome")?,
        detail: row.opt_text("detail")?,
        request_id: row.opt_id("request_id")?,
    })
}

pub(crate) async fn insert(
    conn: Conn<'_>,
    caller: &Caller,
    id: AuditEntryId,
    at: Timestamp,
    new: &AuditInsert,
) -> Result<(), StoreError> {
    let (kind, actor, token) = match &caller.principal {
        Principal::User(user) => (ActorKind::User, Some(user.user_id.as_uuid()), Some(user.token_id)),
        Principal::Replica { gateway_key_id } => (ActorKind::Replica, Some(gateway_key_id.as_uuid()), None),
        Principal::ControlPlane => (ActorKind::ControlPlane, None, None),
    };
    let values = args![
        id,
        at,
        kind.as_str(),
        actor,
        token,
        cut(&new.action, 64),
        new.resource_type.as_str(),
        new.target_id,
        new.target_name.as_deref().map(|text| cut(text, 200)),
        new.target_prefix.as_deref().map(|text| cut(text, 11)),
        new.outcome.as_str(),
        new.detail.as_deref().map(|text| cut(text, 500)),
        caller.request_id,
    ];
    conn.execute(INSERT, values).await.map(drop)
}

pub(crate) async fn list(conn: Conn<'_>, filter: &AuditFilter, page: Page) -> Result<Vec<AuditEntry>, StoreError> {
    let (at, id) = super::descending(page);
    let actor_id = filter.actor.as_deref().and_then(|text| text.parse::<UserId>().ok());
    let values = args![
        filter.resource_type.map(Resource::as_str),
        filter.action.as_deref(),
        filter.actor.as_deref().map(str::to_ascii_lowercase),
        actor_id,
        filter.since.map_or(Moment::MIN, Moment::at),
        filter.until.map_or(Moment::MAX, Moment::at),
        at,
        id,
        page.fetch(),
    ];
    conn.all(LIST, values).await?.iter().map(read).collect()
}
