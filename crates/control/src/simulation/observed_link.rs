//! The product's link client over the simulated network, with an observer: what comes and goes is noted in the log and in the
//! model, from which it follows what the replica is to do.

use super::client_checks::{Call, LastAccepted};
use super::cluster::Cluster;
use super::stream::{Observed, end};
use super::transport::SimulatedTransport;
use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream;
use lychgate_link::client::LinkClient;
use lychgate_link::{Attachment, Authorization, ControlLink, EncodedRecord, Heartbeat, Hello, LinkError, Receipt};
use lychgate_types::secret::SecretHash;
use lychgate_types::{ReplicaId, StoredObject};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use tokio::sync::watch;

/// The link of one process.
#[derive(Debug)]
pub(super) struct ObservedLink {
    cluster: Arc<Cluster>,
    host: usize,
    process: u64,
    client: LinkClient<SimulatedTransport>,
    attached_to: Arc<AtomicUsize>,
    accepted: LastAccepted,
}

impl ObservedLink {
    pub(super) fn new(cluster: &Arc<Cluster>, host: usize, process: u64) -> Arc<Self> {
        let (attached_to, accepted) = (Arc::default(), LastAccepted::default());
        let place = &cluster.hosts[host];
        let transports = SimulatedTransport::to_all(cluster, host, &attached_to, &accepted);
        Arc::new(Self {
            cluster: cluster.clone(),
            host,
            process,
            client: LinkClient::over(transports, place.key_file.subscribe(), place.ambient.clone()),
            attached_to,
            accepted,
        })
    }

    fn begin(&self) -> Call {
        Call::begin(&self.cluster, self.host, &self.accepted)
    }

    fn check<A>(&self, call: &Call, what: &str, answer: &Result<A, LinkError>) {
        if let Err(error) = answer
            && let Err(why) = call.check(&self.cluster, self.host, error)
        {
            let host = self.host;
            self.cluster
                .violation(format!("replica {host} can't {what} ({error}), but {why}"));
        }
    }

    /// Whether this process is the one that runs.
    fn runs(&self) -> bool {
        self.cluster.model(self.host).process == Some(self.process)
    }
}

#[async_trait]
impl ControlLink for ObservedLink {
    async fn attach(&self, hello: Hello, heartbeats: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
        let (cluster, host) = (&self.cluster, self.host);
        let resume_after = hello.resume_after;
        cluster.model(host).attach(resume_after);
        cluster.log(&format!("replica {host} attaches from {resume_after} on"));
        let call = self.begin();
        let attachment = self.client.attach(hello, heartbeats).await;
        self.check(&call, "attach", &attachment);
        match attachment {
            Ok(attachment) => {
                let control_plane = self.attached_to.load(Ordering::Relaxed);
                let whose = (cluster, host, self.process);
                let observed = Observed::new(whose, resume_after, control_plane, attachment);
                let events = stream::unfold(observed, |mut observed| async move {
                    let event = observed.next().await?;
                    Some((event, observed))
                });
                Ok(Attachment { events: events.boxed() })
            }
            Err(error) => {
                if self.runs() {
                    cluster.log(&format!("replica {host} can't attach: {error}"));
                    cluster.model(host).attach_failed(end(&error));
                }
                Err(error)
            }
        }
    }

    async fn renewed(&self) {
        self.client.renewed().await;
    }

    async fn authorize(&self, token: SecretHash) -> Result<Authorization, LinkError> {
        let (question, call) = (Question::new(self, token), self.begin());
        let answer = self.client.authorize(token).await;
        self.check(&call, "look a token up", &answer);
        question.answered(&answer);
        answer
    }

    async fn owns(&self, token: SecretHash, objects: &[String]) -> Result<Vec<StoredObject>, LinkError> {
        self.client.owns(token, objects).await
    }

    async fn deliver(&self, replica: ReplicaId, records: Vec<EncodedRecord>) -> Result<Receipt, LinkError> {
        let call = self.begin();
        let answer = self.client.deliver(replica, records.clone()).await;
        self.check(&call, "deliver", &answer);
        if let Err(LinkError::Internal { .. }) = &answer {
            self.cluster.ledger().failed(&records);
        }
        self.cluster.log(&format!(
            "replica {} delivers {}: {}",
            self.host,
            records.len(),
            answer.is_ok()
        ));
        answer
    }
}

/// A look-up of a token in the model, until it is answered or dropped: the replica may give up in the same instant.
struct Question<'a> {
    link: &'a ObservedLink,
    /// `None` for a token that no run knows, and once it is over.
    token: Option<usize>,
}

impl<'a> Question<'a> {
    fn new(link: &'a ObservedLink, token: SecretHash) -> Self {
        let number = link.cluster.database().number(&token);
        // Look-ups of a process go on for a while after its end.
        let token = number.filter(|_| link.runs());
        if let Some(token) = token {
            link.cluster.model(link.host).lookup_started(token);
        }
        Self { link, token }
    }

    fn answered(mut self, answer: &Result<Authorization, LinkError>) {
        self.close(answer.as_ref().ok().copied());
    }

    fn close(&mut self, answer: Option<Authorization>) {
        let (link, host) = (self.link, self.link.host);
        if let Some(token) = self.token.take().filter(|_| link.runs()) {
            link.cluster.log(&format!(
                "replica {host} gets an answer about token {token}: {answer:?}"
            ));
            link.cluster.model(host).lookup_answered(token, answer);
        }
    }
}

impl Drop for Question<'_> {
    fn drop(&mut self) {
        self.close(None);
    }
}
