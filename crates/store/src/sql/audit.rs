//! The audit log.

use crate::engine::{Assembled, Conn, Held, Moment, Row, args, clean, cut};
use crate::error::StoreError;
use crate::page::Page;
use crate::rows::audit::{ActorKind, AuditChange, AuditEntry, AuditFilter, AuditInsert};
use lychgate_authz::{Caller, Principal, Resource};
use lychgate_types::{AuditEntryId, Timestamp};
use std::collections::BTreeMap;
use uuid::Uuid;

macro_rules! columns {
    () => {
        "id, created_at, actor_kind, actor_id, actor_name, actor_token_id, action, resource_type, target_id, target_name, \
         target_prefix, outcome, detail, request_id, fields_before, fields_after"
    };
}

super::statements! {
    INSERT = concat!("INSERT INTO audit_entries (", columns!(), ") VALUES ($1, $2, $3, $4, \
         COALESCE((SELECT username FROM users WHERE id = $4), (SELECT name FROM ai_gateway_keys WHERE id = $4)), \
         $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)");
    LIST = concat!("SELECT ", columns!(), " FROM audit_entries WHERE (created_at, id) < ($1, $2)");
    /// Of those who acted under a name, the last.
    LAST_ACTOR = "SELECT actor_id FROM audit_entries WHERE actor_name = $1 AND actor_id IS NOT NULL \
         ORDER BY created_at DESC, id DESC LIMIT 1";
    HAS_ACTOR = "SELECT actor_id FROM audit_entries WHERE actor_id = $1 LIMIT 1";
    HAS_ACTION = "SELECT id FROM audit_entries WHERE action = $1 LIMIT 1";
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
        change: AuditChange {
            before: row.labels("fields_before")?,
            after: row.labels("fields_after")?,
        },
        request_id: row.opt_id("request_id")?,
    })
}

fn cleaned(fields: BTreeMap<String, String>) -> BTreeMap<String, String> {
    fields.into_iter().map(|(field, text)| (field, clean(text))).collect()
}

pub(crate) async fn insert(
    conn: Conn<'_>,
    caller: &Caller,
    id: AuditEntryId,
    at: Timestamp,
    new: &AuditInsert,
    change: AuditChange,
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
        cleaned(change.before),
        cleaned(change.after),
    ];
    conn.execute(INSERT, values).await.map(drop)
}

/// Who acted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Actor {
    /// A user or a gateway key.
    Id(Uuid),
    ControlPlane,
}

pub(crate) async fn list(
    conn: Conn<'_>,
    filter: &AuditFilter,
    actor: Option<Actor>,
    page: Page,
) -> Result<Vec<AuditEntry>, StoreError> {
    listing(filter, actor, page).all(conn).await?.iter().map(read).collect()
}

pub(super) fn listing(filter: &AuditFilter, actor: Option<Actor>, page: Page) -> Assembled {
    let (at, id) = super::descending(page, filter.until);
    let statement = Assembled::new(LIST, args![at, id])
        .given(" AND created_at >= ?", filter.since.map(Moment::at))
        .given(" AND resource_type = ?", filter.resource_type.map(Resource::as_str))
        .given(" AND action = ?", filter.action.as_deref());
    let statement = match actor {
        None => statement,
        Some(Actor::Id(id)) => statement.part(" AND actor_id = ?", args![id]),
        Some(Actor::ControlPlane) => statement.part(" AND actor_kind = 'control_plane'", args![]),
    };
    statement.part(" ORDER BY created_at DESC, id DESC LIMIT ?", args![page.fetch()])
}

/// Who acted under this name last, or by this id.
pub(crate) async fn actor(held: &mut Held, named: &str) -> Result<Option<Uuid>, StoreError> {
    if let Ok(id) = Uuid::try_parse(named)
        && held.conn().optional(HAS_ACTOR, args![id]).await?.is_some()
    {
        return Ok(Some(id));
    }
    let row = held.conn().optional(LAST_ACTOR, args![named]).await?;
    row.map_or(Ok(None), |row| row.opt_uuid("actor_id"))
}

pub(crate) async fn has_action(conn: Conn<'_>, action: &str) -> Result<bool, StoreError> {
    Ok(conn.optional(HAS_ACTION, args![action]).await?.is_some())
}
