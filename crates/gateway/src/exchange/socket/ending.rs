//! How a relayed WebSocket ends. Clients open another one upon 1001, 1006, 1011, 1012 and 1013 and no other code: so these are for what
//! another one can mend, and 1008 is for what it can't.
//!
//! A client that leaves does not stop the reading at once: what is being made is billed, so that its end is awaited for a bounded time.

use super::lanes::Lanes;
use super::message::Context;
use super::peer::{Peer, Turn};
use crate::error::Refusal;
use crate::exchange::drain;
use crate::exchange::outcome::{Ending, STALLED};
use crate::resilience::decision::AttemptEnd;
use http::StatusCode;
use lychgate_link::places::Place;
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::Holder;
use lychgate_wire::socket::provider_event;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_tungstenite::tungstenite::protocol::frame::CloseFrame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;

/// Longest wait for an end to take its last message and to say goodbye.
const GOODBYE: Duration = Duration::from_secs(5);

/// How it ends.
pub(super) enum End {
    /// The client closed it with this, or is gone.
    ClientLeft(Option<CloseFrame>),
    /// The provider closed it with this, or its connection broke.
    ProviderLeft(Option<CloseFrame>),
    /// The provider fell silent.
    Stalled,
    /// The gateway closes it.
    Stopped(Stop),
}

/// That the gateway closes it: what the client is told before, and the code.
pub(super) struct Stop {
    pub(super) told: Option<Refusal>,
    pub(super) code: CloseCode,
    pub(super) reason: &'static str,
}

impl Stop {
    /// Another one will do.
    pub(super) fn elsewhere(reason: &'static str) -> Self {
        Self {
            told: None,
            code: CloseCode::Away,
            reason,
        }
    }

    /// No other one will do.
    pub(super) fn for_good(told: Option<Refusal>) -> Self {
        Self {
            told,
            code: CloseCode::Policy,
            reason: "refused",
        }
    }
}

/// The provider's connection broke, without a word.
pub(super) fn broken() -> CloseFrame {
    frame(CloseCode::Error, "the connection to the provider broke")
}

fn frame(code: CloseCode, reason: &'static str) -> CloseFrame {
    CloseFrame {
        code,
        reason: reason.into(),
    }
}

/// The provider's end, and the place among all WebSockets, which it keeps for as long as it is read on.
pub(super) struct Upstream {
    pub(super) peer: Peer,
    pub(super) place: Place<Holder>,
}

/// Ends both ends and all records.
pub(super) async fn finish(end: End, mut client: Peer, upstream: Upstream, mut lanes: Lanes, context: &Arc<Context>) {
    match end {
        End::ClientLeft(frame) => {
            read_on(upstream, lanes, frame, context);
            goodbye(&mut client, None).await;
        }
        End::ProviderLeft(frame) => {
            if is_cut(frame.as_ref()) {
                let models = lanes.models().into_iter();
                models.for_each(|model| context.failed(AttemptEnd::BodyCut, model));
            }
            lanes.end(|| Ending::Cut);
            let mut upstream = upstream.peer;
            tokio::join!(goodbye(&mut client, Some(frame)), goodbye(&mut upstream, None));
        }
        End::Stalled => {
            let stalled = AttemptEnd::BodyStalled;
            lanes
                .models()
                .into_iter()
                .for_each(|model| context.failed(stalled, model));
            for lane in lanes.end(|| Ending::Stalled) {
                let refusal = Refusal::new(StatusCode::GATEWAY_TIMEOUT, Refused::ProviderFailed, STALLED);
                let lane = (!lane.is_empty()).then_some(&*lane);
                tell(&mut client, refusal.into_event(lane)).await;
            }
            goodbye(
                &mut client,
                Some(Some(frame(CloseCode::Error, "the provider fell silent"))),
            )
            .await;
        }
        End::Stopped(stop) => {
            read_on(upstream, lanes, Some(frame(CloseCode::Normal, "")), context);
            if let Some(refusal) = stop.told {
                context.shared.counts.refused.count(refusal.reason);
                tell(&mut client, refusal.into_event(None)).await;
            }
            goodbye(&mut client, Some(Some(frame(stop.code, stop.reason)))).await;
        }
    }
}

/// Whether the provider left in the middle, and not because of what it was sent, or as it should.
fn is_cut(frame: Option<&CloseFrame>) -> bool {
    let code = frame.map_or(CloseCode::Abnormal, |frame| frame.code);
    !matches!(
        code,
        CloseCode::Normal
            | CloseCode::Protocol
            | CloseCode::Unsupported
            | CloseCode::Invalid
            | CloseCode::Policy
            | CloseCode::Size
            | CloseCode::Extension
    )
}

/// Sends an event behind whatever is on its way.
async fn tell(client: &mut Peer, event: String) {
    let _ = timeout(GOODBYE, async {
        flush(client).await;
        client.send_text(event, None);
        flush(client).await;
    })
    .await;
}

/// Closes an end, with `Some` as the first who says so, and waits until it has understood.
async fn goodbye(peer: &mut Peer, close: Option<Option<CloseFrame>>) {
    let _ = timeout(GOODBYE, async {
        flush(peer).await;
        if let Some(frame) = close {
            peer.send_close(frame);
        }
        while !matches!(peer.turn(true).await, Turn::Closed(_) | Turn::Failed(_)) {}
        peer.discard().await;
    })
    .await;
}

async fn flush(peer: &mut Peer) {
    while peer.is_writing() {
        if let Turn::Failed(_) = peer.turn(false).await {
            return;
        }
    }
}

/// Reads on in the background until all responses have ended, as far as the limits allow, then closes the provider's end.
fn read_on(upstream: Upstream, mut lanes: Lanes, close: Option<CloseFrame>, context: &Arc<Context>) {
    let context = Arc::clone(context);
    let limits = drain::limits(&context.shared);
    lanes.has_no_client();
    tokio::spawn(async move {
        let Upstream {
            peer: mut upstream,
            place: _place,
        } = upstream;
        let until = Instant::now() + limits.time;
        let most = upstream.came() + limits.bytes as u64;
        while !lanes.is_empty() && upstream.came() <= most {
            let text = match timeout_at(until, upstream.turn(true)).await {
                Ok(Turn::Text(text, _)) => text,
                Ok(Turn::Sent | Turn::Binary | Turn::Sign) => continue,
                Ok(Turn::Closed(_) | Turn::Failed(_)) | Err(_) => break,
            };
            // Nobody waits for a record to be on the disk.
            let event = provider_event(text.as_bytes());
            if lanes.see(&event, &text, &context).is_err() {
                break;
            }
        }
        lanes.end(|| Ending::ClientLeft);
        goodbye(&mut upstream, Some(close)).await;
    });
}
