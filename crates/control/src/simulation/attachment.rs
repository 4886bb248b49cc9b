//! One attachment of a replica over the simulated network: what comes down, in order, late or never, and heartbeats up.

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

type Heard = BoxStream<'static, Result<Down, LinkError>>;

/// Carries heartbeats up, until there are no more or the connection breaks.
async fn beat(
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

/// What comes down one attachment.
pub(super) struct Stream {
    cluster: Arc<Cluster>,
    host: usize,
    process: u64,
    number: u64,
    control_plane: usize,
    /// The place that was attached from.
    asked: u64,
    begun: bool,
    over: bool,
    stopped: Arc<Signal<bool>>,
    beating: JoinHandle<()>,
    events: Heard,
}

impl Drop for Stream {
    fn drop(&mut self) {
        self.beating.abort();
        if !self.begun && !self.over && self.runs() {
            // Nobody waits for its first message any longer.
            self.cluster.model(self.host).attach_failed(End::Lost);
        }
    }
}

impl Stream {
    /// The stream of a process of a replica that attached from a place on, to a control plane.
    pub(super) fn new(
        (cluster, host, process): (&Arc<Cluster>, usize, u64),
        asked: u64,
        (number, control_plane): (usize, &ControlPlane),
        (heartbeats, beats): (watch::Receiver<Heartbeat>, watch::Sender<Heartbeat>),
        attachment: Attachment,
    ) -> Self {
        Self {
            cluster: cluster.clone(),
            host,
            process,
            number: cluster.next(),
            control_plane: number,
            asked,
            begun: false,
            over: false,
            stopped: control_plane.stopped.clone(),
            beating: tokio::spawn(beat(cluster.clone(), host, number, heartbeats, beats)),
            events: attachment.events,
        }
    }

    pub(super) async fn next(&mut self) -> Option<Result<Down, LinkError>> {
        if self.over {
            return None;
        }
        let event = self.carried().await;
        if self.runs() {
            self.note(event.as_ref());
        }
        event
    }

    fn runs(&self) -> bool {
        self.cluster.model(self.host).process == Some(self.process)
    }

    async fn carried(&mut self) -> Option<Result<Down, LinkError>> {
        let cluster = self.cluster.clone();
        let connection = &cluster.hosts[self.host].connections[self.control_plane];
        let (events, stopped) = (&mut self.events, &self.stopped);
        let carrying = async {
            loop {
                let event = events.next().await;
                connection.pass().await.map_err(Some)?;
                if self.begun && event.is_some() && cluster.gets_lost(cluster.settings.lost_messages) {
                    cluster.log(&format!("a message to replica {} gets lost", self.host));
                    *cluster.hosts[self.host].missed.lock().unwrap() = Some(Instant::now());
                    continue;
                }
                return event.transpose().map_err(Some)?.ok_or(None);
            }
        };
        let carried = tokio::select! {
            biased;
            () = connection.breaks() => Err(Some(broken())),
            _ = stopped.until(|stopped| stopped) => Err(Some(broken())),
            carried = carrying => carried,
        };
        match carried {
            Ok(down) => Some(Ok(down)),
            Err(error) => {
                self.over = true;
                error.map(Err)
            }
        }
    }

    fn note(&mut self, event: Option<&Result<Down, LinkError>>) {
        let (cluster, host, number) = (&self.cluster, self.host, self.number);
        let mut model = cluster.model(host);
        match event {
            Some(Ok(down)) if self.begun => {
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
                    "replica {host} hears {} {tokens:?}, {} to {}",
                    word(&down.message),
                    down.after,
                    down.sequence
                ));
                model.heard(number, down, &tokens);
            }
            Some(Ok(down)) => {
                self.begun = true;
                match &down.message {
                    Message::Configuration { resumed, .. } => {
                        let resumed = *resumed && down.after == self.asked;
                        cluster.log(&format!(
                            "replica {host} is attached to {}, resumed: {resumed}, at {}",
                            self.control_plane, down.sequence
                        ));
                        model.opened(number, resumed, down);
                        *cluster.hosts[host].attached_to.lock().unwrap() = Some(self.control_plane);
                    }
                    Message::Close(reason) => {
                        cluster.log(&format!("replica {host} is turned away: {reason:?}"));
                        let shuts = *reason == CloseReason::ShuttingDown;
                        model.attach_failed(if shuts { End::Lost } else { End::Refused });
                    }
                    _ => model.attach_failed(End::Lost),
                }
            }
            Some(Err(_)) | None => {
                cluster.log(&format!("replica {host} loses its link"));
                let end = event.and_then(|event| event.as_ref().err()).map_or(End::Lost, end);
                if self.begun {
                    model.ended(number, end);
                } else {
                    self.begun = true;
                    model.attach_failed(end);
                }
            }
        }
    }
}

pub(super) fn end(error: &LinkError) -> End {
    match error {
        LinkError::Refused(refusal) if refusal.reason != KeyRefusal::TooManyAttempts => End::Refused,
        _ => End::Lost,
    }
}

fn word(message: &Message) -> &'static str {
    match message {
        Message::Configuration { .. } => "another configuration",
        Message::TokensRevoked(_) => "revoked",
        Message::Drain => "drain",
        Message::Unknown => "something new",
        Message::Close(_) => "close",
    }
}
