//! A control plane that does what the test says.

mod link;

use link::configured;
use lychgate_link::{
    Authorization, Configuration, DenyReason, Down, Heartbeat, Hello, LinkError, Message, ProviderConfig, RouteConfig,
};
use lychgate_types::interception::InterceptionRecord;
use lychgate_types::secret::{SecretHash, UserTokenSecret};
use lychgate_types::{Ambient, InterceptionId};
use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;
use tokio::sync::{Notify, mpsc, oneshot, watch};

#[derive(Clone, Default)]
pub(crate) struct Control(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    configuration: Option<Arc<Configuration>>,
    /// The position of all attachments in the feed of changes.
    sequence: u64,
    /// Whether it remembers revocations, so that an attachment can be resumed; and the revocations, by position in the feed.
    resumes: bool,
    revoked: Vec<(u64, SecretHash)>,
    tokens: HashMap<SecretHash, Authorization>,
    lookups: Vec<SecretHash>,
    /// Look-ups are answered by the test, one by one.
    hold_lookups: bool,
    held_lookups: VecDeque<oneshot::Sender<Authorization>>,
    /// What attaching, looking up and delivering fail with.
    down: Option<LinkError>,
    /// What attaching alone fails with.
    attaching_fails: Option<LinkError>,
    /// Attaching waits until the test releases it.
    hold_attachments: bool,
    /// Signalled when there is another key.
    renewed: Arc<Notify>,
    attachments: Vec<mpsc::UnboundedSender<Result<Down, LinkError>>>,
    hellos: Vec<Hello>,
    heartbeats: Option<watch::Receiver<Heartbeat>>,
    hold_deliveries: bool,
    /// Questions about stored objects wait until the test releases them.
    hold_questions: bool,
    questions: usize,
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

    /// A directory that exists as long as this control plane.
    pub(crate) fn spool_directory(&self) -> std::path::PathBuf {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().to_owned();
        self.lock().spools.push(directory);
        path
    }

    /// These directories.
    pub(crate) fn spool_directories(&self) -> Vec<std::path::PathBuf> {
        self.lock().spools.iter().map(|spool| spool.path().to_owned()).collect()
    }

    pub(crate) fn token(&self, answer: Authorization) -> UserTokenSecret {
        let token = UserTokenSecret::generate(&Ambient::system());
        self.lock().tokens.insert(token.hash(), answer);
        token
    }

    /// Of a user who has no other.
    pub(crate) fn valid_token(&self) -> UserTokenSecret {
        let user = self.lock().tokens.len() as u64;
        self.valid_token_of(1000 + user)
    }

    pub(crate) fn valid_token_of(&self, user: u64) -> UserTokenSecret {
        self.token(Authorization::Known {
            may_send_requests: true,
            holder: lychgate_types::Holder::from_number(user),
            lease: Duration::from_secs(60),
        })
    }

    /// Changes the configuration, and pushes it to all attachments.
    pub(crate) fn configure(&self, providers: Vec<ProviderConfig>) {
        self.configure_routes(providers, Vec::new());
    }

    /// The same without capturing content.
    pub(crate) fn configure_without_capture(&self, providers: Vec<ProviderConfig>) {
        self.configure_all(Configuration {
            version: 0,
            capture_content: false,
            providers,
            routes: Vec::new(),
        });
    }

    pub(crate) fn configure_routes(&self, providers: Vec<ProviderConfig>, routes: Vec<RouteConfig>) {
        self.configure_all(Configuration {
            version: 0,
            capture_content: true,
            providers,
            routes,
        });
    }

    fn configure_all(&self, mut configuration: Configuration) {
        let mut state = self.lock();
        let last = state.configuration.as_ref();
        configuration.version = last.map_or(1, |last| last.version + 1);
        let configuration = Arc::new(configuration);
        state.configuration = Some(Arc::clone(&configuration));
        state.push(configured(&configuration, false));
    }

    /// Waits until the newest configuration is in force in the gateway (and so everything pushed before it).
    pub(crate) async fn until_in_force(&self) {
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

    /// Pushes the same providers again, as a newer configuration.
    pub(crate) fn configure_again(&self) {
        self.configure(self.providers());
    }

    pub(crate) fn push(&self, message: &Message) {
        self.lock().push(message.clone());
    }

    /// A change that is not pushed, as if its message had been lost.
    pub(crate) fn lose_change(&self) {
        self.lock().sequence += 1;
    }

    /// From now on remembers revocations.
    pub(crate) fn resume_attachments(&self) {
        self.lock().resumes = true;
    }

    /// Closes all attachments.
    pub(crate) fn drop_attachments(&self) {
        self.lock().attachments.clear();
    }

    pub(crate) fn is_attached(&self) -> bool {
        self.lock().attachments.iter().any(|attachment| !attachment.is_closed())
    }

    pub(crate) fn hold_attachments(&self) {
        self.lock().hold_attachments = true;
    }

    pub(crate) fn release_attachments(&self) {
        self.lock().hold_attachments = false;
    }

    pub(crate) fn fail_attaching(&self, error: Option<LinkError>) {
        self.lock().attaching_fails = error;
    }

    /// There is another gateway key.
    pub(crate) fn renew_key(&self) {
        self.lock().renewed.notify_one();
    }

    /// From now on nothing works, and all attachments are closed.
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
        self.push(&Message::TokensRevoked(vec![token.hash()]));
    }

    pub(crate) fn lookups(&self) -> usize {
        self.lock().lookups.len()
    }

    pub(crate) fn hold_lookups(&self) {
        self.lock().hold_lookups = true;
    }

    pub(crate) fn held_lookups(&self) -> usize {
        self.lock().held_lookups.len()
    }

    /// Answers the oldest look-up that is held.
    pub(crate) fn answer_lookup(&self, answer: Authorization) {
        self.lock()
            .held_lookups
            .pop_front()
            .expect("there is no look-up")
            .send(answer)
            .unwrap();
    }

    pub(crate) fn hellos(&self) -> Vec<Hello> {
        self.lock().hellos.clone()
    }

    pub(crate) fn heartbeats(&self) -> watch::Receiver<Heartbeat> {
        self.lock().heartbeats.clone().expect("nobody attached")
    }

    pub(crate) fn hold_questions(&self, hold: bool) {
        self.lock().hold_questions = hold;
    }

    /// How many questions about stored objects there were.
    pub(crate) fn questions(&self) -> usize {
        self.lock().questions
    }

    pub(crate) fn hold_deliveries(&self) {
        self.lock().hold_deliveries = true;
    }

    pub(crate) fn release_deliveries(&self) {
        self.lock().hold_deliveries = false;
    }

    /// Batches with a record of this model fail.
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

    /// Waits for this many records and returns them.
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
