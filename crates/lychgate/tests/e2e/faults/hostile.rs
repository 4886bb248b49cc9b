//! Somebody who holds a gateway key and one user's token, speaks the control link, and delivers what never happened: in others' names,
//! under others' ids, from other times, and twice with other contents.

use super::world::{Token, World};
use lychgate_link::client::GrpcLink;
use lychgate_link::{ControlLink, EncodedRecord};
use lychgate_testkit::network::Network;
use lychgate_types::interception::{CredentialKind, InterceptionRecord, Outcome, TokenUsage};
use lychgate_types::provider::{Api, ProviderType};
use lychgate_types::secret::{GatewayKeySecret, SecretHash, UserTokenSecret};
use lychgate_types::{Ambient, InterceptionId, Timestamp};
use std::time::Duration;
use tokio::sync::watch;
use tokio::time::sleep;

/// What he has.
pub(super) struct Hostile {
    /// The secret of his gateway key.
    pub(super) key: String,
    pub(super) token: Token,
    /// His ways to the control planes.
    pub(super) controls: Vec<Network>,
}

/// His user.
pub(super) const USER: &str = "mallory";
/// What his records name as their client program; behind it stands the [`Lie`].
pub(super) const PROGRAM_NAME: &str = "hostile/";
const PAUSE: Duration = Duration::from_millis(400);
/// So many of the newest ids of others are used each time.
const OTHERS: usize = 4;

/// What a record of his is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    /// With the token of somebody else, which his gateway key was never told.
    Forged,
    /// With his own token, under the id of somebody else's record.
    Displacing,
    /// As the end of somebody else's record.
    Completing,
    /// With his own token, from another century.
    Misdated,
    /// With his own token: it may be on the books.
    First,
    /// Under the id of that one, with more tokens.
    Repeated,
}

impl Lie {
    const ALL: [Self; 6] = [
        Self::Forged,
        Self::Displacing,
        Self::Completing,
        Self::Misdated,
        Self::First,
        Self::Repeated,
    ];

    /// Whether a record of this kind may be on the books, as his own.
    pub(super) fn may_be_booked(self) -> bool {
        matches!(self, Self::Displacing | Self::Misdated | Self::First)
    }

    fn name(self) -> String {
        format!("{PROGRAM_NAME}{self:?}")
    }

    /// The one whose record names this client program.
    pub(super) fn named(client: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|lie| lie.name() == client)
    }
}

/// Delivers lies until it is stopped; whatever becomes of them.
pub(super) async fn lie(world: &World, stop: watch::Receiver<bool>) {
    let Some(hostile) = &world.hostile else { return };
    let urls: Vec<_> = hostile
        .controls
        .iter()
        .map(|network| format!("http://{}", network.addr()))
        .collect();
    let ambient = Ambient::system();
    let (_kept, key) = watch::channel(GatewayKeySecret::parse(&hostile.key).expect("a gateway key"));
    let link = GrpcLink::new(&urls, key, ambient.clone()).expect("the control planes' URLs");
    let hash = |token: &str| UserTokenSecret::parse(token).expect("a token").hash();
    let (own, others) = (hash(&hostile.token.secret), hash(&world.tokens[0].secret));
    let replica = ambient.new_id();
    while !*stop.borrow() {
        let _may_fail = link.authorize(own).await;
        let now = ambient.now();
        let first = ambient.new_id();
        let mut lies = vec![
            record(Lie::Forged, ambient.new_id(), others, now),
            record(Lie::Misdated, ambient.new_id(), own, Timestamp::from_micros(0)),
            record(
                Lie::Misdated,
                ambient.new_id(),
                own,
                Timestamp::from_micros(now.as_micros() * 3),
            ),
            record(Lie::First, first, own, now),
        ];
        for id in world.log.newest_ids(OTHERS) {
            let id = InterceptionId::from_uuid(id.parse().expect("an id"));
            lies.push(record(Lie::Displacing, id, own, now));
            lies.push(record(Lie::Completing, id, own, now));
        }
        let batch = |lies: Vec<InterceptionRecord>| lies.into_iter().map(EncodedRecord::encode).collect();
        // Only what is there can be repeated.
        if link.deliver(replica, batch(lies)).await.is_ok() {
            let again = vec![record(Lie::Repeated, first, own, now)];
            let _may_fail = link.deliver(replica, batch(again)).await;
        }
        sleep(PAUSE).await;
    }
}

fn record(lie: Lie, id: InterceptionId, token_hash: SecretHash, started_at: Timestamp) -> InterceptionRecord {
    InterceptionRecord {
        id,
        token_hash,
        provider: "anthropic".to_owned(),
        provider_type: ProviderType::Anthropic,
        api: Api::AnthropicMessages,
        model: "claude-sonnet-5".to_owned(),
        served_model: None,
        streaming: false,
        client: "Unknown".to_owned(),
        user_agent: lie.name(),
        client_session_id: None,
        thread_parent_tool_call_id: None,
        thread_parent_response_id: None,
        credential_kind: CredentialKind::Centralized,
        credential_hint: String::new(),
        started_at,
        ended_at: started_at,
        outcome: Outcome::Completed,
        upstream_status: Some(200),
        error_type: None,
        error_message: None,
        provider_request_id: None,
        stop_reason: None,
        stored_object: None,
        stored_items: Vec::new(),
        completes: lie == Lie::Completing,
        attempts: 1,
        time_to_first_byte_ms: None,
        overhead_us: 0,
        token_usages: vec![TokenUsage {
            output_tokens: if lie == Lie::Repeated { 1_000_000 } else { 1 },
            ..TokenUsage::default()
        }],
        prompts: Vec::new(),
        tool_usages: Vec::new(),
        model_thoughts: Vec::new(),
    }
}
