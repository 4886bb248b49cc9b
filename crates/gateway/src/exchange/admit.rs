//! Admission: decides from a request's head whether it may be relayed, before any of its body is held, and reads the body.
//! The order is the defence (`docs/decisions/0013-admission-in-one-order.md`):
//!
//! 1. what the head alone tells: path, method, and whether the token can be one. It costs no place and no wait;
//! 2. the token, in memory; one that is not known waits for its look-up in one of the few places for that;
//! 3. the request is counted as in flight: only requests of known tokens are;
//! 4. room for its record is reserved;
//! 5. the body is read, as far as there is room for it in the budget of all bodies and in its user's share.
//!
//! Not here: what is checked before the request itself (`inbound::stack`).

use crate::auth::credentials::{self, Credentials, Outgoing};
use crate::auth::leases::Verdict;
use crate::auth::target;
use crate::body_budget::{HeldBody, NoRoom, Room};
use crate::error::Refusal;
use crate::exchange::content_coding::request::{DecodeError, decode};
use crate::exchange::content_coding::{self, Codings, PLAIN};
use crate::exchange::discard::{Sender, discard_request};
use crate::replica_state::ReplicaState;
use crate::routing::allow_list::{self, Found};
use crate::routing::provider::Provider;
use crate::shared::{InFlightGuard, Shared};
use crate::spool::{Full, Slot};
use axum::body::Body;
use bytes::Bytes;
use http::header::CONTENT_ENCODING;
use http::request::Parts;
use http::{Request, StatusCode};
use lychgate_link::places::Source;
use lychgate_stream::{ReadError, ReadLimits, read_bounded};
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::Holder;
use lychgate_types::interception::CredentialKind;
use lychgate_types::provider::Api;
use lychgate_types::secret::SecretHash;
use lychgate_wire::provider::AllowedPath;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::time::Instant;

/// The provider that a request names.
pub(crate) struct Entered {
    pub(crate) shared: Arc<Shared>,
    pub(crate) provider: Arc<Provider>,
    pub(crate) capture_content: bool,
}

impl Entered {
    /// For a request to the provider of this name that comes now, if any may.
    pub(crate) fn now(shared: &Arc<Shared>, state: &ReplicaState, provider: &str) -> Result<Self, Refusal> {
        shared.stays()?;
        if shared.drained.load(Ordering::Acquire) {
            return Err(Refusal::unavailable(
                Refused::Drained,
                "this gateway is drained and takes no new requests; use another",
                5,
            ));
        }
        state.link.admits(shared.options.max_offline)?;
        let provider = state.table.provider(provider).ok_or_else(|| {
            let message = "there is no provider of this name; check the part after /ai/ in the base URL";
            Refusal::new(StatusCode::NOT_FOUND, Refused::UnknownProvider, message)
        })?;
        Ok(Self {
            shared: Arc::clone(shared),
            provider: Arc::clone(provider),
            capture_content: state.table.capture_content,
        })
    }
}

/// A request that was admitted, and its body.
pub(crate) struct Received {
    pub(crate) head: Parts,
    pub(crate) admission: Admission,
    pub(crate) body: HeldBody,
    /// Time spent waiting for the client's body: not the gateway's own.
    pub(crate) waited: Duration,
}

/// What is known of a request from its head, and its places.
pub(crate) struct Admission {
    pub(crate) guard: InFlightGuard,
    /// The API that is recorded, and room for the record; `None` for what is only passed through.
    pub(crate) recorded: Option<(Api, Slot)>,
    /// How the body is coded; plain where nothing of it is read, and it goes on as it is.
    codings: Codings,
    /// The object stored at the provider that the path names.
    pub(crate) object: Option<Box<str>>,
    /// The entry of the allow-list that its path is on.
    pub(crate) path: &'static AllowedPath,
    pub(crate) token: SecretHash,
    /// Whose shares it counts towards: stands for the user, or where it is not known who that is, for the token alone.
    pub(crate) holder: Holder,
    /// The user's own provider credential.
    pub(crate) own: Option<Outgoing>,
}

impl Admission {
    /// The API as whose requests the body is read; `None` where nothing of it is.
    pub(crate) fn read_as(&self) -> Option<Api> {
        self.recorded.as_ref().map(|(api, _)| *api).or(self.path.read_as)
    }

    pub(crate) fn credential_kind(&self) -> CredentialKind {
        match self.own {
            Some(_) => CredentialKind::Byok,
            None => CredentialKind::Centralized,
        }
    }
}

/// Admits the request and reads its body.
pub(crate) async fn receive(entered: &Entered, request: Request<Body>, source: Source) -> Result<Received, Refusal> {
    let (mut head, mut body) = request.into_parts();
    let shared = &entered.shared;
    let asked_at = Instant::now();
    let admitted = match identify(entered, &head, source).await {
        Ok(known) => place(entered, known).map_err(|refusal| (refusal, Sender::Known)),
        Err(refusal) => Err((refusal, Sender::Stranger(shared.refused_bodies.take(source)))),
    };
    let admission = match admitted {
        Ok(admission) => admission,
        Err((refusal, sender)) => {
            let (entered, head, body) = (entered, &head, &mut body);
            // In one box, so that the futures of other requests need no room for it.
            return Err(Box::pin(async move {
                discard_request(head, body, sender).await;
                match refusal.reason {
                    Refused::UnknownPath => hinted(entered, head, source, refusal).await,
                    _ => refusal,
                }
            })
            .await);
        }
    };
    let limits = ReadLimits {
        bytes: shared.options.body_limit,
        idle: shared.options.body_idle_timeout,
        total: shared.options.body_timeout,
    };
    let mut room = shared.body_budget.room(admission.holder);
    let read = read_bounded(&mut body, limits, |size| room.grow(size)).await;
    match read {
        Ok(bytes) => {
            let waited = asked_at.elapsed();
            let codings = admission.codings;
            let body = if codings == PLAIN {
                HeldBody::new(bytes, room)
            } else {
                head.headers.remove(CONTENT_ENCODING);
                // Boxed, so that the futures of other requests need no room for it.
                Box::pin(decoded(bytes, codings, limits.bytes, room)).await?
            };
            Ok(Received {
                head,
                admission,
                body,
                waited,
            })
        }
        Err(error) => {
            // Others may have its places while it is told.
            drop((admission, room));
            if matches!(error, ReadError::TooLarge | ReadError::NoRoom(_)) {
                Box::pin(discard_request(&head, &mut body, Sender::Known)).await;
            }
            Err(unreadable(&error, limits))
        }
    }
}

/// Whether a request with this head may be relayed to this provider, its body apart.
pub(crate) async fn admit(entered: &Entered, head: &Parts, source: Source) -> Result<Admission, Refusal> {
    place(entered, identify(entered, head, source).await?)
}

/// A request that is allowed to its token.
struct Known {
    api: Option<Api>,
    object: Option<Box<str>>,
    path: &'static AllowedPath,
    /// `None` where they can't be decoded.
    codings: Option<Codings>,
    credentials: Credentials,
    holder: Holder,
}

/// Steps 1 and 2.
async fn identify(entered: &Entered, head: &Parts, source: Source) -> Result<Known, Refusal> {
    let Entered { shared, provider, .. } = entered;
    let rest = allow_list::split(head.uri.path()).map_or("", |(_, rest)| rest);
    target::check(provider.config.provider_type, &head.uri)?;
    let Found {
        api,
        object,
        path,
        is_list,
    } = allow_list::find(
        provider.config.provider_type,
        &provider.config.policy.relay,
        &head.method,
        rest,
    )?;
    let credentials = credentials::read(provider.config.provider_type, &head.headers)?;
    let holder = authorize(shared, credentials.token, source)
        .await?
        .or_of(&credentials.token);
    if is_list && credentials.own.is_none() && !provider.config.policy.relay.shares_objects() {
        return Err(everybodys());
    }
    if let Some(name) = provider.other_setting(path, rest) {
        return Err(elsewhere(name));
    }
    Ok(Known {
        holder,
        api,
        object: object.map(Into::into),
        path,
        codings: content_coding::all_of(&head.headers),
        credentials,
    })
}

/// Whoever's token works is told which path was meant, in place of a refusal.
async fn hinted(entered: &Entered, head: &Parts, source: Source, refusal: Refusal) -> Refusal {
    let provider_type = entered.provider.config.provider_type;
    let rest = allow_list::split(head.uri.path()).map_or("", |(_, rest)| rest);
    let Ok(credentials) = credentials::read(provider_type, &head.headers) else {
        return refusal;
    };
    match authorize(&entered.shared, credentials.token, source).await {
        Ok(_) => allow_list::hint(provider_type, rest).unwrap_or(refusal),
        Err(_) => refusal,
    }
}

/// Steps 3 and 4.
fn place(entered: &Entered, known: Known) -> Result<Admission, Refusal> {
    let Entered { shared, provider, .. } = entered;
    let guard = shared.enter()?;
    provider.usable()?;
    let codings = match known.api.or(known.path.read_as) {
        Some(_) => known.codings.ok_or_else(unknown_coding)?,
        None => PLAIN,
    };
    let recorded = match known.api {
        Some(api) => Some((api, reserve(shared, known.holder)?)),
        None => None,
    };
    Ok(Admission {
        guard,
        recorded,
        codings,
        object: known.object,
        path: known.path,
        token: known.credentials.token,
        holder: known.holder,
        own: known.credentials.own,
    })
}

/// What a path names is who pays, and where.
fn elsewhere(name: &str) -> Refusal {
    let message = format!(
        "this provider serves another {name} than the one in the request's path: set the client to the provider's"
    );
    Refusal::new(StatusCode::FORBIDDEN, Refused::OtherProject, message)
}

/// Room for a record of this user.
pub(crate) fn reserve(shared: &Shared, holder: Holder) -> Result<Slot, Refusal> {
    shared.spool.reserve(holder).map_err(|full| no_room(&full))
}

/// Room for what is known of a record once its request's body is read: its prompt.
pub(crate) fn expect(slot: &mut Slot, prompt: Option<&String>) -> Result<(), Refusal> {
    slot.expect(prompt.map_or(0, String::len))
        .map_err(|full| no_room(&full))
}

pub(crate) async fn authorize(shared: &Shared, token: SecretHash, source: Source) -> Result<Holder, Refusal> {
    match verdict(shared, token, source).await {
        Verdict::Allowed(holder) => Ok(holder),
        Verdict::Forbidden => Err(Refusal::new(
            StatusCode::FORBIDDEN,
            Refused::TokenForbidden,
            "this Lychgate token may not send AI requests",
        )),
        Verdict::Denied(reason) => Err(credentials::denied(reason)),
        Verdict::Unknown => Err(Refusal::unavailable(
            Refused::ControlPlaneUnreachable,
            "the control plane can't be asked about this token at present; try again shortly",
            2,
        )),
        Verdict::Crowded => Err(Refusal::unavailable(
            Refused::LookupsTooMany,
            "too many requests wait for their tokens to be looked up; try again shortly",
            1,
        )),
    }
}

/// An unknown token is looked up only while the control plane is attached: a request must not hang.
async fn verdict(shared: &Shared, token: SecretHash, source: Source) -> Verdict {
    if let Some(verdict) = shared.leases.known(&token) {
        return verdict;
    }
    if !shared.replica_state.load().link.is_attached() {
        return Verdict::Unknown;
    }
    let verdict = Box::pin(shared.leases.look_up(&shared.link, token, source)).await;
    match verdict {
        Verdict::Crowded => {}
        Verdict::Unknown => shared.lookup_health.failure(),
        _ => shared.lookup_health.success(),
    }
    verdict
}

fn no_room(full: &Full) -> Refusal {
    let (reason, message) = match full {
        Full::Records => (
            Refused::SpoolFull,
            "too many records wait for the control plane or are in flight, and nothing is relayed unrecorded; try again later",
        ),
        Full::Share => (
            Refused::SpoolShareFull,
            "too many of your records wait for the control plane or are in flight, and nothing is relayed unrecorded; try again later",
        ),
        Full::Disk(_) => (
            Refused::SpoolFailed,
            "this gateway can't keep records at present, and nothing is relayed unrecorded; try again later",
        ),
    };
    Refusal::unavailable(reason, message, 5)
}

fn everybodys() -> Refusal {
    let message = "the provider would list what all users of the gateway's key have made, so this list is not relayed: keep the ids of what \
                   you make, or use a key of your own (the policy relay.stored_objects=all shares everything)";
    Refusal::new(StatusCode::FORBIDDEN, Refused::ListOfAll, message)
}

fn unknown_coding() -> Refusal {
    Refusal::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Refused::BodyUnreadable,
        "the gateway has to read the request body and can't: send it as gzip, zstd, br or deflate (at most four in all), or without content-encoding",
    )
}

/// Decodes a body where it holds up nobody else.
async fn decoded(coded: Bytes, codings: Codings, most_bytes: usize, room: Room) -> Result<HeldBody, Refusal> {
    let decoding = tokio::task::spawn_blocking(move || decode(&coded, codings, most_bytes, room));
    let error = match decoding.await {
        Ok(Ok(body)) => return Ok(body),
        Ok(Err(error)) => error,
        Err(_) => return Err(Refusal::internal()),
    };
    Err(match error {
        DecodeError::Malformed => {
            let message = "the request body is not what its content-encoding says, or it is cut";
            Refusal::new(StatusCode::BAD_REQUEST, Refused::BodyUnreadable, message)
        }
        DecodeError::TooLarge => {
            let message =
                format!("the request body is decoded to more than this gateway's limit of {most_bytes} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Refused::BodyTooLarge, message)
        }
        DecodeError::TooDense => {
            let message = "the request body is decoded to some hundred times its size; send it uncompressed";
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Refused::BodyTooLarge, message)
        }
        DecodeError::NoRoom(no_room) => crowded(no_room),
    })
}

pub(crate) fn crowded(no_room: NoRoom) -> Refusal {
    match no_room {
        NoRoom::ForAnyone => {
            let message = "this gateway holds as many bytes of request bodies as it may; try again shortly";
            Refusal::unavailable(Refused::BodiesTooMany, message, 1)
        }
        NoRoom::ForThisUser => {
            let message =
                "your requests hold as many bytes of bodies as those of one user may; wait until some are sent";
            Refusal::too_many(Refused::BodiesTooMany, message, 1)
        }
    }
}

fn unreadable<E>(error: &ReadError<E, NoRoom>, limits: ReadLimits) -> Refusal {
    match error {
        ReadError::NoRoom(no_room) => crowded(*no_room),
        ReadError::TooLarge => {
            let bytes = limits.bytes;
            let message = format!("the request body is over this gateway's limit of {bytes} bytes");
            Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Refused::BodyTooLarge, message)
        }
        ReadError::TooSlow => Refusal::new(
            StatusCode::REQUEST_TIMEOUT,
            Refused::BodyUnfinished,
            "the request body came too slowly",
        ),
        ReadError::Broken(_) => Refusal::new(
            StatusCode::BAD_REQUEST,
            Refused::BodyUnfinished,
            "the request body was cut",
        ),
    }
}
