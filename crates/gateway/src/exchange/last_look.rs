//! A response that goes on in the background can be deleted, and nobody is shown its end then. So the gateway asks the provider for it
//! first, itself and once, and books what that shows. Where it shows nothing, the response is not deleted.
//!
//! Not here: how much of it is read, while the client waits (`Options::last_look`), and the request for the deletion.

use crate::auth::credentials::Outgoing;
use crate::error::Refusal;
use crate::exchange::admit::{Entered, Received};
use crate::exchange::attempt::{AttemptError, head_within};
use crate::exchange::body_kind::BodyKind;
use crate::exchange::completion::Completion;
use crate::exchange::drain::read;
use crate::exchange::upstream_request::{Position, UpstreamRequest, parameters};
use bytes::Bytes;
use http::{Method, Request, StatusCode, Uri};
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_wire::provider::describe;
use tokio::time::Instant;

/// Asks for the response that is about to be deleted, and gives the key of the platform's that it asked with: the deletion goes with the
/// same one, since another may be of a project that has the response where this one saw none. An error where it can't be told what
/// became of it.
pub(super) async fn last_look(
    entered: &Entered,
    received: &Received,
    mut completion: Box<Completion>,
) -> Result<Option<usize>, Refusal> {
    // Nobody's is nobody's to pay for.
    if completion.id().is_none() {
        return Ok(None);
    }
    let provider = &entered.provider;
    let central = match &received.admission.own {
        Some(_) => None,
        None => Some(provider.pool.pick(&[], &[]).ok_or_else(|| provider.without_key())?),
    };
    let (key, credential) = match (&central, &received.admission.own) {
        (Some((key, credential)), _) => (Some(*key), &**credential),
        (None, Some(own)) => (None, own),
        (None, None) => return Err(provider.without_key()),
    };
    let is_whole = match look(entered, received, credential, &mut completion).await {
        Seen::Gone => return Ok(key),
        Seen::Nothing => false,
        Seen::Answer { is_whole } => is_whole,
    };
    let Some(shown) = completion.shown() else {
        return Err(unseen());
    };
    // The answer to the deletion has a record that is behind this one in the spool.
    drop(completion.settle(shown, &received.admission.guard));
    is_whole.then_some(key).ok_or_else(unseen)
}

/// What came of the question.
enum Seen {
    /// There is no such response.
    Gone,
    Nothing,
    Answer {
        is_whole: bool,
    },
}

fn unseen() -> Refusal {
    let message = "the provider does not show how this background response ended, so it was not deleted: try again shortly, or get the \
                   response until it has ended, then delete it";
    Refusal::unavailable(Refused::ProviderFailed, message, 2)
}

async fn look(entered: &Entered, received: &Received, credential: &Outgoing, completion: &mut Completion) -> Seen {
    let Entered { shared, provider, .. } = entered;
    let admission = &received.admission;
    let mut asked = Request::new(()).into_parts().0;
    asked.method = Method::GET;
    // Which version of the API is asked; nothing by which the client could ask for less than all of it.
    let description = describe(provider.config.provider_type);
    let uri = &received.head.uri;
    let version = parameters(uri.query(), |parameter| description.is_own_parameter(parameter));
    let uri = match version {
        Some(version) => Uri::try_from(format!("{}?{version}", uri.path())),
        None => Uri::try_from(uri.path()),
    };
    let Ok(uri) = uri else { return Seen::Nothing };
    asked.uri = uri;
    // Which organisation and project it belongs to, for the same reason.
    let names = received
        .head
        .headers
        .iter()
        .filter(|(name, _)| name.as_str().starts_with("openai-"));
    asked.headers = names.map(|(name, value)| (name.clone(), value.clone())).collect();
    let mut request = UpstreamRequest::unrecorded(asked, provider, admission.path, admission.credential_kind());
    let Ok(url) = request.url(provider, admission.path, None) else {
        return Seen::Nothing;
    };
    let limits = shared.options.last_look;
    let until = Instant::now() + limits.time;
    let mut send = |position| {
        let request = request.build(url.clone(), Bytes::new(), credential, position, &shared.ambient);
        head_within(limits.time, shared.upstream.send(&provider.config, request))
    };
    let answered = match send(Position::MoreMayFollow).await {
        Err(AttemptError::Connection(error)) if error.is_break() => send(Position::Last).await,
        answered => answered,
    };
    let Ok(response) = answered else {
        return Seen::Nothing;
    };
    let (head, body) = response.into_parts();
    if matches!(head.status, StatusCode::NOT_FOUND | StatusCode::GONE) {
        return Seen::Gone;
    }
    completion.head(head.status, BodyKind::of(head.status, &head.headers));
    let is_whole = read(body, |data| completion.data(data), limits, until).await;
    Seen::Answer { is_whole }
}
