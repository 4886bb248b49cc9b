//! The stream of one attachment: carried over the simulated network in order, late or never, and then observed.

use super::cluster::Cluster;
use super::control_plane::ControlPlane;
use super::model::End;
use super::network::broken;
use super::signal::Signal;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use lychgate_link::{Attachment, CloseReason, Down, Heartbeat, LinkError, Message};
use lychgate_types::KeyRefusal;
use std::sync::Arc;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

type Events = BoxStream<'static, Result<Down, LinkError>>;

/// What the network carries down one attachment; and heartbeats up.
pub(super) struct Carried {
    cluster: Arc<Cluster>,
    host: usize,
    control_plane: usize,
    begun: bool,
    over: bool,
    stopped: Arc<Signal<bool>>,
    beating: JoinHandle<()>,
    events: Events,
}

impl Drop for Carried {
    fn drop(&mut self) {
        self.beating.abort();
    }
}

impl Carried {
    /// From a control plane to a host, and the other way.
    pub(super) fn new(
        (cluster, host, number): (Arc<Cluster>, usize, usize),
        control_plane: &ControlPlane,
        (heartbeats, beats): (watch::Receiver<Heartbeat>, watch::Sender<Heartbeat>),
        attachment: Attachment,
    ) -> Self {
        Self {
            beating: tokio::spawn(carry_beats(cluster.clone(), host, number, heartbeats, beats)),
            cluster,
            host,
            control_plane: number,
            begun: false,
            over: false,
            stopped: control_plane.stopped.clone(),
            events: attachment.events,
        }
    }

    pub(super) async fn next(&mut self) -> Option<Result<Down, LinkError>> {
        if self.over {
            return None;
        }
        match self.carry().await {
            Ok(down) => {
                self.begun = true;
                Some(Ok(down))
            }
            Err(error) => {
                self.over = true;
                error.map(Err)
            }
        }
    }

    async fn carry(&mut self) -> Result<Down, Option<LinkError>> {
        let (cluster, host) = (self.cluster.clone(), self.host);
        let connection = &cluster.hosts[host].connections[self.control_plane];
        let (events, stopped, begun) = (&mut self.events, &self.stopped, self.begun);
        let carrying = async {
            loop {
                let event = events.next().await;
                connection.pass().await.map_err(Some)?;
                if begun && event.is_some() && cluster.gets_lost(cluster.settings.lost_messages) {
                    cluster.log(&format!("a message to replica {host} gets lost"));
                    *cluster.hosts[host].missed.lock().unwrap() = Some(Instant::now());
                    continue;
                }
                return event.transpose().map_err(Some)?.ok_or(None);
            }
        };
        tokio::select! {
            biased;
            () = connection.breaks() => Err(Some(broken())),
            _ = stopped.until(|stopped| stopped) => Err(Some(broken())),
            carried = carrying => carried,
        }
    }
}

/// Carries heartbeats up, until there are no more or the connection breaks.
async fn carry_beats(
    cluster: Arc<Cluster>,
    host: usize,
    control_plane: usize,
    mut from: watch::Receiver<Heartbeat>,
    to: watch::Sender<Heartbeat>,
) {
    let connection = &cluster.hosts[host].connections[control_plane];
    while from.changed().await.is_ok() {
        if connection.pass().await.is_err() {
            return;
        }
        let last = *from.borrow_and_update();
        to.send_replace(last);
    }
}

/// The stream as the replica receives it, noted in the model.
pub(super) struct Observed {
    cluster: Arc<Cluster>,
    host: usize,
    process: u64,
    number: u64,
    control_plane: usize,
    /// The position that was attached from.
    resume_after: u64,
    begun: bool,
    over: bool,
    events: Events,
}

impl Drop for Observed {
    fn drop(&mut self) {
        if !self.begun && !self.over && self.runs() {
            // Nobody waits for its first message any longer.
            self.cluster.model(self.host).attach_failed(End::Lost);
        }
    }
}

impl Observed {
    /// The stream of a process of a replica that attached from a position on, to a control plane.
    pub(super) fn new(
        (cluster, host, process): (&Arc<Cluster>, usize, u64),
        resume_after: u64,
        control_plane: usize,
        attachment: Attachment,
    ) -> Self {
        Self {
            cluster: cluster.clone(),
            host,
            process,
            number: cluster.next(),
            control_plane,
            resume_after,
            begun: false,
            over: false,
            events: attachment.events,
        }
    }

    pub(super) async fn next(&mut self) -> Option<Result<Down, LinkError>> {
        if self.over {
            return None;
        }
        let event = self.events.next().await;
        self.over = !matches!(event, Some(Ok(_)));
        if self.runs() {
            self.note(event.as_ref());
        }
        event
    }

    fn runs(&self) -> bool {
        self.cluster.model(self.host).process == Some(self.process)
    }

    fn note(&mut self, event: Option<&Result<Down, LinkError>>) {
        match event {
            Some(Ok(down)) if self.begun => self.note_later(down),
            Some(Ok(down)) => {
                self.begun = true;
                self.note_first(down);
            }
            Some(Err(_)) | None => {
                self.cluster.log(&format!("replica {} loses its link", self.host));
                let end = event.and_then(|event| event.as_ref().err()).map_or(End::Lost, end);
                let mut model = self.cluster.model(self.host);
                if std::mem::replace(&mut self.begun, true) {
                    model.ended(self.number, end);
                } else {
                    model.attach_failed(end);
                }
            }
        }
    }

    fn note_first(&self, down: &Down) {
        let (cluster, host) = (&self.cluster, self.host);
        let mut model = cluster.model(host);
        match &down.message {
            Message::Configuration { resumed, .. } => {
                let resumed = *resumed && down.after == self.resume_after;
                cluster.log(&format!(
                    "replica {host} is attached to {}, resumed: {resumed}, at {}",
                    self.control_plane, down.sequence
                ));
                model.opened(self.number, resumed, down);
                *cluster.hosts[host].attached_to.lock().unwrap() = Some(self.control_plane);
            }
            Message::Close(reason) => {
                cluster.log(&format!("replica {host} is refused: {reason:?}"));
                model.attach_failed(match reason {
                    CloseReason::ShuttingDown => End::Lost,
                    CloseReason::Refused(_) => End::Refused,
                });
            }
            _ => model.attach_failed(End::Lost),
        }
    }

    fn note_later(&self, down: &Down) {
        let (cluster, host) = (&self.cluster, self.host);
        let tokens = match &down.message {
            Message::TokensRevoked(hashes) => {
                let database = cluster.database();
                let mut tokens: Vec<_> = hashes.iter().filter_map(|hash| database.number(hash)).collect();
                tokens.sort_unstable();
                tokens
            }
            _ => Vec::new(),
        };
        cluster.log(&format!(
            "replica {host} receives {} {tokens:?}, {} to {}",
            name(&down.message),
            down.after,
            down.sequence
        ));
        cluster.model(host).received(self.number, down, &tokens);
    }
}

pub(super) fn end(error: &LinkError) -> End {
    match error.refusal() {
        Some(reason) if reason != KeyRefusal::TooManyAttempts => End::Refused,
        _ => End::Lost,
    }
}

const fn name(message: &Message) -> &'static str {
    match message {
        Message::Configuration { .. } => "a configuration",
        Message::TokensRevoked(_) => "revocations",
        Message::Drain => "drain",
        Message::Unknown => "an unknown message",
        Message::Close(_) => "a close",
    }
}
