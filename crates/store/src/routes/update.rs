//! Changing a route: single fields, and whole lists of targets.

use crate::connect::Store;
use crate::error::{RoutePlace, StoreError};
use crate::guard::Event;
use crate::routes::{Lookup, whole};
use crate::rows::changes::Change;
use crate::rows::routes::{Route, RoutePatch, RouteTarget, TargetWanted};
use crate::sql::{providers, routes as sql};
use lychgate_authz::{Action, Caller, Resource, Target};
use lychgate_types::RouteId;

impl Store {
    /// Changes a route. What comes of it must fit together as in a new one.
    pub async fn route_update(&self, caller: &Caller, id: RouteId, patch: RoutePatch) -> Result<Route, StoreError> {
        let event = Event::new("update", Resource::Route).id(id.as_uuid());
        self.admit(caller, Action::Update, Target::Shared, &event).await?;
        let done = self.change_route(caller, id, patch, &event).await;
        self.refused(caller, &event, done).await
    }

    async fn change_route(
        &self,
        caller: &Caller,
        id: RouteId,
        patch: RoutePatch,
        event: &Event,
    ) -> Result<Route, StoreError> {
        let mut tx = self.engine.begin().await?;
        // First, since it makes concurrent changes wait for each other.
        providers::bump_version(tx.conn()).await?;
        let old = whole(&mut tx, id).await?;
        let event = event.clone().name(&old.name);
        let mut lookup = Lookup::read(&mut tx).await?;
        let entry = lookup.entry(&patch.provider.unwrap_or_else(|| old.provider.id.to_string()));
        let targets = patch.targets.unwrap_or_else(|| wanted(&old.targets));
        let fallbacks = patch.fallbacks.unwrap_or_else(|| wanted(&old.fallbacks));
        let targets = lookup.targets(&targets, RoutePlace::Target);
        let fallbacks = lookup.targets(&fallbacks, RoutePlace::Fallback);
        let entry = lookup.all(entry)?;
        let new = Route {
            provider: entry,
            model: patch.model.unwrap_or(old.model),
            targets,
            fallbacks,
            enabled: patch.enabled.unwrap_or(old.enabled),
            updated_at: self.now(),
            ..old
        };
        sql::update(tx.conn(), &new).await?;
        sql::delete_targets(tx.conn(), id).await?;
        sql::insert_targets(tx.conn(), &new).await?;
        let route = whole(&mut tx, id).await?;
        self.record(&mut tx, caller, &event).await?;
        self.announce(&mut tx, &[Change::Configuration]).await?;
        tx.commit().await?;
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
