//! What the filters of a listing name, looked up: a name that nothing has is told, instead of giving an empty list that looks like
//! an answer.

use crate::engine::Held;
use crate::error::{StoreError, Unmatched};
use crate::rows::interceptions::InterceptionFilter;
use crate::sql::interceptions::{self as sql, Session, Wanted};
use crate::sql::providers;
use crate::users::whose;
use lychgate_authz::{Action, Caller, Resource, Target, authorise};
use lychgate_types::UserId;

/// `only`: whose rows alone the caller may list.
pub(super) async fn look_up(
    held: &mut Held,
    only: Option<UserId>,
    filter: &InterceptionFilter,
) -> Result<Wanted, StoreError> {
    let user = whose(held, only, filter.user.as_ref()).await?;
    let session = match &filter.session {
        Some(named) => Some(session(held, user, named).await?),
        None => None,
    };
    Ok(Wanted {
        user,
        provider: filter.provider.as_ref().map(|name| name.to_ascii_lowercase()),
        model: filter.model.clone(),
        client: filter.client.clone(),
        session,
        outcome: filter.outcome,
        since: filter.since,
        until: filter.until,
    })
}

/// Clients, too, name their sessions by UUIDs: one that is no session of ours is one of theirs.
async fn session(held: &mut Held, user: Option<UserId>, named: &str) -> Result<Session, StoreError> {
    if let Ok(id) = uuid::Uuid::try_parse(named) {
        let ours = Session::Ours(id);
        let wanted = Wanted {
            user,
            session: Some(ours.clone()),
            ..Wanted::default()
        };
        if sql::exists(held.conn(), &wanted).await? {
            return Ok(ours);
        }
    }
    Ok(Session::Clients(named.to_owned()))
}

/// Of a filter by which nothing was found: a provider that there is not, and never was on any record that the caller may list. A
/// model, a client or a session that has no record yet is no mistake.
pub(super) async fn unmatched(held: &mut Held, caller: &Caller, wanted: &Wanted) -> Result<(), StoreError> {
    let Some(name) = &wanted.provider else { return Ok(()) };
    let alone = Wanted {
        user: wanted.user,
        provider: Some(name.clone()),
        ..Wanted::default()
    };
    if is_provider(held, caller, name).await? || sql::exists(held.conn(), &alone).await? {
        return Ok(());
    }
    Err(NO_PROVIDER.into())
}

const NO_PROVIDER: Unmatched = Unmatched {
    filter: "provider",
    why: "no such provider",
};

async fn is_provider(held: &mut Held, caller: &Caller, name: &str) -> Result<bool, StoreError> {
    if authorise(&caller.principal, Action::Read, Resource::Provider, Target::Shared).is_err() {
        return Ok(false);
    }
    let all = providers::refs(held.conn()).await?;
    Ok(all.iter().any(|(provider, _)| provider.name == name))
}
