//! A response that goes on in the background can be deleted, and nobody is shown its end then. So the gateway asks the provider for it
//! first, itself and once, and books what that shows.
//!
//! Not here: how much of it is read, while the client waits (`Options::last_look`), and the request for the deletion, which goes on
//! whatever comes of this.

use crate::exchange::admit::{Entered, Received};
use crate::exchange::attempt::head_within;
use crate::exchange::body_kind::BodyKind;
use crate::exchange::completion::Completion;
use crate::exchange::drain::read;
use crate::exchange::upstream_request::{Position, UpstreamRequest, parameters};
use bytes::Bytes;
use http::{Method, Request, Uri};
use lychgate_wire::provider::describe;
use tokio::time::Instant;

/// Asks for the response that is about to be deleted.
pub(super) async fn last_look(entered: &Entered, received: &Received, mut completion: Box<Completion>) {
    if completion.id().is_none() {
        return;
    }
    let Entered { shared, provider, .. } = entered;
    let admission = &received.admission;
    let picked;
    let credential = match &admission.own {
        Some(own) => own,
        None => match provider.pool.pick(&[], &[]) {
            Some((_, central)) => {
                picked = central;
                &*picked
            }
            None => return,
        },
    };
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
    let Ok(uri) = uri else { return };
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
        return;
    };
    let request = request.build(url, Bytes::new(), credential, Position::Last, &shared.ambient);
    let limits = shared.options.last_look;
    let until = Instant::now() + limits.time;
    let sending = head_within(limits.time, shared.upstream.send(&provider.config, request));
    let Ok(response) = sending.await else { return };
    let (head, body) = response.into_parts();
    completion.head(head.status, BodyKind::of(head.status, &head.headers));
    read(body, |data| completion.data(data), limits, until).await;
    // The answer to the deletion has a record that is behind this one in the spool.
    drop(completion.close(&admission.guard));
}
