//! What the client of a recorded exchange gets: the last attempt's answer, watched by the tee, or an error of the gateway.

use crate::error::Refusal;
use crate::exchange::attempt::{AttemptResult, UpstreamResponse};
use crate::exchange::headers::{AnswerBody, answer_to_client};
use crate::exchange::keep_alive::KeepAlive;
use crate::exchange::outcome::Ending;
use crate::exchange::peeked::Peeked;
use crate::exchange::recorder::Recorder;
use crate::exchange::selector::AttemptPlan;
use crate::exchange::tee::Tee;
use crate::exchange::usage_filter::UsageFilter;
use crate::resilience::retry::millis;
use crate::upstream::Answer;
use axum::body::Body;
use http::{Response, StatusCode};
use lychgate_stream::{Hold, Idle, Joined, RelayBody};
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::provider::WireFamily;

/// The answer to the client; not to be sent before it has [settled](Self::settled).
#[expect(
    clippy::large_enum_variant,
    reason = "nearly all are the large one, and a box would be an allocation per request"
)]
pub(crate) enum Answered {
    /// The provider's answer. As a rule, most of its body is still to come.
    Relayed(Response<RelayBody<Joined<Peeked<Answer>>, Tee>>, WireFamily),
    /// An error of the gateway, and what it has to wait for.
    Refused(Refusal, WireFamily, Option<Hold>),
}

/// Answers with the last attempt's result.
pub(crate) fn answer(plan: AttemptPlan, result: AttemptResult, recorder: Recorder) -> Answered {
    let is_central = plan.uses_central_key();
    let breaker = plan.breaker();
    let asks_for_usage = plan.asks_for_usage();
    let AttemptPlan { provider, end, .. } = plan;
    let family = provider.config.provider_type.wire_family();
    let UpstreamResponse {
        mut head,
        mut kind,
        body,
        ..
    } = match result {
        Ok(answer) => answer,
        Err(error) => {
            let refusal = Refusal::from(error);
            let ending = Ending::NoAnswer(refusal.status, refusal.message.clone().into_owned());
            return Answered::Refused(refusal, family, recorder.close(ending));
        }
    };
    let filter = match asks_for_usage {
        true => UsageFilter::new(&mut kind, &mut head.headers),
        false => None,
    };
    let length = match filter {
        None => AnswerBody::Unchanged,
        Some(_) => AnswerBody::Changed,
    };
    answer_to_client(&mut head.headers, length, &provider, is_central);
    let policy = &provider.config.policy;
    let keep_alive = KeepAlive::new(&policy.relay, &head, kind, || recorder.filler());
    let idle = Idle::new(millis(policy.timeouts.idle_ms)).until(end);
    let idle = KeepAlive::timed(keep_alive.as_ref(), idle);
    let tee = Tee {
        recorder,
        filter,
        keep_alive,
        kind,
        provider,
        breaker,
    };
    let body = RelayBody::new(Joined::new(body), tee, idle);
    Answered::Relayed(Response::from_parts(head, body), family)
}

impl Answered {
    /// Waits until the record is as durable as configured, where the answer has ended already: its head would show that end.
    /// An answer whose record is lost is not sent.
    pub(crate) async fn settled(&mut self) {
        match self {
            Self::Relayed(response, family) => {
                if response.body_mut().settled().await.is_err() {
                    let message = "the record of this request can't be kept, so its answer is not shown";
                    let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Refused::SpoolFailed, message);
                    *self = Self::Refused(refusal, *family, None);
                }
            }
            Self::Refused(_, _, hold) => {
                if let Some(hold) = hold.take() {
                    // It is an error either way.
                    let _ = hold.await;
                }
            }
        }
    }

    pub(crate) fn into_response(self) -> Response<Body> {
        match self {
            Self::Relayed(response, _) => response.map(Body::new),
            Self::Refused(refusal, family, _) => refusal.into_response(family),
        }
    }
}
