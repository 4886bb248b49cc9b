//! A replica's link to all control planes, over the simulated network. It shows keys and chooses control planes as the
//! product's own does.
//!
//! Not here: that one's code, which can't be had without sockets (crate `link`, with tests of its own).

use super::attachment::{Stream, end};
use super::cluster::Cluster;
use super::control_plane::ControlPlane;
use super::network::broken;
use async_trait::async_trait;
use futures_util::StreamExt as _;
use futures_util::stream;
use lychgate_link::{Attachment, Authorization, ControlLink, EncodedRecord, Heartbeat, Hello, LinkError, Receipt};
use lychgate_types::ReplicaId;
use lychgate_types::secret::{GatewayKeySecret, SecretHash};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout};

/// Longest time for all attempts of a call together, and for one while there is another control plane.
/// A moment less than the replica itself waits, so that it hears of it.
const AUTHORIZE: (Duration, Duration) = (Duration::from_millis(4995), Duration::from_secs(1));
const DELIVER: (Duration, Duration) = (Duration::from_secs(30), Duration::from_secs(15));
const ATTACH: (Duration, Duration) = (Duration::from_secs(9), Duration::from_secs(3));

/// The link of one process.
#[derive(Debug)]
pub(super) struct Uplink {
    cluster: Arc<Cluster>,
    host: usize,
    process: u64,
    key_file: watch::Receiver<GatewayKeySecret>,
    keys: Mutex<Keys>,
}

#[derive(Debug, Default)]
struct Keys {
    /// Let in last.
    proven: Option<SecretHash>,
    /// Shown last when attaching.
    shown: Option<SecretHash>,
}

impl Uplink {
    pub(super) fn new(cluster: &Arc<Cluster>, host: usize, process: u64) -> Arc<Self> {
        Arc::new(Self {
            cluster: cluster.clone(),
            host,
            process,
            key_file: cluster.hosts[host].key_file.subscribe(),
            keys: Mutex::default(),
        })
    }

    /// Carries a call to a control plane, and its answer back. The control plane works on when nobody waits any longer.
    async fn carry<T, Call>(
        &self,
        number: usize,
        call: impl FnOnce(Arc<ControlPlane>) -> Call + Send,
    ) -> Result<T, LinkError>
    where
        T: Send + 'static,
        Call: Future<Output = Result<T, LinkError>> + Send + 'static,
    {
        let connection = &self.cluster.hosts[self.host].connections[number];
        connection.pass().await?;
        let control_plane = self.cluster.control_plane(number).ok_or_else(broken)?;
        let (done, answer) = oneshot::channel();
        let call = call(control_plane.clone());
        tokio::spawn(async move { drop(done.send(control_plane.serve(call).await)) });
        let answer = answer.await.unwrap_or_else(|_| Err(broken()));
        connection.pass().await?;
        if self.cluster.gets_lost(self.cluster.settings.lost_answers) {
            return Err(broken());
        }
        answer
    }

    /// Makes a call on one control plane after the other until one answers, with whichever key is let in.
    async fn ask<T, F, Call>(
        &self,
        (total, each): (Duration, Duration),
        keys: Vec<SecretHash>,
        call: F,
    ) -> Result<(usize, T), LinkError>
    where
        T: Send + 'static,
        F: Fn(Arc<ControlPlane>, SecretHash) -> Call + Send + Sync,
        Call: Future<Output = Result<T, LinkError>> + Send + 'static,
    {
        let deadline = Instant::now() + total;
        let order = self.cluster.rng.order(self.cluster.settings.control_planes);
        for (turn, control_plane) in order.iter().enumerate() {
            let left = deadline.saturating_duration_since(Instant::now());
            let time = if turn + 1 < order.len() { left.min(each) } else { left };
            let with_keys = async {
                let mut first = None;
                for key in &keys {
                    let answer = self
                        .carry(*control_plane, |control_plane| call(control_plane, *key))
                        .await;
                    match answer {
                        Err(error @ LinkError::Refused(_)) => first = first.or(Some(error)),
                        // Not about a key: this one is let in.
                        Err(error) => return Err(error),
                        Ok(answer) => {
                            self.keys.lock().unwrap().proven = Some(*key);
                            return Ok(answer);
                        }
                    }
                }
                Err(first.unwrap_or_else(broken))
            };
            match timeout(time, with_keys).await {
                Err(_) | Ok(Err(LinkError::Unreachable(_))) => {}
                Ok(answer) => return answer.map(|answer| (*control_plane, answer)),
            }
        }
        Err(broken())
    }

    fn newest(&self) -> SecretHash {
        self.key_file.borrow().hash()
    }

    /// The key that is known to work, then the newest.
    fn for_call(&self) -> Vec<SecretHash> {
        let mut keys: Vec<_> = self.keys.lock().unwrap().proven.into_iter().collect();
        let newest = self.newest();
        if !keys.contains(&newest) {
            keys.push(newest);
        }
        keys
    }

    /// The newest, then the one that is known to work.
    fn for_attachment(&self) -> Vec<SecretHash> {
        let mut keys = self.for_call();
        keys.reverse();
        self.keys.lock().unwrap().shown = keys.first().copied();
        keys
    }

    /// Whether this process is the one that runs.
    fn runs(&self) -> bool {
        self.cluster.model(self.host).process == Some(self.process)
    }

    fn token(&self, hash: &SecretHash) -> Option<usize> {
        self.cluster.database().number(hash)
    }
}

#[async_trait]
impl ControlLink for Uplink {
    async fn attach(&self, hello: Hello, heartbeats: watch::Receiver<Heartbeat>) -> Result<Attachment, LinkError> {
        let (cluster, host) = (&self.cluster, self.host);
        let asked = hello.resume_after;
        cluster.model(host).attach(asked);
        cluster.log(&format!("replica {host} attaches from {asked} on"));
        let keys = self.for_attachment();
        let (beats, heard) = watch::channel(*heartbeats.borrow());
        let call = |control_plane: Arc<ControlPlane>, key| {
            let (hello, heard) = (hello.clone(), heard.clone());
            async move {
                control_plane
                    .attach(key, hello, heard)
                    .await
                    .map(|attachment| (control_plane, attachment))
            }
        };
        match self.ask(ATTACH, keys, call).await {
            Ok((number, (control_plane, attachment))) => {
                let whose = (cluster, host, self.process);
                let stream = Stream::new(whose, asked, (number, &control_plane), (heartbeats, beats), attachment);
                let events = stream::unfold(stream, |mut stream| async move {
                    let event = stream.next().await?;
                    Some((event, stream))
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
        let mut newest = self.key_file.clone();
        let is_new = |key: &GatewayKeySecret| self.keys.lock().unwrap().shown != Some(key.hash());
        if newest.wait_for(is_new).await.is_err() {
            std::future::pending::<()>().await;
        }
    }

    async fn authorize(&self, token: SecretHash) -> Result<Authorization, LinkError> {
        let number = self.token(&token);
        // What a process had asked goes on for a while when it is gone.
        if let Some(number) = number.filter(|_| self.runs()) {
            self.cluster.model(self.host).asked(number);
        }
        let call = |control_plane: Arc<ControlPlane>, key| async move { control_plane.authorize(key, token).await };
        // As long as the replica waits; so nobody gives this up before it is over.
        let answer = match timeout(AUTHORIZE.0, self.ask(AUTHORIZE, self.for_call(), call)).await {
            Ok(answer) => answer.map(|(_, answer)| answer),
            Err(_) => Err(broken()),
        };
        if let Some(number) = number.filter(|_| self.runs()) {
            let host = self.host;
            self.cluster
                .log(&format!("replica {host} hears of token {number}: {answer:?}"));
            self.cluster.model(host).answered(number, answer.as_ref().ok().copied());
        }
        answer
    }

    async fn deliver(&self, _: ReplicaId, records: Vec<EncodedRecord>) -> Result<Receipt, LinkError> {
        let call = |control_plane: Arc<ControlPlane>, key| {
            let records = records.clone();
            async move { control_plane.deliver(key, records).await }
        };
        let answer = self.ask(DELIVER, self.for_call(), call).await;
        let count = records.len();
        if let Err(LinkError::Internal { .. }) = &answer {
            self.cluster.ledger().failed(&records);
        }
        self.cluster
            .log(&format!("replica {} delivers {count}: {}", self.host, answer.is_ok()));
        answer.map(|(_, receipt)| receipt)
    }
}
