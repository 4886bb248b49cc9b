//! Routes and their targets.

use crate::engine::{Args, Bulk, Conn, Row, Tx, args};
use crate::error::StoreError;
use crate::guard::{Authorised, Found};
use crate::name_or_id::NameOrId;
use crate::page::Page;
use crate::rows::providers::ProviderRef;
use crate::rows::routes::{Route, RouteTarget};
use lychgate_types::{ProviderId, RouteId};

macro_rules! columns {
    () => {
        "SELECT r.id, r.created_at, r.updated_at, r.name, r.provider_id, p.name AS provider_name, r.model, r.enabled \
         FROM routes r JOIN providers p ON p.id = r.provider_id "
    };
}
macro_rules! target_columns {
    () => {
        "SELECT t.route_id, t.kind, t.provider_id, p.name AS provider_name, t.model, t.weight \
         FROM route_targets t JOIN providers p ON p.id = t.provider_id "
    };
}

super::statements! {
    INSERT = "INSERT INTO routes (id, created_at, updated_at, name, provider_id, model, enabled) \
         VALUES ($1, $2, $2, lower($3) /* stored in lower case */, $4, $5, $6)";
    LIST = concat!(columns!(), "WHERE (r.created_at, r.id) > ($1, $2) ORDER BY r.created_at, r.id LIMIT $3");
    ALL = concat!(columns!(), "ORDER BY r.created_at, r.id");
    FIND = concat!(columns!(), "WHERE r.id = $1 OR lower(r.name) = $2");
    GET = concat!(columns!(), "WHERE r.id = $1");
    UPDATE = "UPDATE routes SET updated_at = $2, provider_id = $3, model = $4, enabled = $5 WHERE id = $1";
    DELETE = "DELETE FROM routes WHERE id = $1";
    TARGETS = concat!(target_columns!(), "ORDER BY t.route_id, t.position");
    TARGETS_OF = concat!(target_columns!(), "WHERE t.route_id = $1 ORDER BY t.position");
    DELETE_TARGETS = "DELETE FROM route_targets WHERE route_id = $1";
    USERS_OF = "SELECT name FROM routes WHERE provider_id = $1 \
         OR id IN (SELECT route_id FROM route_targets WHERE provider_id = $1) ORDER BY created_at, id";
}

const INSERT_TARGETS: Bulk = Bulk {
    head: "INSERT INTO route_targets (route_id, kind, position, provider_id, model, weight) ",
    tail: "",
};
#[cfg(test)]
pub(super) const BULKS: &[Bulk] = &[INSERT_TARGETS];

const TARGET: &str = "target";
const FALLBACK: &str = "fallback";

fn provider(row: &Row) -> Result<ProviderRef, StoreError> {
    Ok(ProviderRef {
        id: row.id("provider_id")?,
        name: row.text("provider_name")?,
    })
}

/// Without its targets.
fn read(row: &Row) -> Result<Route, StoreError> {
    Ok(Route {
        id: row.id("id")?,
        name: row.text("name")?,
        provider: provider(row)?,
        model: row.text("model")?,
        targets: Vec::new(),
        fallbacks: Vec::new(),
        enabled: row.bool("enabled")?,
        created_at: row.time("created_at")?,
        updated_at: row.time("updated_at")?,
    })
}

/// Puts targets, in order, where they belong.
fn join(routes: &mut [Route], targets: &[Row]) -> Result<(), StoreError> {
    for row in targets {
        let id: RouteId = row.id("route_id")?;
        let Some(route) = routes.iter_mut().find(|route| route.id == id) else {
            continue;
        };
        let list = match row.text("kind")?.as_str() {
            FALLBACK => &mut route.fallbacks,
            _ => &mut route.targets,
        };
        list.push(RouteTarget {
            provider: provider(row)?,
            model: row.opt_text("model")?,
            weight: u32::try_from(row.int("weight")?).unwrap_or(1),
        });
    }
    Ok(())
}

pub(crate) async fn insert(conn: Conn<'_>, new: &Route) -> Result<(), StoreError> {
    let values = args![
        new.id,
        new.created_at,
        &*new.name,
        new.provider.id,
        &*new.model,
        new.enabled
    ];
    conn.execute(INSERT, values).await.map(drop)
}

pub(crate) async fn update(conn: Conn<'_>, old: &Authorised<Route>, new: &Route) -> Result<(), StoreError> {
    let values = args![old.id, new.updated_at, new.provider.id, &*new.model, new.enabled];
    conn.execute(UPDATE, values).await.map(drop)
}

/// Adds the targets and fallbacks, each with its place in its list.
pub(crate) async fn insert_targets(conn: Conn<'_>, route: &Route) -> Result<(), StoreError> {
    let row = |kind: &'static str| {
        move |(position, target): (i64, &RouteTarget)| -> Args {
            args![
                route.id,
                kind,
                position,
                target.provider.id,
                target.model.as_deref(),
                target.weight
            ]
        }
    };
    let targets = (0..).zip(&route.targets).map(row(TARGET));
    let fallbacks = (0..).zip(&route.fallbacks).map(row(FALLBACK));
    INSERT_TARGETS
        .run(conn, targets.chain(fallbacks).collect())
        .await
        .map(drop)
}

pub(crate) async fn delete_targets(conn: Conn<'_>, route: &Authorised<Route>) -> Result<(), StoreError> {
    conn.execute(DELETE_TARGETS, args![route.id]).await.map(drop)
}

/// All targets are read for a page: a deployment has tens of routes.
pub(crate) async fn list(tx: &mut Tx, page: Page) -> Result<Vec<Route>, StoreError> {
    let (at, id) = super::ascending(page);
    let rows = tx.conn().all(LIST, args![at, id, page.fetch()]).await?;
    let mut routes = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    join(&mut routes, &tx.conn().all(TARGETS, args![]).await?)?;
    Ok(routes)
}

pub(crate) async fn all(tx: &mut Tx) -> Result<Vec<Route>, StoreError> {
    let rows = tx.conn().all(ALL, args![]).await?;
    let mut routes = rows.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    join(&mut routes, &tx.conn().all(TARGETS, args![]).await?)?;
    Ok(routes)
}

pub(crate) async fn find(tx: &mut Tx, route: &NameOrId<RouteId>) -> Result<Found<Route>, StoreError> {
    let row = tx.conn().optional(FIND, args![route.id(), route.name()]).await?;
    Ok(Found::new(match row {
        Some(row) => Some(with_targets(tx, read(&row)?).await?),
        None => None,
    }))
}

/// A route that this transaction has written.
pub(crate) async fn get(tx: &mut Tx, id: RouteId) -> Result<Route, StoreError> {
    let route = read(&tx.conn().one(GET, args![id]).await?)?;
    with_targets(tx, route).await
}

async fn with_targets(tx: &mut Tx, mut route: Route) -> Result<Route, StoreError> {
    let targets = tx.conn().all(TARGETS_OF, args![route.id]).await?;
    join(std::slice::from_mut(&mut route), &targets)?;
    Ok(route)
}

pub(crate) async fn delete(conn: Conn<'_>, route: &Authorised<Route>) -> Result<(), StoreError> {
    conn.execute(DELETE, args![route.id]).await.map(drop)
}

/// The names of the routes that name this provider, oldest first.
pub(crate) async fn users_of(conn: Conn<'_>, provider: ProviderId) -> Result<Vec<String>, StoreError> {
    let rows = conn.all(USERS_OF, args![provider]).await?;
    rows.iter().map(|row| row.text("name")).collect()
}
