//! One attachment of a replica over the simulated network: what comes down, in order, late or never, and heartbeats up.

use super::edge::broken;
use super::mirror::End;
use super::plane::Plane;
use super::signal::Signal;
use super::world::World;
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
    world: Arc<World>,
    machine: usize,
    plane: usize,
    mut from: watch::Receiver<Heartbeat>,
    to: watch::Sender<Heartbeat>,
) {
    let edge = &world.machines[machine].edges[plane];
    while from.changed().await.is_ok() {
        if edge.pass().await.is_err() {
            return;
        }
        let last = *from.borrow_and_update();
        to.send_replace(last);
    }
}

/// What comes down one attachment.
pub(super) struct Stream {
    world: Arc<World>,
    machine: usize,
    process: u64,
    number: u64,
    plane: usize,
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
            self.world.mirror(self.machine).attach_failed(End::Lost);
        }
    }
}

impl Stream {
    /// The stream of a process of a replica that attached from a place on, to a control plane.
    pub(super) fn new(
        (world, machine, process): (&Arc<World>, usize, u64),
        asked: u64,
        (number, plane): (usize, &Plane),
        (heartbeats, beats): (watch::Receiver<Heartbeat>, watch::Sender<Heartbeat>),
        attachment: Attachment,
    ) -> Self {
        Self {
            world: world.clone(),
            machine,
            process,
            number: world.next(),
            plane: number,
            asked,
            begun: false,
            over: false,
            stopped: plane.stopped.clone(),
            beating: tokio::spawn(beat(world.clone(), machine, number, heartbeats, beats)),
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
        self.world.mirror(self.machine).process == Some(self.process)
    }

    async fn carried(&mut self) -> Option<Result<Down, LinkError>> {
        let world = self.world.clone();
        let edge = &world.machines[self.machine].edges[self.plane];
        let (events, stopped) = (&mut self.events, &self.stopped);
        let carrying = async {
            loop {
                let event = events.next().await;
                edge.pass().await.map_err(Some)?;
                if self.begun && event.is_some() && world.gets_lost(world.settings.lost_messages) {
                    world.log(&format!("a message to replica {} gets lost", self.machine));
                    *world.machines[self.machine].missed.lock().unwrap() = Some(Instant::now());
                    continue;
                }
                return event.transpose().map_err(Some)?.ok_or(None);
            }
        };
        let carried = tokio::select! {
            biased;
            () = edge.breaks() => Err(Some(broken())),
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
        let (world, machine, number) = (&self.world, self.machine, self.number);
        let mut mirror = world.mirror(machine);
        match event {
            Some(Ok(down)) if self.begun => {
                let tokens = match &down.message {
                    Message::TokensRevoked(hashes) => {
                        let database = world.database();
                        let mut tokens: Vec<_> = hashes.iter().filter_map(|hash| database.number(hash)).collect();
                        tokens.sort_unstable();
                        tokens
                    }
                    _ => Vec::new(),
                };
                world.log(&format!(
                    "replica {machine} hears {} {tokens:?}, {} to {}",
                    word(&down.message),
                    down.after,
                    down.sequence
                ));
                mirror.heard(number, down, &tokens);
            }
            Some(Ok(down)) => {
                self.begun = true;
                match &down.message {
                    Message::Configuration { resumed, .. } => {
                        let resumed = *resumed && down.after == self.asked;
                        world.log(&format!(
                            "replica {machine} is attached to {}, resumed: {resumed}, at {}",
                            self.plane, down.sequence
                        ));
                        mirror.opened(number, resumed, down);
                        *world.machines[machine].attached_to.lock().unwrap() = Some(self.plane);
                    }
                    Message::Close(reason) => {
                        world.log(&format!("replica {machine} is turned away: {reason:?}"));
                        let shuts = *reason == CloseReason::ShuttingDown;
                        mirror.attach_failed(if shuts { End::Lost } else { End::Refused });
                    }
                    _ => mirror.attach_failed(End::Lost),
                }
            }
            Some(Err(_)) | None => {
                world.log(&format!("replica {machine} loses its link"));
                let end = event.and_then(|event| event.as_ref().err()).map_or(End::Lost, end);
                if self.begun {
                    mirror.ended(number, end);
                } else {
                    self.begun = true;
                    mirror.attach_failed(end);
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
