//! Objects that providers store (responses, conversations, files and so on) belong to the user who made them: a request that names
//! another's is refused as if there were none. What nobody is known to have made is the provider's business, unless the policy
//! wants it to be the user's own.
//!
//! What was made, or found to be the user's, here is remembered; about anything else the control plane is asked, which learns it
//! from the records. A record may be on its way, so where only the user's own will do, or the object was made here, it is asked
//! again for a moment. While there is no control plane to ask, what is not remembered is refused, to be tried later.
//!
//! What is made in the background, a response or a batch, is on record as unfinished; whoever asks for it here may be shown its end
//! ([`super::completion`]).
//!
//! With a key of the user's own, only what another user is known to have made is refused: the rest is guarded by the provider.

use crate::error::Refusal;
use crate::exchange::admit::{Admission, Entered};
use crate::made_objects::Known;
use crate::shared::Shared;
use http::StatusCode;
use lychgate_link::limits::{OWNED_OBJECTS, OWNS_MESSAGE_BYTES};
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::interception::CredentialKind;
use lychgate_types::policy::StoredObjects;
use lychgate_types::provider::Api;
use lychgate_types::secret::SecretHash;
use lychgate_types::{Holder, Ownership, StoredObject, UnfinishedInterception};
use lychgate_wire::RequestFacts;
use lychgate_wire::limits::REFERENCES;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::sleep;

/// Waits before the control plane is asked again: records are delivered within a fraction of a second.
const ASK_AGAIN: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];
/// No provider's ids are longer, in bytes; a recorded one is cut there.
const LONGEST_ID: usize = 512;
/// Whatever a request names, in its body and by its path, can be asked for at once: each id with its field's tag and length, and a
/// hash.
const _: () = {
    let objects = REFERENCES + 1;
    assert!(objects <= OWNED_OBJECTS && objects * (LONGEST_ID + 3) + 64 <= OWNS_MESSAGE_BYTES);
};

/// Whether a request names objects of which something has to be known.
pub(super) fn are_named(entered: &Entered, admission: &Admission, facts: &RequestFacts) -> bool {
    let names_any = admission.object.is_some() || !facts.objects.is_empty();
    (names_any && are_guarded(entered)) || admission.path.shows.is_some()
}

/// Whether their makers matter. With a key of the user's own, too: a server without accounts takes any key.
fn are_guarded(entered: &Entered) -> bool {
    !entered.provider.config.policy.relay.shares_objects()
}

/// What made the object that an answer shows, as far as its end is still to be booked.
#[derive(Debug)]
pub(crate) enum Maker {
    Unfinished(Arc<UnfinishedInterception>),
    /// Its record may be on its way.
    Unknown,
}

/// Refuses a request that names what another user has made. Gives the maker whose end its answer may show.
pub(super) async fn check(
    entered: &Entered,
    admission: &Admission,
    facts: &RequestFacts,
) -> Result<Option<Maker>, Refusal> {
    let (shared, asker) = (&entered.shared, Asker::of(admission));
    let is_guarded = are_guarded(entered);
    if is_guarded {
        let references = facts.objects.iter().map(String::as_str);
        check_all(entered, asker, references.chain(admission.object.as_deref())).await?;
    }
    let Some(object) = admission.object.as_deref() else {
        return Ok(None);
    };
    let known = match is_guarded {
        true => shared.objects.of(asker.token, object),
        false => look_up(entered, admission, object).await?,
    };
    let maker = match known {
        None => Some(Maker::Unknown),
        Some(None) => None,
        Some(Some(of)) if of.provider == entered.provider.config.name.as_str() => Some(Maker::Unfinished(of)),
        Some(Some(_)) => None,
    };
    Ok(maker.filter(|_| admission.path.shows.is_some()))
}

/// Who names objects.
#[derive(Debug, Clone, Copy)]
pub(super) struct Asker {
    pub(super) token: SecretHash,
    pub(super) holder: Holder,
    pub(super) pays: CredentialKind,
}

impl Asker {
    fn of(admission: &Admission) -> Self {
        Self {
            token: admission.token,
            holder: admission.holder,
            pays: admission.credential_kind(),
        }
    }
}

/// Refuses what names in its body what another user has made.
pub(super) async fn check_references(entered: &Entered, asker: Asker, facts: &RequestFacts) -> Result<(), Refusal> {
    if facts.objects.is_empty() || !are_guarded(entered) {
        return Ok(());
    }
    check_all(entered, asker, facts.objects.iter().map(String::as_str)).await
}

/// The maker of an object of which nothing was known when it was asked for, and whose end was shown since.
pub(super) async fn late_maker(
    shared: &Shared,
    token: SecretHash,
    object: &str,
) -> Option<Arc<UnfinishedInterception>> {
    for wait in ASK_AGAIN {
        sleep(wait).await;
        match ask(shared, token, &[object]).await.as_deref() {
            Some([found]) if found.ownership != Ownership::Unknown => return found.unfinished.clone().map(Arc::new),
            _ => {}
        }
    }
    None
}

/// Whether what the answer names is stored by the provider, and made by this request. Whoever only uses an object, which may be of an
/// unknown maker, does not come to own it.
pub(super) fn makes(api: Api, admission: &Admission) -> bool {
    (api == Api::OpenAiResponses || api.is_about_objects()) && admission.object.is_none()
}

/// What is known of an object that anybody may use; `None` where that is nothing.
async fn look_up(entered: &Entered, admission: &Admission, object: &str) -> Result<Option<Known>, Refusal> {
    let shared = &entered.shared;
    if let Some(known) = shared.objects.of_anybody(object) {
        return Ok(Some(known));
    }
    let _place = shared.object_lookups.place(admission.holder).ok_or_else(too_many)?;
    let found = ask(shared, admission.token, &[object]).await;
    let found = found.as_deref().and_then(<[_]>::first);
    let known = found.filter(|found| found.ownership != Ownership::Unknown);
    Ok(known.map(|found| found.unfinished.clone().map(Arc::new)))
}

/// Asks the control plane; `None` where it does not answer. That says nothing of its health: whoever has a token can make it slow to
/// answer this.
async fn ask(shared: &Shared, token: SecretHash, objects: &[&str]) -> Option<Arc<[StoredObject]>> {
    if !objects.iter().all(|object| may_be_id(object)) || !shared.replica_state.load().link.is_attached() {
        return None;
    }
    shared.object_lookups.ask(&shared.link, token, objects).await
}

/// Refuses a request where one of these objects is not for its user, and remembers which are the user's own.
async fn check_all<'a>(entered: &Entered, asker: Asker, objects: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
    let Asker { token, holder, pays } = asker;
    let shared = &entered.shared;
    // What the user has in an account of their own may have been made elsewhere.
    let needs_own = entered.provider.config.policy.relay.stored_objects == StoredObjects::Own
        && pays == CredentialKind::Centralized;
    // If it was made here, its record is only on its way.
    let unknown_will_do = |object: &str| !needs_own && shared.objects.of_anybody(object).is_none();
    let mut open = Vec::new();
    for object in objects {
        if !may_be_id(object) {
            return Err(not_found());
        }
        let is_known = shared.objects.of(token, object).is_some()
            || (unknown_will_do(object) && shared.object_lookups.is_unknown(token, object));
        if !is_known && !open.contains(&object) {
            open.push(object);
        }
    }
    if open.is_empty() {
        return Ok(());
    }
    let _place = shared.object_lookups.place(holder).ok_or_else(too_many)?;
    let mut waits = ASK_AGAIN.into_iter();
    loop {
        let answers = ask(shared, token, &open).await.ok_or_else(unreachable)?;
        let mut again = Vec::new();
        for (object, found) in open.into_iter().zip(&*answers) {
            match found.ownership {
                Ownership::Own => {
                    let known = found.unfinished.clone().map(Arc::new);
                    shared.objects.remember(token, object, known);
                }
                // Remembered for a second only: its maker may yet become known.
                Ownership::Unknown if unknown_will_do(object) => {}
                Ownership::Anothers if !needs_own => return Err(not_found()),
                Ownership::Anothers | Ownership::Unknown => again.push(object),
            }
        }
        if again.is_empty() {
            return Ok(());
        }
        open = again;
        sleep(waits.next().ok_or_else(not_found)?).await;
    }
}

/// Servers differ in whether they take off what is blank around an id, so that none may have any.
fn may_be_id(object: &str) -> bool {
    let is_blank = |letter: char| letter.is_whitespace() || letter.is_control() || letter == '\u{feff}';
    object.len() <= LONGEST_ID && !object.contains(is_blank)
}

fn not_found() -> Refusal {
    let message =
        "you have made no object with this id (response, conversation, file or the like) through this gateway";
    Refusal::new(StatusCode::NOT_FOUND, Refused::ObjectUnknown, message)
}

fn too_many() -> Refusal {
    let message = "too many requests wait for who made the objects that they name; try again shortly";
    Refusal::unavailable(Refused::LookupsTooMany, message, 1)
}

fn unreachable() -> Refusal {
    let message =
        "the control plane can't be asked at present who made the objects that this request names; try again shortly";
    Refusal::unavailable(Refused::ControlPlaneUnreachable, message, 2)
}
