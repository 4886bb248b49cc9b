//! Changing a route: single fields, and whole lists of targets.

use crate::connect::Store;
use crate::error::{RoutePlace, StoreError};
use crate::mutation::Mutation;
use crate::name_or_id::NameOrId;
use crate::routes::Lookup;
use crate::rows::changes::Change;
use crate::rows::routes::{Route, RoutePatch, RouteTarget, TargetWanted};
use crate::sql::{providers, routes as sql};
use lychgate_authz::{Action, Caller};
use lychgate_types::RouteId;

impl Store {
    /// Changes a route. What comes of it must fit together as in a new one.
    pub async fn route_update(
        &self,
        caller: &Caller,
        route: impl Into<NameOrId<RouteId>>,
        patch: RoutePatch,
    ) -> Result<Route, StoreError> {
        let route = route.into();
        let mut mutation = self
            .change_of::<Route>(caller, Action::Update, "update", (&route).into())
            .await?;
        let done = self.change_route(&mut mutation, &route, patch).await;
        mutation.settle(done).await
    }

    async fn change_route(
        &self,
        mutation: &mut Mutation<'_>,
        route: &NameOrId<RouteId>,
        patch: RoutePatch,
    ) -> Result<Route, StoreError> {
        let mut tx = self.engine.begin().await?;
        // First, since it makes concurrent changes wait for each other.
        providers::bump_version(tx.conn()).await?;
        let old = mutation.find(sql::find(&mut tx, route).await?)?;
        let mut lookup = Lookup::read(&mut tx).await?;
        let entry = lookup.entry(&patch.provider.unwrap_or_else(|| old.provider.id.to_string()));
        let targets = patch.targets.unwrap_or_else(|| wanted(&old.targets));
        let fallbacks = patch.fallbacks.unwrap_or_else(|| wanted(&old.fallbacks));
        let targets = lookup.targets(&targets, RoutePlace::Target);
        let fallbacks = lookup.targets(&fallbacks, RoutePlace::Fallback);
        let entry = lookup.all(entry)?;
        let new = Route {
            id: old.id,
            name: old.name.clone(),
            provider: entry,
            model: patch.model.unwrap_or_else(|| old.model.clone()),
            targets,
            fallbacks,
            enabled: patch.enabled.unwrap_or(old.enabled),
            created_at: old.created_at,
            updated_at: self.now(),
        };
        sql::update(tx.conn(), &old, &new).await?;
        sql::delete_targets(tx.conn(), &old).await?;
        sql::insert_targets(tx.conn(), &new).await?;
        let route = sql::get(&mut tx, old.id).await?;
        mutation.became(&route);
        mutation.commit(tx, &[Change::Configuration]).await?;
        Ok(route)
    }
}

fn wanted(targets: &[RouteTarget]) -> Vec<TargetWanted> {
    let wanted = |target: &RouteTarget| TargetWanted {
        provider: target.provider.id.to_string(),
        model: target.model.clone(),
        weight: target.weight,
    };
    targets.iter().map(wanted).collect()
}
