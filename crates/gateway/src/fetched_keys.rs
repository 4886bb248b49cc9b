//! Provider keys by which a credential is fetched (crate `clouds`). For each of them there is one task that asks the authority ahead of
//! time; requests send what it has got last. None waits for it but one whose only credential the provider has refused.
//!
//! Not here: which keys are such ones (`routing::provider`), and whose turn it is (`resilience::key_pool`).

use crate::auth::credentials::Outgoing;
use crate::upstream::{SendError, Upstream};
use arc_swap::ArcSwapOption;
use bytes::Bytes;
use http::header::{ACCEPT, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Uri};
use http_body_util::Full;
use lychgate_clouds::{ANSWER_BYTES, Fetched, Grant, NotGranted, Question};
use lychgate_link::ProviderConfig;
use lychgate_stream::{ReadLimits, read_bounded};
use lychgate_types::backoff::{Backoff, jitter};
use lychgate_types::{Ambient, ProviderId, ProviderKeyId};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;
use tokio::sync::{Notify, watch};
use tokio::task::AbortHandle;
use tokio::time::{Instant, sleep, timeout};

/// How long an authority may take, and how much of its answer is read.
pub(crate) const AUTHORITY: ReadLimits = ReadLimits {
    bytes: ANSWER_BYTES,
    idle: Duration::from_secs(10),
    total: Duration::from_secs(30),
};
/// An authority that gave nothing is asked again after these, at first and at last.
const ASK_AGAIN: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));
/// However short-lived a credential is, the next one is not asked for before this.
const SHORTEST: Duration = Duration::from_secs(1);
/// How often a credential that a provider refused is fetched before its time.
const ANEW: Duration = Duration::from_secs(60);
/// How long a request whose credential was refused waits for that one.
const RENEWAL: Duration = Duration::from_secs(5);

/// One such key.
#[derive(Debug)]
pub(crate) struct FetchedKey {
    id: ProviderKeyId,
    grant: Grant,
    /// The authority, by the rules for its provider's own connections; to these it is a provider by itself.
    authority: ProviderConfig,
    current: ArcSwapOption<Current>,
    /// Why there was none the last time.
    trouble: Mutex<Option<String>>,
    /// Wakes the task before its time.
    anew: Arc<Notify>,
    woken: Mutex<Option<Instant>>,
    /// It was woken so, and has not answered yet.
    is_due: AtomicBool,
    /// Tells those who wait that it has answered.
    answered: watch::Sender<()>,
    /// The one that fetches, while the key is in force.
    task: Mutex<Option<AbortHandle>>,
}

#[derive(Debug)]
struct Current {
    outgoing: Arc<Outgoing>,
    expires: Instant,
    lifetime: Duration,
}

/// The keys of one provider that are in force. A key's secret and the settings that go with it never change, so that it goes on through
/// changes of the configuration.
#[derive(Debug, Default)]
pub(crate) struct FetchedKeys(Mutex<HashMap<ProviderKeyId, Arc<FetchedKey>>>);

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
enum NotFetched {
    #[error("the URL of its authority can't be asked")]
    Url,
    #[error("its authority can't be reached: {0}")]
    Unreachable(#[from] SendError),
    #[error("its authority did not answer in time")]
    TooSlow,
    #[error("the answer of its authority broke off or was too long")]
    Broken,
    #[error(transparent)]
    NotGranted(#[from] NotGranted),
}

impl FetchedKeys {
    /// The keys of a configuration. Those that were there before are the same; for those that are there no more nothing is asked again,
    /// whoever still holds one.
    pub(crate) fn next(
        &self,
        config: &ProviderConfig,
        grants: impl Iterator<Item = (ProviderKeyId, Grant)>,
    ) -> Vec<(ProviderKeyId, Arc<FetchedKey>)> {
        let mut known = self.0.lock();
        let keys = grants.map(|(id, grant)| {
            let key = known.remove(&id);
            (id, key.unwrap_or_else(|| Arc::new(FetchedKey::new(id, grant, config))))
        });
        let keys: Vec<_> = keys.collect();
        known.values().for_each(|key| key.stop());
        *known = keys.iter().map(|(id, key)| (*id, Arc::clone(key))).collect();
        keys
    }
}

impl FetchedKey {
    fn new(id: ProviderKeyId, grant: Grant, provider: &ProviderConfig) -> Self {
        let mut authority = ProviderConfig {
            id: ProviderId::from_uuid(id.as_uuid()),
            keys: Vec::new(),
            ..provider.clone()
        };
        authority.policy.http2 = false;
        Self {
            id,
            grant,
            authority,
            current: ArcSwapOption::empty(),
            trouble: Mutex::default(),
            anew: Arc::default(),
            woken: Mutex::default(),
            is_due: AtomicBool::new(false),
            answered: watch::Sender::new(()),
            task: Mutex::default(),
        }
    }

    /// What was fetched last, if anything was; it may have expired.
    pub(crate) fn outgoing(&self) -> Option<Arc<Outgoing>> {
        self.current
            .load()
            .as_ref()
            .map(|current| Arc::clone(&current.outgoing))
    }

    /// Whether what was fetched last still works.
    pub(crate) fn is_valid(&self) -> bool {
        let current = self.current.load();
        current.as_ref().is_some_and(|current| current.expires > Instant::now())
    }

    /// Why nothing was fetched the last time.
    pub(crate) fn trouble(&self) -> Option<String> {
        self.trouble.lock().clone()
    }

    /// A provider has refused this credential: another is fetched soon, unless there is one already.
    pub(crate) fn refused(&self, credential: &Arc<Outgoing>) {
        let mut woken = self.woken.lock();
        if self.is_current(credential) && woken.is_none_or(|woken| woken.elapsed() >= ANEW) {
            *woken = Some(Instant::now());
            self.is_due.store(true, Ordering::SeqCst);
            self.anew.notify_one();
        }
    }

    /// Waits for a credential newer than this one, which was refused. Whether there is one: not where none is on its way, or it took too
    /// long.
    pub(crate) async fn wait_for_newer(&self, refused: &Arc<Outgoing>) -> bool {
        let mut answered = self.answered.subscribe();
        let wait = async {
            while self.is_current(refused) && self.is_due.load(Ordering::SeqCst) && answered.changed().await.is_ok() {}
        };
        let _ = timeout(RENEWAL, wait).await;
        self.is_valid() && !self.is_current(refused)
    }

    fn is_current(&self, credential: &Arc<Outgoing>) -> bool {
        self.outgoing().is_some_and(|current| Arc::ptr_eq(&current, credential))
    }

    /// Begins to fetch, unless that has begun. Needs a Tokio runtime.
    pub(crate) fn start(self: &Arc<Self>, upstream: &Upstream, ambient: &Ambient) {
        self.task.lock().get_or_insert_with(|| {
            let task = run(Arc::downgrade(self), upstream.clone(), ambient.clone());
            tokio::spawn(task).abort_handle()
        });
    }

    /// Its secret goes to nobody any more, until it is started again. What was fetched serves on until it expires.
    pub(crate) fn stop(&self) {
        if let Some(task) = self.task.lock().take() {
            task.abort();
        }
    }

    async fn fetch(&self, upstream: &Upstream) -> Result<Current, NotFetched> {
        let Question { url, form } = self.grant.question();
        let mut request = Request::new(Full::new(Bytes::copy_from_slice(form.as_bytes())));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = Uri::try_from(url).map_err(|_| NotFetched::Url)?;
        let form = HeaderValue::from_static("application/x-www-form-urlencoded");
        request.headers_mut().insert(CONTENT_TYPE, form);
        let json = HeaderValue::from_static("application/json");
        request.headers_mut().insert(ACCEPT, json);
        let begun = Instant::now();
        let (head, mut body) = upstream.send(&self.authority, request).await?.into_parts();
        let body = read_bounded(&mut body, AUTHORITY, |_| Ok::<_, ()>(())).await;
        let body = body.map_err(|_| NotFetched::Broken)?;
        let Fetched { credential, lifetime } = Fetched::read(head.status.as_u16(), &body)?;
        let outgoing = Outgoing::fetched(&credential, self.grant.hint());
        let unsendable = |_| NotFetched::NotGranted(NotGranted::Unreadable(head.status.as_u16()));
        Ok(Current {
            outgoing: Arc::new(outgoing.map_err(unsendable)?),
            expires: begun + lifetime,
            lifetime,
        })
    }

    /// Fetches once; answers after how long to do so again.
    async fn fetch_once(&self, upstream: &Upstream, ambient: &Ambient, backoff: &mut Backoff) -> Duration {
        let fetched = timeout(AUTHORITY.total, self.fetch(upstream)).await;
        let (provider, key) = (&self.authority.name, self.id);
        match fetched.unwrap_or(Err(NotFetched::TooSlow)) {
            Ok(current) => {
                let lifetime = current.lifetime;
                self.current.store(Some(Arc::new(current)));
                if self.trouble.lock().take().is_some() {
                    tracing::info!(%provider, %key, "the credential of this provider is fetched again");
                }
                backoff.reset();
                // With four fifths of its life over, or a little before.
                (lifetime * 4 / 5 - jitter(lifetime / 10, ambient)).max(SHORTEST)
            }
            Err(error) => {
                tracing::warn!(%provider, %key, %error, "the credential of this provider can't be fetched");
                *self.trouble.lock() = Some(error.to_string());
                backoff.next(ambient)
            }
        }
    }
}

impl Drop for FetchedKey {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Holds the key only while it asks.
async fn run(key: Weak<FetchedKey>, upstream: Upstream, ambient: Ambient) {
    let (first, last) = ASK_AGAIN;
    let mut backoff = Backoff::new(first, last);
    loop {
        let Some(key_now) = key.upgrade() else { return };
        let wait = key_now.fetch_once(&upstream, &ambient, &mut backoff).await;
        key_now.is_due.store(false, Ordering::SeqCst);
        key_now.answered.send_replace(());
        let anew = Arc::clone(&key_now.anew);
        drop(key_now);
        tokio::select! {
            () = sleep(wait) => {}
            () = anew.notified() => {}
        }
    }
}
