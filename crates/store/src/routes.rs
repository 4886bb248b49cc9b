//! Routes: where requests to a provider for certain models go instead. Every change counts the configuration version up.

pub(crate) mod update;

use crate::connect::Store;
use crate::engine::Tx;
use crate::error::{RouteMisfit, RouteMisfitReason, RoutePlace, RuleBroken, StoreError};
use crate::guard::{Event, id_or_name};
use crate::page::{Cursor, Listing, Page};
use crate::rows::changes::Change;
use crate::rows::providers::ProviderRef;
use crate::rows::routes::{Route, RouteInsert, RouteTarget, TargetWanted};
use crate::sql::{providers, routes as sql};
use lychgate_authz::{Action, Caller, Resource, Target, authorise, authorise_list};
use lychgate_types::provider::ProviderType;
use lychgate_types::{ProviderId, RouteId};

impl Store {
    /// Makes a route. Its providers must be there and of one wire family ([`RuleBroken::RouteProviders`]).
    pub async fn route_insert(&self, caller: &Caller, new: RouteInsert) -> Result<Route, StoreError> {
        let event = Event::new("create", Resource::Route)
            .id(new.id.as_uuid())
            .name(&new.name.to_ascii_lowercase());
        self.admit(caller, Action::Create, Target::Collection, &event).await?;
        let done = self.add_route(caller, &new, &event).await;
        self.refused(caller, &event, done).await
    }

    async fn add_route(&self, caller: &Caller, new: &RouteInsert, event: &Event) -> Result<Route, StoreError> {
        let now = self.now();
        let mut tx = self.engine.begin().await?;
        // First, since it makes concurrent changes wait for each other.
        providers::bump_version(tx.conn()).await?;
        let mut lookup = Lookup::read(&mut tx).await?;
        let entry = lookup.entry(&new.provider);
        let targets = lookup.targets(&new.targets, RoutePlace::Target);
        let fallbacks = lookup.targets(&new.fallbacks, RoutePlace::Fallback);
        let entry = lookup.all(entry)?;
        let route = Route {
            id: new.id,
            name: new.name.clone(),
            provider: entry,
            model: new.model.clone(),
            targets,
            fallbacks,
            enabled: new.enabled,
            created_at: now,
            updated_at: now,
        };
        sql::insert(tx.conn(), &route).await?;
        sql::insert_targets(tx.conn(), &route).await?;
        let route = whole(&mut tx, new.id).await?;
        self.record(&mut tx, caller, event).await?;
        self.announce(&mut tx, &[Change::Configuration]).await?;
        tx.commit().await?;
        Ok(route)
    }

    /// Routes, oldest first.
    pub async fn route_list(&self, caller: &Caller, page: Page) -> Result<Listing<Route>, StoreError> {
        authorise_list(&caller.principal, Resource::Route)?;
        let mut tx = self.engine.begin_read().await?;
        let items = sql::list(&mut tx, page).await?;
        Ok(Listing::cut(items, page, |route| Cursor {
            at: route.created_at,
            id: route.id.as_uuid(),
        }))
    }

    /// One route by id or name.
    pub async fn route_find(&self, caller: &Caller, text: &str) -> Result<Route, StoreError> {
        authorise(&caller.principal, Action::Read, Resource::Route, Target::Shared)?;
        let (id, name) = id_or_name(text);
        let mut tx = self.engine.begin_read().await?;
        sql::find(&mut tx, id, &name).await?.ok_or(StoreError::NotFound)
    }

    /// Deletes a route. One that is not there is no error: the answer says whether one was deleted.
    pub async fn route_delete(&self, caller: &Caller, id: RouteId) -> Result<bool, StoreError> {
        let event = Event::new("delete", Resource::Route).id(id.as_uuid());
        self.admit(caller, Action::Delete, Target::Shared, &event).await?;
        let mut tx = self.engine.begin().await?;
        providers::bump_version(tx.conn()).await?;
        let Some(name) = sql::delete(tx.conn(), id).await? else {
            return Ok(false);
        };
        self.record(&mut tx, caller, &event.name(&name)).await?;
        self.announce(&mut tx, &[Change::Configuration]).await?;
        tx.commit().await?;
        Ok(true)
    }
}

/// The route with its targets, as the transaction sees it.
pub(crate) async fn whole(tx: &mut Tx, id: RouteId) -> Result<Route, StoreError> {
    sql::find(tx, Some(id.as_uuid()), "").await?.ok_or(StoreError::NotFound)
}

/// The providers that there are, and what did not fit among those that a route names.
pub(crate) struct Lookup {
    present: Vec<(ProviderRef, ProviderType)>,
    /// The route's own provider's.
    wire: Option<ProviderType>,
    misfits: Vec<RouteMisfit>,
}

impl Lookup {
    pub(crate) async fn read(tx: &mut Tx) -> Result<Self, StoreError> {
        Ok(Self {
            present: sql::providers(tx.conn()).await?,
            wire: None,
            misfits: Vec::new(),
        })
    }

    /// The route's own provider; the others are held against it.
    pub(crate) fn entry(&mut self, text: &str) -> Option<ProviderRef> {
        self.find(RoutePlace::Entry, text)
    }

    /// The providers of targets or fallbacks, noted where they do not fit.
    pub(crate) fn targets(&mut self, wanted: &[TargetWanted], place: impl Fn(usize) -> RoutePlace) -> Vec<RouteTarget> {
        let mut found = Vec::with_capacity(wanted.len());
        for (at, wanted) in wanted.iter().enumerate() {
            found.extend(self.find(place(at), &wanted.provider).map(|provider| RouteTarget {
                provider,
                model: wanted.model.clone(),
                weight: wanted.weight,
            }));
        }
        found
    }

    fn find(&mut self, place: RoutePlace, text: &str) -> Option<ProviderRef> {
        let (id, name) = id_or_name(text);
        let id = id.map(ProviderId::from_uuid);
        let by_id = self.present.iter().find(|(provider, _)| Some(provider.id) == id);
        let found = by_id.or_else(|| self.present.iter().find(|(provider, _)| provider.name == name));
        let why = match (found, self.wire) {
            (None, _) => RouteMisfitReason::Unknown,
            (Some((_, wire)), Some(own)) if own.wire_family() != wire.wire_family() => RouteMisfitReason::OtherWire,
            (Some((provider, wire)), _) => {
                if place == RoutePlace::Entry {
                    self.wire = Some(*wire);
                }
                return Some(provider.clone());
            }
        };
        self.misfits.push(RouteMisfit { place, why });
        None
    }

    /// The entry, if everything fitted.
    pub(crate) fn all(self, entry: Option<ProviderRef>) -> Result<ProviderRef, StoreError> {
        match entry {
            Some(entry) if self.misfits.is_empty() => Ok(entry),
            _ => Err(RuleBroken::RouteProviders(self.misfits).into()),
        }
    }
}
