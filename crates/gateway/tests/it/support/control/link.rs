//! The control plane's end of the link.

use super::{Control, State};
use async_trait::async_trait;
use futures_util::StreamExt;
use lychgate_link::{
    Attachment, Authorization, Configuration, ControlLink, DenyReason, Down, EncodedRecord, Heartbeat, Hello,
    LinkError, Message, Receipt, Rejected,
};
use lychgate_types::interception::{InterceptionRecord, Outcome};
use lychgate_types::secret::{SecretHash, SpoolKey};
use lychgate_types::{Ownership, ReplicaId, StoredObject, UnfinishedInterception};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, oneshot, watch};

pub(super) fn configured(configuration: &Arc<Configuration>, resumed: bool) -> Message {
    Message::Configuration {
        configuration: Arc::clone(configuration),
        resumed,
        spool_keys: SpoolKey::from_bytes([7; 32]).into(),
    }
}

impl State {
    /// Pushes to all attachments, in the order of the feed.
    pub(super) fn push(&mut self, message: Message) {
        let (after, sequence) = (self.sequence, self.sequence + 1);
        self.sequence = sequence;
        let down = Down {
            after,
            sequence,
            message,
        };
        self.attachments
            .retain(|attachment| attachment.send(Ok(down.clone())).is_ok());
    }

    /// The first messages of an attachment.
    fn first(&self, resume_after: u64) -> Vec<Down> {
        let Some(configuration) = &self.configuration else {
            return Vec::new();
        };
        let down = |after, sequence, message| Down {
            after,
            sequence,
            message,
        };
        if !self.resumes || resume_after == 0 {
            return vec![down(0, self.sequence, configured(configuration, false))];
        }
        let missed = self.revoked.iter().filter(|(place, _)| *place > resume_after);
        let missed = missed.map(|(_, token)| *token).collect();
        vec![
            down(resume_after, resume_after, configured(configuration, true)),
            down(resume_after, self.sequence, Message::TokensRevoked(missed)),
        ]
    }
}

#[async_trait]
impl ControlLink for Control {
    async fn attach(&self, hello: Hello, heartbeats: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
        let resume_after = hello.resume_after;
        self.lock().hellos.push(hello);
        while self.lock().hold_attachments {
            tokio::task::yield_now().await;
        }
        let mut state = self.lock();
        if let Some(error) = state.down.as_ref().or(state.attaching_fails.as_ref()) {
            return Err(error.clone());
        }
        let (down, mut events) = mpsc::unbounded_channel();
        for first in state.first(resume_after) {
            down.send(Ok(first)).unwrap();
        }
        state.attachments.push(down);
        let mut last = heartbeats.clone();
        state.heartbeats = Some(heartbeats);
        let no_more = async move { while last.changed().await.is_ok() {} };
        let events = futures_util::stream::poll_fn(move |cx| events.poll_recv(cx));
        Ok(Attachment {
            events: events.take_until(no_more).boxed(),
        })
    }

    async fn renewed(&self) {
        let renewed = Arc::clone(&self.lock().renewed);
        renewed.notified().await;
    }

    async fn authorize(&self, token: SecretHash) -> Result<Authorization, LinkError> {
        let held = {
            let mut state = self.lock();
            state.lookups.push(token);
            if let Some(error) = &state.down {
                return Err(error.clone());
            }
            let unknown = Authorization::Denied {
                reason: DenyReason::Unknown,
                lease: Duration::from_secs(5),
            };
            if !state.hold_lookups {
                return Ok(state.tokens.get(&token).copied().unwrap_or(unknown));
            }
            let (answer, held) = oneshot::channel();
            state.held_lookups.push_back(answer);
            held
        };
        held.await
            .map_err(|_| LinkError::Unreachable("the test is over".into()))
    }

    async fn owns(&self, token: SecretHash, objects: &[String]) -> Result<Vec<StoredObject>, LinkError> {
        self.lock().questions += 1;
        while self.lock().hold_questions {
            tokio::task::yield_now().await;
        }
        let state = self.lock();
        if let Some(error) = &state.down {
            return Err(error.clone());
        }
        let of = |object: &String| {
            let made = |record: &&Arc<InterceptionRecord>| {
                let names = record.stored_object.iter().chain(&record.stored_items);
                !record.completes && names.into_iter().any(|name| name == object)
            };
            let makers: Vec<_> = state
                .records
                .iter()
                .filter(made)
                .map(|record| record.token_hash)
                .collect();
            let ownership = match makers.as_slice() {
                [] => Ownership::Unknown,
                makers if makers.contains(&token) => Ownership::Own,
                _ => Ownership::Anothers,
            };
            let unfinished = state.records.iter().find(made).filter(|record| {
                let is_end = |end: &&Arc<InterceptionRecord>| end.completes && end.id == record.id;
                record.outcome == Outcome::Unfinished && !state.records.iter().any(|end| is_end(&end))
            });
            StoredObject {
                ownership,
                unfinished: unfinished.map(|record| UnfinishedInterception {
                    id: record.id,
                    provider: record.provider.clone(),
                }),
            }
        };
        Ok(objects.iter().map(of).collect())
    }

    async fn deliver(&self, _: ReplicaId, records: Vec<EncodedRecord>) -> Result<Receipt, LinkError> {
        while self.lock().hold_deliveries {
            tokio::task::yield_now().await;
        }
        let records: Vec<_> = records
            .iter()
            .map(|record| Arc::new(record.decode().unwrap()))
            .collect();
        let mut state = self.lock();
        state.batches.push(records.iter().map(|record| record.id).collect());
        if let Some(error) = &state.down {
            return Err(error.clone());
        }
        if let Some((model, error)) = &state.fail_deliveries_of
            && records.iter().any(|record| record.model == *model)
        {
            return Err(error.clone());
        }
        let (bad, good): (Vec<_>, Vec<_>) = records
            .into_iter()
            .partition(|record| state.reject_model.as_ref() == Some(&record.model));
        state.records.extend(good);
        let rejected = bad
            .iter()
            .map(|record| Rejected {
                id: record.id,
                reason: "rejected by the test".into(),
            })
            .collect();
        Ok(Receipt { rejected })
    }
}
