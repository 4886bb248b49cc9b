//! A control plane that knows every token and takes every record.

use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream;
use lychgate_link::{
    Attachment, Authorization, Configuration, ControlLink, EncodedRecord, Heartbeat, Hello, LinkError, Message, Receipt,
};
use lychgate_types::secret::{SecretHash, SpoolKey};
use lychgate_types::{Holder, Ownership, ReplicaId, StoredObject};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// What it says.
#[derive(Debug)]
pub(crate) struct Agreeable {
    /// Sent to each replica that attaches.
    pub(crate) configuration: Arc<Configuration>,
    /// Of every token.
    pub(crate) may_send_requests: bool,
}

#[async_trait]
impl ControlLink for Agreeable {
    async fn attach(&self, _: Hello, _: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
        let configuration = Message::Configuration {
            configuration: Arc::clone(&self.configuration),
            resumed: false,
            spool_keys: SpoolKey::from_bytes([7; 32]).into(),
        };
        let events = stream::iter([Ok(configuration.into())])
            .chain(stream::pending())
            .boxed();
        Ok(Attachment { events })
    }

    async fn authorize(&self, _: SecretHash) -> Result<Authorization, LinkError> {
        Ok(Authorization::Known {
            may_send_requests: self.may_send_requests,
            holder: Holder::default(),
            lease: Duration::from_secs(3600),
        })
    }

    async fn owns(&self, _: SecretHash, objects: &[String]) -> Result<Vec<StoredObject>, LinkError> {
        Ok(vec![Ownership::Own.into(); objects.len()])
    }

    async fn deliver(&self, _: ReplicaId, _: Vec<EncodedRecord>) -> Result<Receipt, LinkError> {
        Ok(Receipt::default())
    }
}
