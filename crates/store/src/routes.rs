//! Routes: where requests to a provider for certain models go instead. Every change counts the configuration version up.

pub(crate) mod update;

use crate::connect::Store;
use crate::engine::Tx;
use crate::error::{RouteMisfit, RouteMisfitReason, RoutePlace, RuleBroken, StoreError};
use crate::guard::may;
use crate::mutation::Mutation;
use crate::name_or_id::NameOrId;
use crate::page::{Cursor, Listing, Page};
use crate::providers::named;
use crate::rows::audit::AuditTarget;
use crate::rows::changes::Change;
use crate::rows::providers::ProviderRef;
use crate::rows::routes::{Route, RouteInsert, RouteTarget, TargetWanted};
use crate::sql::{providers, routes as sql};
use lychgate_authz::{Action, Caller, Resource, Target, authorise_list};
use lychgate_types::provider::ProviderType;
use lychgate_types::settings::ProviderSettings;
use lychgate_types::{ProviderId, RouteId};

impl Store {
    /// Makes a route. Its providers must be there and take the same requests ([`RuleBroken::RouteProviders`]).
    pub async fn route_insert(&self, caller: &Caller, new: RouteInsert) -> Result<Route, StoreError> {
        let audited = AuditTarget::new(new.id, &new.name.to_ascii_lowercase());
        let mut mutation = self
            .creation(caller, Resource::Route, Target::Collection, audited)
            .await?;
        let done = self.add_route(&mut mutation, &new).await;
        mutation.settle(done).await
    }

    async fn add_route(&self, mutation: &mut Mutation<'_>, new: &RouteInsert) -> Result<Route, StoreError> {
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
        let route = sql::get(&mut tx, new.id).await?;
        mutation.became(&route);
        mutation.commit(tx, &[Change::Configuration]).await?;
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

    /// One route.
    pub async fn route_find(&self, caller: &Caller, route: impl Into<NameOrId<RouteId>>) -> Result<Route, StoreError> {
        may::<Route>(caller, Action::Read)?;
        let mut tx = self.engine.begin_read().await?;
        let found = sql::find(&mut tx, &route.into()).await?;
        Ok(found.for_action(caller, Action::Read)?.into_row())
    }

    /// Deletes a route.
    pub async fn route_delete(&self, caller: &Caller, route: impl Into<NameOrId<RouteId>>) -> Result<(), StoreError> {
        let route = route.into();
        let mut mutation = self
            .change_of::<Route>(caller, Action::Delete, "delete", (&route).into())
            .await?;
        let done = self.remove_route(&mut mutation, &route).await;
        mutation.settle(done).await
    }

    async fn remove_route(&self, mutation: &mut Mutation<'_>, route: &NameOrId<RouteId>) -> Result<(), StoreError> {
        let mut tx = self.engine.begin().await?;
        // First, since it makes concurrent changes wait for each other.
        providers::bump_version(tx.conn()).await?;
        let route = mutation.find(sql::find(&mut tx, route).await?)?;
        sql::delete(tx.conn(), &route).await?;
        mutation.commit(tx, &[Change::Configuration]).await
    }
}

/// The providers that there are, and what did not fit among those that a route names.
pub(crate) struct Lookup {
    present: Vec<(ProviderRef, ProviderType)>,
    settings: Vec<(ProviderId, ProviderSettings)>,
    /// The route's own provider.
    entry: Option<(ProviderId, ProviderType)>,
    misfits: Vec<RouteMisfit>,
}

impl Lookup {
    pub(crate) async fn read(tx: &mut Tx) -> Result<Self, StoreError> {
        Ok(Self {
            present: providers::refs(tx.conn()).await?,
            settings: providers::settings(tx.conn()).await?,
            entry: None,
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
        let found = named(text, &self.present);
        let why = match (found, self.entry) {
            (None, _) => RouteMisfitReason::Unknown,
            (Some((_, other)), Some((_, entry))) if !entry.may_route_to(*other) => {
                RouteMisfitReason::OtherRequests { entry, other: *other }
            }
            (Some((provider, provider_type)), entry) => {
                let differing = entry.and_then(|entry| self.differing(entry, provider.id));
                if let Some(setting) = differing {
                    RouteMisfitReason::OtherSetting(setting)
                } else {
                    if place == RoutePlace::Entry {
                        self.entry = Some((provider.id, *provider_type));
                    }
                    return Some(provider.clone());
                }
            }
        };
        self.misfits.push(RouteMisfit { place, why });
        None
    }

    /// A setting that requests for the route's own provider name in their paths, and that the other one has otherwise.
    fn differing(&self, (entry, provider_type): (ProviderId, ProviderType), other: ProviderId) -> Option<&'static str> {
        let value = |id: ProviderId, name: &str| {
            let of = self.settings.iter().find(|(one, _)| *one == id);
            of.and_then(|(_, settings)| settings.get(name))
        };
        let mut named = provider_type.settings_in_paths().iter().copied();
        named.find(|name| value(entry, name) != value(other, name))
    }

    /// The entry, if everything fitted.
    pub(crate) fn all(self, entry: Option<ProviderRef>) -> Result<ProviderRef, StoreError> {
        match entry {
            Some(entry) if self.misfits.is_empty() => Ok(entry),
            _ => Err(RuleBroken::RouteProviders(self.misfits).into()),
        }
    }
}
