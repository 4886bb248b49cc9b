//! A control plane in the test's hand.

use async_trait::async_trait;
use futures_util::StreamExt;
use lychgate_link::{
    Attachment, Authorization, Configuration, ControlLink, DenyReason, Down, EncodedRecord, Heartbeat, Hello,
    LinkError, Message, ProviderConfig, Receipt, Rejected, RouteConfig,
};
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::secret::{SecretHash, SpoolKey, UserTokenSecret};
use lychgate_types::{Ambient, InterceptionId, ReplicaId};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};

#[derive(Clone, Default)]
pub(crate) struct Control(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    configuration: Option<Arc<Configuration>>,
    /// The place in the feed of changes that all who are attached are at.
    sequence: u64,
    /// Whether it remembers what was revoked, so that an attachment can be resumed; and what that is, by place in the feed.
    resumes: bool,
    revoked: Vec<(u64, SecretHash)>,
    tokens: HashMap<SecretHash, Authorization>,
    asked: Vec<SecretHash>,
    /// Questions are answered by the test, one by one.
    hold_questions: bool,
    questions: VecDeque<oneshot::Sender<Authorization>>,
    /// What attaching, asking and delivering fail with.
    down: Option<LinkError>,
    /// What attaching alone fails with.
    attaching_fails: Option<LinkError>,
    /// Attachments send nothing until the test lets them.
    hold_attachments: bool,
    /// Rings when there is another key.
    renewed: Arc<Notify>,
    attachments: Vec<mpsc::UnboundedSender<Result<Down, LinkError>>>,
    hellos: Vec<Hello>,
    heartbeats: Option<watch::Receiver<Heartbeat>>,
    hold_deliveries: bool,
    batches: Vec<Vec<InterceptionId>>,
    records: Vec<Arc<InterceptionRecord>>,
    fail_deliveries_of: Option<(String, LinkError)>,
    reject_model: Option<String>,
    spools: Vec<tempfile::TempDir>,
}

impl std::fmt::Debug for Control {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Control")
    }
}

impl Control {
    pub(crate) fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    /// A directory that is there as long as this control plane is.
    pub(crate) fn spool_directory(&self) -> std::path::PathBuf {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        self.lock().spools.push(directory);
        path
    }

    /// Those directories.
    pub(crate) fn spools(&self) -> Vec<std::path::PathBuf> {
        self.lock().spools.iter().map(|spool| spool.path().to_owned()).collect()
    }

    pub(crate) fn token(&self, answer: Authorization) -> UserTokenSecret {
        let token = UserTokenSecret::generate(&Ambient::system());
        self.lock().tokens.insert(token.hash(), answer);
        token
    }

    pub(crate) fn good_token(&self) -> UserTokenSecret {
        self.token(Authorization::Known {
            may_send_requests: true,
            lease: Duration::from_secs(60),
        })
    }

    /// Changes the configuration, and tells all who are attached.
    pub(crate) fn configure(&self, providers: Vec<ProviderConfig>) {
        self.configure_capturing(providers, true);
    }

    pub(crate) fn configure_capturing(&self, providers: Vec<ProviderConfig>, capture_content: bool) {
        self.configure_all(providers, capture_content, Vec::new());
    }

    pub(crate) fn configure_routes(&self, providers: Vec<ProviderConfig>, routes: Vec<RouteConfig>) {
        self.configure_all(providers, true, routes);
    }

    fn configure_all(&self, providers: Vec<ProviderConfig>, capture_content: bool, routes: Vec<RouteConfig>) {
        let mut state = self.lock();
        let version = state
            .configuration
            .as_ref()
            .map_or(1, |configuration| configuration.version + 1);
        let configuration = Arc::new(Configuration {
            version,
            capture_content,
            providers,
            routes,
        });
        state.configuration = Some(Arc::clone(&configuration));
        state.tell(configured(&configuration, false));
    }

    /// Waits until the gateway goes by the newest configuration (and so by all that was told before it).
    pub(crate) async fn in_force(&self) {
        let newest = self.lock().configuration.as_ref().expect("none yet").version;
        self.heartbeats()
            .wait_for(|heartbeat| heartbeat.configuration_version == newest)
            .await
            .unwrap();
    }

    pub(crate) fn providers(&self) -> Vec<ProviderConfig> {
        self.lock().configuration.as_ref().expect("none yet").providers.clone()
    }

    pub(crate) fn routes(&self) -> Vec<RouteConfig> {
        self.lock().configuration.as_ref().expect("none yet").routes.clone()
    }

    /// The same providers once more, as a newer configuration.
    pub(crate) fn configure_again(&self) {
        self.configure(self.providers());
    }

    pub(crate) fn tell(&self, message: &Message) {
        self.lock().tell(message.clone());
    }

    /// A change that nobody is told of, as if its message had been lost.
    pub(crate) fn skip(&self) {
        self.lock().sequence += 1;
    }

    pub(crate) fn resumes(&self) {
        self.lock().resumes = true;
    }

    /// Whoever is attached no longer is.
    pub(crate) fn lose_attachments(&self) {
        self.lock().attachments.clear();
    }

    pub(crate) fn is_attached(&self) -> bool {
        self.lock().attachments.iter().any(|attachment| !attachment.is_closed())
    }

    pub(crate) fn hold_attachments(&self, hold: bool) {
        self.lock().hold_attachments = hold;
    }

    pub(crate) fn fail_attaching(&self, error: Option<LinkError>) {
        self.lock().attaching_fails = error;
    }

    /// There is another gateway key.
    pub(crate) fn renew_key(&self) {
        self.lock().renewed.notify_one();
    }

    /// From now on nothing works, and whoever is attached no longer is.
    pub(crate) fn go_down(&self, error: LinkError) {
        let mut state = self.lock();
        state.down = Some(error);
        state.attachments.clear();
    }

    pub(crate) fn come_up(&self) {
        self.lock().down = None;
    }

    pub(crate) fn revoke(&self, token: &UserTokenSecret) {
        let denied = Authorization::Denied {
            reason: DenyReason::Revoked,
            lease: Duration::from_secs(5),
        };
        let mut state = self.lock();
        state.tokens.insert(token.hash(), denied);
        let place = state.sequence + 1;
        state.revoked.push((place, token.hash()));
        drop(state);
        self.tell(&Message::TokensRevoked(vec![token.hash()]));
    }

    pub(crate) fn asked(&self) -> usize {
        self.lock().asked.len()
    }

    pub(crate) fn hold_questions(&self) {
        self.lock().hold_questions = true;
    }

    pub(crate) fn questions(&self) -> usize {
        self.lock().questions.len()
    }

    /// Answers the oldest question that is held.
    pub(crate) fn answer(&self, answer: Authorization) {
        self.lock()
            .questions
            .pop_front()
            .expect("nobody asks")
            .send(answer)
            .unwrap();
    }

    pub(crate) fn hellos(&self) -> Vec<Hello> {
        self.lock().hellos.clone()
    }

    pub(crate) fn heartbeats(&self) -> watch::Receiver<Heartbeat> {
        self.lock().heartbeats.clone().expect("nobody attached")
    }

    pub(crate) fn hold_deliveries(&self, hold: bool) {
        self.lock().hold_deliveries = hold;
    }

    /// Any batch that has a record of this model fails.
    pub(crate) fn fail_deliveries_of(&self, model: &str, error: LinkError) {
        self.lock().fail_deliveries_of = Some((model.to_owned(), error));
    }

    pub(crate) fn deliver_everything(&self) {
        self.lock().fail_deliveries_of = None;
    }

    pub(crate) fn reject(&self, model: &str) {
        self.lock().reject_model = Some(model.to_owned());
    }

    pub(crate) fn batches(&self) -> Vec<Vec<InterceptionId>> {
        self.lock().batches.clone()
    }

    pub(crate) fn records(&self) -> Vec<Arc<InterceptionRecord>> {
        self.lock().records.clone()
    }

    /// Waits for so many records and returns them.
    pub(crate) async fn delivered(&self, count: usize) -> Vec<Arc<InterceptionRecord>> {
        super::until(|| self.lock().records.len() >= count).await;
        let records = self.records();
        assert_eq!(records.len(), count, "{records:?}");
        records
    }

    pub(crate) async fn one_record(&self) -> Arc<InterceptionRecord> {
        self.delivered(1).await.remove(0)
    }
}

fn configured(configuration: &Arc<Configuration>, resumed: bool) -> Message {
    Message::Configuration {
        configuration: Arc::clone(configuration),
        resumed,
        spool_key: SpoolKey::from_bytes([7; 32]),
    }
}

impl State {
    /// Tells all who are attached, in the feed's order.
    fn tell(&mut self, message: Message) {
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

    /// What an attachment begins with.
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
            state.asked.push(token);
            if let Some(error) = &state.down {
                return Err(error.clone());
            }
            let unknown = Authorization::Denied {
                reason: DenyReason::Unknown,
                lease: Duration::from_secs(5),
            };
            if !state.hold_questions {
                return Ok(state.tokens.get(&token).copied().unwrap_or(unknown));
            }
            let (answer, held) = oneshot::channel();
            state.questions.push_back(answer);
            held
        };
        held.await
            .map_err(|_| LinkError::Unreachable("the test is over".into()))
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
                reason: "the test says so".into(),
            })
            .collect();
        Ok(Receipt { rejected })
    }
}
