//! What the client gets of a recorded exchange: the last attempt's answer with the tee on it, or the gateway's own.

use crate::error::Refusal;
use crate::exchange::attempt::{AttemptResult, UpstreamResponse};
use crate::exchange::headers::to_client;
use crate::exchange::outcome::Ending;
use crate::exchange::recorder::Recorder;
use crate::exchange::selector::AttemptPlan;
use crate::exchange::tee::Tee;
use crate::resilience::retry::millis;
use axum::body::Body;
use http::{Response, StatusCode};
use lychgate_stream::{Idle, Joined, RelayBody};
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_wire::UsageChunkFilter;

/// Answers with what the last attempt brought. `filter` takes out what only the gateway asked for.
pub(crate) async fn answer(
    plan: &AttemptPlan,
    result: AttemptResult,
    recorder: Recorder,
    filter: Option<UsageChunkFilter>,
) -> Response<Body> {
    let shape = plan.provider.config.provider_type;
    let (head, mut relayed) = match result {
        Ok(UpstreamResponse { mut head, kind, body }) => {
            let filter = filter.filter(|_| kind.is_event_stream && kind.is_plain);
            to_client(&mut head.headers, filter.is_none());
            let tee = Tee {
                recorder,
                filter,
                kind,
                breaker: plan.breaker(),
            };
            let idle = Idle::new(millis(plan.provider.config.policy.timeouts.idle_ms)).until(plan.end);
            (head, RelayBody::new(Joined::new(body), tee, idle))
        }
        Err(error) => {
            let refusal = Refusal::from(error);
            let ending = Ending::NoAnswer(refusal.status, refusal.message.clone().into_owned());
            if let Some(hold) = recorder.close(ending) {
                // It is an error either way.
                let _ = hold.await;
            }
            return refusal.into_response(shape);
        }
    };
    if relayed.settled().await.is_err() {
        let message = "the record of this request can't be kept, so its answer is not shown";
        return Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Refused::SpoolFailed, message).into_response(shape);
    }
    Response::from_parts(head, Body::new(relayed))
}
