//! Where a request may go: to the provider that it names, or to the targets of a route for its model, in an order drawn anew
//! for each request.
//!
//! Not here: which of them is available (`exchange::selector`).

use crate::error::Refusal;
use crate::routing::allow_list::takes_paths_of;
use crate::routing::provider::Provider;
use http::StatusCode;
use lychgate_link::{RouteConfig, RouteTarget};
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::interception::CredentialKind;
use lychgate_types::{Ambient, ProviderId};
use lychgate_wire::model_list::Alias;
use lychgate_wire::provider::describe;
use std::collections::HashMap;
use std::sync::Arc;

/// A provider that may serve a request.
#[derive(Debug, Clone)]
pub(crate) struct Candidate {
    pub(crate) provider: Arc<Provider>,
    /// The model to ask for there; `None` keeps the client's, as it stands in the request.
    pub(crate) model: Option<Arc<str>>,
}

/// The candidates of one request, in the order in which they are tried. Without a route, nothing is allocated for them.
#[derive(Debug)]
pub(crate) struct Candidates {
    first: Candidate,
    others: Vec<Candidate>,
}

/// All routes, by the provider that the client addresses.
#[derive(Debug, Default)]
pub(crate) struct Routes(HashMap<ProviderId, Vec<Route>>);

#[derive(Debug)]
struct Route {
    model: Pattern,
    /// Of the provider that is addressed.
    ignores_case: bool,
    targets: Vec<(Candidate, u32)>,
    fallbacks: Vec<Candidate>,
}

#[derive(Debug)]
enum Pattern {
    Exactly(String),
    Beginning(String),
}

impl Candidates {
    pub(crate) fn only(provider: &Arc<Provider>) -> Self {
        let provider = Arc::clone(provider);
        Self {
            first: Candidate { provider, model: None },
            others: Vec::new(),
        }
    }

    pub(crate) fn get(&self, index: usize) -> Option<&Candidate> {
        match index.checked_sub(1) {
            None => Some(&self.first),
            Some(other) => self.others.get(other),
        }
    }

    pub(crate) fn len(&self) -> usize {
        1 + self.others.len()
    }

    /// The first of them at this provider.
    pub(crate) fn at(&self, provider: ProviderId) -> Option<&Candidate> {
        let mut all = std::iter::once(&self.first).chain(&self.others);
        all.find(|candidate| candidate.provider.config.id == provider)
    }
}

impl Routes {
    /// Prepares the routes. Targets that can't serve (a provider that is unknown, disabled, unusable or of a type that takes other requests)
    /// are left out.
    pub(crate) fn new(routes: &[RouteConfig], providers: &HashMap<ProviderId, Arc<Provider>>) -> Self {
        let mut ready: HashMap<ProviderId, Vec<Route>> = HashMap::new();
        for route in routes {
            let Some(addressed) = providers.get(&route.provider) else {
                tracing::warn!(route = %route.id, "this route is for a provider that does not exist; it is left out");
                continue;
            };
            let candidate = |target: &RouteTarget| {
                let found = candidate(target, addressed, providers);
                if found.is_none() {
                    tracing::warn!(route = %route.id, provider = %target.provider, "this route names a provider that can't serve it; that target is left out");
                }
                found
            };
            ready.entry(route.provider).or_default().push(Route {
                model: Pattern::new(&route.model),
                ignores_case: describe(addressed.config.provider_type).models_ignore_case,
                targets: route
                    .targets
                    .iter()
                    .filter_map(|target| Some((candidate(target)?, target.weight.max(1))))
                    .collect(),
                fallbacks: route.fallbacks.iter().filter_map(candidate).collect(),
            });
        }
        Self(ready)
    }

    /// The exact names that requests to this provider can name a model by, in the order of the routes.
    pub(crate) fn aliases(&self, provider: &Provider) -> Vec<Alias<'_>> {
        let id = provider.config.id;
        let aliases = self.of(id).iter().filter_map(|route| match &route.model {
            Pattern::Exactly(name) => Some(Alias {
                name,
                stands_for: route.models_at(id).next(),
            }),
            Pattern::Beginning(_) => None,
        });
        aliases.collect()
    }

    /// The models that routes ask this provider for.
    pub(crate) fn models_at(&self, provider: &Provider) -> Vec<Alias<'_>> {
        let id = provider.config.id;
        let names = self.of(id).iter().flat_map(|route| route.models_at(id));
        let alias = |name| Alias { name, stands_for: None };
        names.map(alias).collect()
    }

    fn of(&self, provider: ProviderId) -> &[Route] {
        self.0.get(&provider).map_or(&[][..], Vec::as_slice)
    }

    /// Whether the route of some model of `addressed` leads nowhere but to other providers.
    pub(crate) fn lead_elsewhere(&self, addressed: ProviderId) -> bool {
        let routes = self.of(addressed);
        routes.iter().any(|route| {
            let mut all = route.targets.iter().map(|(target, _)| target).chain(&route.fallbacks);
            !all.any(|candidate| candidate.provider.config.id == addressed)
        })
    }

    /// Refuses a body that may have other models serve it at one of these candidates than the routes of `addressed` let through.
    pub(crate) fn hold_other_models(
        &self,
        addressed: ProviderId,
        candidates: &Candidates,
        body: &[u8],
    ) -> Result<(), Refusal> {
        if self.of(addressed).is_empty() {
            return Ok(());
        }
        let refuse = |status, reason, message: String| Err(Refusal::new(status, reason, message));
        for index in 0..candidates.len() {
            let Some(candidate) = candidates.get(index) else { break };
            let config = &candidate.provider.config;
            let Some(read) = describe(config.provider_type).other_models else {
                continue;
            };
            let others = match read(body) {
                Ok(others) => others,
                Err(error) => return refuse(StatusCode::BAD_REQUEST, Refused::BodyUnreadable, error.to_string()),
            };
            let is_held = |model: &str| self.lets_through(addressed, config.id, model);
            let name = match others.listed.iter().all(|model| is_held(model)) {
                true => others.unnamed,
                false => Some("models"),
            };
            if let Some(name) = name {
                let message = format!(
                    "`{name}` may have another model serve this request than the routes of this provider allow: leave it out"
                );
                return refuse(StatusCode::BAD_REQUEST, Refused::RouteUnusable, message);
            }
        }
        Ok(())
    }

    /// Whether a request to `addressed` for this model may be served by the model of that name at this provider.
    fn lets_through(&self, addressed: ProviderId, at: ProviderId, model: &str) -> bool {
        let mut routes = self.of(addressed).iter();
        let Some(route) = routes.find(|route| route.is_for(model)) else {
            return at == addressed;
        };
        let targets = route.targets.iter().map(|(target, _)| target);
        targets.chain(&route.fallbacks).any(|candidate| {
            let named = candidate.model.as_deref();
            candidate.provider.config.id == at && named.is_none_or(|named| named == model)
        })
    }

    /// Draws the candidates for a request to `addressed` for `model`. The user's own credential goes to no other provider.
    pub(crate) fn draw(
        &self,
        addressed: &Arc<Provider>,
        model: &str,
        credential: CredentialKind,
        ambient: &Ambient,
    ) -> Result<Candidates, Refusal> {
        let own = credential == CredentialKind::Byok;
        let Some(route) = self.of(addressed.config.id).iter().find(|route| route.is_for(model)) else {
            return Ok(Candidates::only(addressed));
        };
        let mut drawn = route.draw(ambient, |candidate| {
            !own || candidate.provider.config.id == addressed.config.id
        });
        if drawn.is_empty() {
            return if own {
                Ok(Candidates::only(addressed))
            } else {
                Err(Refusal::new(
                    StatusCode::SERVICE_UNAVAILABLE,
                    Refused::RouteUnusable,
                    "the route for this model has no provider that can serve it at present: an owner must change it",
                ))
            };
        }
        for candidate in &mut drawn {
            // A path of the provider's own may have to name it.
            let provider_type = candidate.provider.config.provider_type;
            if candidate.model.is_none() && !takes_paths_of(provider_type, addressed.config.provider_type) {
                candidate.model = Some(Arc::from(model));
            }
        }
        let first = drawn.remove(0);
        Ok(Candidates { first, others: drawn })
    }
}

impl Route {
    fn is_for(&self, model: &str) -> bool {
        self.model.fits(model, self.ignores_case)
    }

    /// The models that it asks this provider for, the first target's first.
    fn models_at(&self, provider: ProviderId) -> impl Iterator<Item = &str> {
        let targets = self.targets.iter().map(|(target, _)| target);
        let there = move |candidate: &&Candidate| candidate.provider.config.id == provider;
        let candidates = targets.chain(&self.fallbacks).filter(there);
        candidates.filter_map(|candidate| candidate.model.as_deref())
    }

    fn draw(&self, ambient: &Ambient, fits: impl Fn(&Candidate) -> bool) -> Vec<Candidate> {
        let mut targets: Vec<_> = self.targets.iter().filter(|(target, _)| fits(target)).collect();
        if targets.len() > 1 {
            let total: u64 = targets.iter().map(|(_, weight)| u64::from(*weight)).sum();
            let mut point = below(total, ambient);
            let drawn = targets.iter().position(|(_, weight)| {
                let weight = u64::from(*weight);
                let hit = point < weight;
                point = point.saturating_sub(weight);
                hit
            });
            let drawn = targets.remove(drawn.unwrap_or_default());
            targets.sort_by_key(|(_, weight)| std::cmp::Reverse(*weight));
            targets.insert(0, drawn);
        }
        let fallbacks = self.fallbacks.iter().filter(|fallback| fits(fallback));
        let mut order: Vec<Candidate> = Vec::with_capacity(targets.len() + self.fallbacks.len());
        for candidate in targets.iter().map(|(target, _)| target).chain(fallbacks) {
            if !order.iter().any(|known| known.same(candidate)) {
                order.push(candidate.clone());
            }
        }
        order
    }
}

impl Candidate {
    fn same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.provider, &other.provider) && self.model == other.model
    }
}

impl Pattern {
    fn new(text: &str) -> Self {
        match text.strip_suffix('*') {
            Some(beginning) => Self::Beginning(beginning.to_owned()),
            None => Self::Exactly(text.to_owned()),
        }
    }

    fn fits(&self, model: &str, ignores_case: bool) -> bool {
        let (name, model) = match self {
            Self::Exactly(name) => (name, model.as_bytes()),
            Self::Beginning(name) => match model.as_bytes().get(..name.len()) {
                Some(beginning) => (name, beginning),
                None => return false,
            },
        };
        match ignores_case {
            true => name.as_bytes().eq_ignore_ascii_case(model),
            false => name.as_bytes() == model,
        }
    }
}

fn candidate(
    target: &RouteTarget,
    addressed: &Provider,
    providers: &HashMap<ProviderId, Arc<Provider>>,
) -> Option<Candidate> {
    let provider = providers.get(&target.provider)?;
    let takes_it = addressed
        .config
        .provider_type
        .may_route_to(provider.config.provider_type);
    (takes_it && provider.usable().is_ok()).then(|| Candidate {
        provider: Arc::clone(provider),
        model: target.model.as_deref().map(Into::into),
    })
}

/// A uniformly random number below `total`.
fn below(total: u64, ambient: &Ambient) -> u64 {
    let mut draw = [0; 8];
    ambient.fill(&mut draw);
    ((u128::from(u64::from_ne_bytes(draw)) * u128::from(total)) >> 64) as u64
}

#[cfg(test)]
mod tests;
