//! Objects that providers store (responses, conversations) belong to the user who made them: a request that names another's is
//! refused as if there were none. What nobody is known to have made is the provider's business, unless the policy wants it to be
//! the user's own.
//!
//! What was made, or found to be the user's, here is remembered; about anything else the control plane is asked, which learns it
//! from the records. A record may be on its way, so where only the user's own will do, or the object was made here, it is asked
//! again for a moment. While there is no control plane to ask, what is not remembered is refused, to be tried later.
//!
//! Not here: objects in an account of the user's own, which the provider itself guards.

use crate::error::Refusal;
use crate::exchange::admit::{Admission, Entered};
use crate::shared::Shared;
use http::StatusCode;
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::Ownership;
use lychgate_types::provider::Api;
use lychgate_types::secret::SecretHash;
use lychgate_wire::RequestFacts;
use std::time::Duration;
use tokio::time::{sleep, timeout};

/// `relay.stored_objects`: everybody's may be used.
const EVERYBODYS: u32 = 0;
/// `relay.stored_objects`: only the user's own may be used.
const ONLY_OWN: u32 = 2;
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
/// Longest wait for an answer.
const LOOKUP_TIMEOUT: Duration = Duration::from_secs(5);

/// Whether a request names objects whose makers matter.
pub(super) fn are_named(entered: &Entered, admission: &Admission, facts: &RequestFacts) -> bool {
    (admission.object.is_some() || !facts.objects.is_empty())
        && admission.own.is_none()
        && entered.provider.config.policy.relay.stored_objects != EVERYBODYS
}

/// Refuses a request that names what another user has made.
pub(super) async fn check(entered: &Entered, admission: &Admission, facts: &RequestFacts) -> Result<(), Refusal> {
    let usable = entered.provider.config.policy.relay.stored_objects;
    let of_body = facts.objects.iter().map(String::as_str);
    for object in admission.object.as_deref().into_iter().chain(of_body) {
        check_one(&entered.shared, admission.token, object, usable).await?;
    }
    Ok(())
}

/// Whether what the answer names is stored by the provider, and made by this request. Whoever only uses an object, which may be of an
/// unknown maker, does not come to own it.
pub(super) fn makes(api: Api, admission: &Admission) -> bool {
    matches!(api, Api::OpenAiResponses | Api::OpenAiObjects) && admission.object.is_none()
}

async fn check_one(shared: &Shared, token: SecretHash, object: &str, usable: u32) -> Result<(), Refusal> {
    if object.len() > LONGEST_ID {
        return Err(not_found());
    }
    if shared.objects.knows(token, object) {
        return Ok(());
    }
    // If it was made here, its record is only on its way.
    let unknown_will_do = usable != ONLY_OWN && !shared.objects.has_maker(object);
    let mut waits = ASK_AGAIN.into_iter();
    loop {
        if !shared.replica_state.load().link.is_attached() {
            return Err(unreachable());
        }
        match timeout(LOOKUP_TIMEOUT, shared.link.owns(token, object)).await {
            Ok(Ok(Ownership::Own)) => {
                shared.objects.remember(token, object);
                return Ok(());
            }
            // Not remembered: its maker may yet become known.
            Ok(Ok(Ownership::Unknown)) if unknown_will_do => return Ok(()),
            Ok(Ok(Ownership::Anothers)) if usable != ONLY_OWN => return Err(not_found()),
            Ok(Ok(Ownership::Anothers | Ownership::Unknown)) => match waits.next() {
                Some(wait) => sleep(wait).await,
                None => return Err(not_found()),
            },
            Ok(Err(_)) | Err(_) => {
                shared.lookup_health.failure();
                return Err(unreachable());
            }
        }
    }
}

fn not_found() -> Refusal {
    let message = "you have made no response or conversation with this id through this gateway";
    Refusal::new(StatusCode::NOT_FOUND, Refused::ObjectUnknown, message)
}

fn unreachable() -> Refusal {
    let message =
        "the control plane can't be asked at present who made this response or conversation; try again shortly";
    Refusal::unavailable(Refused::ControlPlaneUnreachable, message, 2)
}
