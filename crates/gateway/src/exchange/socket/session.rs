//! A WebSocket that is relayed, from the change of its protocol to its end. Nothing waits in a queue: an end is read from when what it
//! said before has gone to the other.
//!
//! Not here: what a message of the client may do (`message`), whose an event is (`lanes`), and how it all ends (`ending`).

use super::Connection;
use super::ending::{End, Stop, Upstream, broken, finish};
use super::lanes::Lanes;
use super::message::{Admitted, Context, closing, is_about_token, unreadable};
use super::peer::{CLIENT_MESSAGE, Crowded, PROVIDER_MESSAGE, Peer, Turn};
use crate::body_budget::MessageRoom;
use crate::error::Refusal;
use crate::exchange::admit::crowded;
use crate::resilience::retry::millis;
use crate::sockets::News;
use http::StatusCode;
use lychgate_link::places::Place;
use lychgate_telemetry::metrics::labels::Refused;
use lychgate_types::Holder;
use lychgate_wire::socket::{ClientEvent, client_event, filler, provider_event};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;
use tokio::time::{Instant, Interval, MissedTickBehavior, interval};
use tokio_tungstenite::tungstenite::protocol::Role;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::{Error, Utf8Bytes};

/// Longest life of a WebSocket; what is being made then is finished.
pub(crate) const LIFETIME: Duration = Duration::from_secs(3600);
/// How long one stays open in which nothing is asked for or made.
pub(crate) const IDLE: Duration = Duration::from_secs(15 * 60);
/// How often is looked at what takes its time; each end is pinged then.
const TICK: Duration = Duration::from_secs(15);
/// An end that says nothing for this long, not even to a ping, is gone. So is one that does not take what is sent to it.
const SILENCE: Duration = Duration::from_secs(60);

type Admission = Pin<Box<dyn Future<Output = (ClientEvent, Result<Admitted, Refusal>)> + Send>>;
type Check = Pin<Box<dyn Future<Output = Option<Refusal>> + Send>>;

/// One WebSocket.
pub(super) struct Session {
    context: Arc<Context>,
    client: Peer,
    upstream: Peer,
    lanes: Lanes,
    /// The client's message that is being looked at.
    admission: Option<Admission>,
    /// Whether its token still works.
    check: Option<Check>,
    news: broadcast::Receiver<News>,
    tick: Interval,
    opened: Instant,
    /// When something was asked for or made last.
    used: Instant,
    /// What the client gets while its provider is silent.
    filler: Option<Filler>,
    /// It ends as soon as nothing is being made.
    stop: Option<Stop>,
    place: Place<Holder>,
}

struct Filler {
    event: &'static str,
    every: Duration,
    /// When one was sent last.
    sent: Instant,
}

impl Filler {
    fn new(context: &Context) -> Option<Self> {
        let every = context.provider.config.policy.relay.keep_alive_seconds;
        let event = filler(context.client()).filter(|_| every > 0)?;
        Some(Self {
            event,
            every: Duration::from_secs(every.into()),
            sent: Instant::now(),
        })
    }

    /// It is due behind so much silence, and then again and again.
    fn is_due(&self, spoke: Instant, now: Instant) -> bool {
        now >= spoke.max(self.sent) + self.every
    }
}

/// What has happened.
enum Happened {
    News(Result<News, RecvError>),
    Tick,
    Admitted(ClientEvent, Result<Admitted, Refusal>),
    Checked(Option<Refusal>),
    Client(Turn),
    Upstream(Turn),
}

impl Session {
    pub(super) async fn new(
        context: Arc<Context>,
        client: Connection,
        upstream: Connection,
        news: broadcast::Receiver<News>,
        place: Place<Holder>,
    ) -> Self {
        let (budget, holder) = (&context.shared.body_budget, context.holder);
        let client = Peer::new(client, Role::Server, CLIENT_MESSAGE, budget, holder).await;
        let upstream = Peer::new(upstream, Role::Client, PROVIDER_MESSAGE, budget, holder).await;
        let filler = Filler::new(&context);
        let mut tick = interval(filler.as_ref().map_or(TICK, |filler| filler.every.min(TICK)));
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let now = Instant::now();
        Self {
            context,
            client,
            upstream,
            lanes: Lanes::default(),
            admission: None,
            check: None,
            news,
            tick,
            opened: now,
            used: now,
            filler,
            stop: None,
            place,
        }
    }

    /// Relays until one end closes it, or the gateway has to.
    pub(super) async fn run(mut self) {
        let end = loop {
            if self.is_over()
                && let Some(stop) = self.stop.take()
            {
                break End::Stopped(stop);
            }
            let happened = self.happens().await;
            if let Err(end) = self.take(happened).await {
                break end;
            }
        };
        let Self {
            context,
            client,
            upstream,
            lanes,
            place,
            ..
        } = self;
        finish(end, client, Upstream { peer: upstream, place }, lanes, &context).await;
    }

    /// Whether nothing is being made any more, and the client has got what was.
    fn is_over(&self) -> bool {
        self.lanes.is_idle() && self.admission.is_none() && !self.client.is_writing()
    }

    /// Whether the client may say something: what it said before has gone on, and it has got what it was told.
    fn reads_client(&self) -> bool {
        self.admission.is_none() && !self.client.is_writing() && !self.upstream.is_writing()
    }

    async fn happens(&mut self) -> Happened {
        let client_writes = self.client.is_writing();
        let reads_client = self.reads_client();
        tokio::select! {
            news = self.news.recv() => Happened::News(news),
            _ = self.tick.tick() => Happened::Tick,
            // A refusal is told behind what is on its way.
            (event, admitted) = pending(&mut self.admission), if !client_writes => Happened::Admitted(event, admitted),
            refusal = pending(&mut self.check) => Happened::Checked(refusal),
            turn = self.client.turn(reads_client) => Happened::Client(turn),
            turn = self.upstream.turn(!client_writes) => Happened::Upstream(turn),
        }
    }

    async fn take(&mut self, happened: Happened) -> Result<(), End> {
        match happened {
            Happened::News(news) => self.hear(news),
            Happened::Tick => self.look(),
            Happened::Admitted(event, admitted) => {
                self.admission = None;
                self.admitted(&event, admitted);
                Ok(())
            }
            Happened::Checked(refusal) => {
                self.check = None;
                if refusal.is_some() {
                    self.stop = Some(Stop::for_good(refusal));
                }
                Ok(())
            }
            Happened::Client(turn) => self.client_turn(turn),
            Happened::Upstream(turn) => self.upstream_turn(turn).await,
        }
    }

    fn client_turn(&mut self, turn: Turn) -> Result<(), End> {
        match turn {
            Turn::Sent | Turn::Sign => Ok(()),
            Turn::Text(text, room) => {
                self.used = Instant::now();
                self.ask(text, room);
                Ok(())
            }
            Turn::Binary => {
                let message = "a message has to be text, an event of the Responses API as JSON";
                Err(told(
                    unreadable(message.to_owned()),
                    CloseCode::Unsupported,
                    "text only",
                ))
            }
            Turn::Closed(frame) => Err(End::ClientLeft(frame)),
            Turn::Failed(error) => Err(failed(&error)),
        }
    }

    async fn upstream_turn(&mut self, turn: Turn) -> Result<(), End> {
        match turn {
            Turn::Sent | Turn::Sign => Ok(()),
            Turn::Text(text, room) => self.relay(text, room).await,
            // Some clients give up upon one, and the API has none.
            Turn::Binary => Ok(()),
            Turn::Closed(frame) => Err(End::ProviderLeft(frame)),
            Turn::Failed(_) => Err(End::ProviderLeft(Some(broken()))),
        }
    }

    /// A message of the client: looks at what it asks for.
    fn ask(&mut self, text: Utf8Bytes, room: MessageRoom) {
        let event = match client_event(text.as_bytes()) {
            Ok(event) => event,
            Err(error) => return self.refuse(None, unreadable(error.to_string())),
        };
        let refused = match &self.stop {
            // What is refused for good is so by its admission, too, which says why.
            Some(stop) if (event.creates || event.steers) && stop.code == CloseCode::Away => Err(closing()),
            _ => self.lanes.room_for(&event),
        };
        if let Err(refusal) = refused {
            return self.refuse(event.lane.as_deref(), refusal);
        }
        let context = Arc::clone(&self.context);
        self.admission = Some(Box::pin(async move {
            let admitted = context.admit(&event, text, room).await;
            (event, admitted)
        }));
    }

    fn admitted(&mut self, event: &ClientEvent, admitted: Result<Admitted, Refusal>) {
        match admitted {
            Ok(Admitted { text, room, asks }) => {
                self.lanes.relayed(event, asks);
                self.upstream.send_text(text, Some(room));
            }
            Err(refusal) => {
                if is_about_token(&refusal) {
                    self.stop = Some(Stop::for_good(None));
                }
                self.refuse(event.lane.as_deref(), refusal);
            }
        }
    }

    /// Tells the client that its message is not relayed. It is read from only while nothing is on its way to it.
    fn refuse(&mut self, lane: Option<&str>, refusal: Refusal) {
        self.context.shared.counts.refused.count(refusal.reason);
        self.client.send_text(refusal.into_event(lane), None);
    }

    /// An event of the provider goes to the client, behind the record if it is the last of a response.
    async fn relay(&mut self, text: Utf8Bytes, room: MessageRoom) -> Result<(), End> {
        self.used = Instant::now();
        let seen = self.lanes.see(&provider_event(text.as_bytes()), &text, &self.context);
        let holds = seen.map_err(|refusal| told(refusal, CloseCode::Again, "not to be recorded"))?;
        for hold in holds {
            if hold.await.is_ok() {
                continue;
            }
            let message = "the record of this response can't be kept, so its end is not shown";
            let refusal = Refusal::new(StatusCode::SERVICE_UNAVAILABLE, Refused::SpoolFailed, message);
            return Err(told(refusal, CloseCode::Again, "not to be recorded"));
        }
        self.client.send_text(text, Some(room));
        Ok(())
    }

    fn hear(&mut self, news: Result<News, RecvError>) -> Result<(), End> {
        match news {
            Ok(News::Revoked(tokens)) if !tokens.contains(&self.context.token) => return Ok(()),
            Ok(News::State) => {}
            Ok(News::Revoked(_)) | Err(_) => {
                let context = Arc::clone(&self.context);
                self.check = Some(Box::pin(async move { context.is_refused().await }));
            }
        }
        let shared = &self.context.shared;
        if shared.cut_off.load(Ordering::Acquire) {
            return Err(End::Stopped(Stop::elsewhere("the gateway is shutting down")));
        }
        if self.stop.is_some() {
            return Ok(());
        }
        let is_leaving = shared.draining.load(Ordering::Acquire) || shared.drained.load(Ordering::Acquire);
        let state = shared.replica_state.load();
        self.stop = if is_leaving {
            Some(Stop::elsewhere("the gateway takes no more requests"))
        } else if state.link.is_refused() {
            let refusal = state.link.admits(shared.options.max_offline).err();
            Some(Stop::for_good(refusal))
        } else if state.link.is_attached() && self.context.entered().is_err() {
            Some(Stop::elsewhere("the provider is configured otherwise"))
        } else {
            None
        };
        Ok(())
    }

    /// What takes its time.
    fn look(&mut self) -> Result<(), End> {
        let now = Instant::now();
        // While it is not read from, the provider's silence means nothing.
        if self.upstream.waits_for_room() || self.client.is_writing() {
            self.used = now;
        }
        if !self.reads_client() {
            self.client.excuse_silence();
        }
        let timeouts = &self.context.provider.config.policy.timeouts;
        let (idle, total) = (self.used + millis(timeouts.idle_ms), millis(timeouts.total_ms));
        let is_late = |oldest: Instant| now >= idle || now >= oldest + total;
        if self.lanes.oldest().is_some_and(is_late) {
            // Their errors may have been the last word.
            self.lanes.give_up_failed();
            if self.lanes.oldest().is_some_and(is_late) {
                // It may be the client that takes its time: then what is made is read on.
                return Err(match self.client.is_writing() {
                    true => End::ClientLeft(None),
                    false => End::Stalled,
                });
            }
        }
        // One that takes a few bytes now and then would hold the place and the room for ever.
        if self.client.writing_since().is_some_and(|since| now >= since + total) {
            return Err(End::ClientLeft(None));
        }
        let is_stuck = |peer: &Peer| peer.stuck_since().is_some_and(|since| now >= since + SILENCE);
        if is_stuck(&self.client) || now >= self.client.heard() + SILENCE + TICK {
            return Err(End::ClientLeft(None));
        }
        if is_stuck(&self.upstream) {
            return Err(End::ProviderLeft(Some(broken())));
        }
        if self.lanes.is_idle() && now >= idle {
            self.lanes.forget_steers();
        }
        let is_unused = self.lanes.is_idle() && now >= self.used + IDLE;
        if self.stop.is_none() && (is_unused || self.lanes.is_full() || now >= self.opened + LIFETIME) {
            self.stop = Some(Stop::elsewhere("it has been open for long enough"));
        }
        if let Some(filler) = &mut self.filler
            && filler.is_due(self.used, now)
            && self.lanes.has_begun()
            && !self.client.is_writing()
        {
            filler.sent = now;
            self.client.send_text(filler.event, None);
        }
        self.client.ping();
        self.upstream.ping();
        Ok(())
    }
}

/// Waits for what is being done, if anything is.
async fn pending<T>(work: &mut Option<Pin<Box<dyn Future<Output = T> + Send>>>) -> T {
    match work {
        Some(work) => work.await,
        None => std::future::pending().await,
    }
}

fn told(refusal: Refusal, code: CloseCode, reason: &'static str) -> End {
    End::Stopped(Stop {
        told: Some(refusal),
        code,
        reason,
    })
}

/// What came of the client can't be read.
fn failed(error: &Error) -> End {
    match error {
        Error::Capacity(_) => {
            let message = format!("the message is over this gateway's limit of {CLIENT_MESSAGE} bytes");
            let refusal = Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, Refused::BodyTooLarge, message);
            told(refusal, CloseCode::Size, "the message is too large")
        }
        Error::Io(error) if let Some(Crowded(no_room)) = within(error) => {
            told(crowded(*no_room), CloseCode::Again, "there is no room for the message")
        }
        Error::Utf8(_) => told(
            unreadable("a message has to be UTF-8".into()),
            CloseCode::Invalid,
            "not UTF-8",
        ),
        Error::Protocol(_) => told(
            unreadable("this is no WebSocket".into()),
            CloseCode::Protocol,
            "no WebSocket",
        ),
        _ => End::ClientLeft(None),
    }
}

fn within(error: &io::Error) -> Option<&Crowded> {
    error.get_ref()?.downcast_ref()
}
