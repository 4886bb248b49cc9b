//! What every handler, the control link and the background work share: the store, the sealer, the clock, and the state in memory.

use super::attachments::Attachments;
use super::counts::Counts;
use super::existing::{Existence, Existing, UNKNOWN_KEYS, UNKNOWN_TOKENS};
use super::failed_auth::FailedAuth;
use super::feed::Feed;
use super::key_lookups::KeyLookups;
use lychgate_authz::Caller;
use lychgate_link::places::Source;
use lychgate_store::seal::{SealError, Sealed, Sealer};
use lychgate_store::{Store, StoreError};
use lychgate_telemetry::error::chain;
use lychgate_types::provider::{ProviderType, origin};
use lychgate_types::secret::{ProviderSecret, SecretHash};
use lychgate_types::settings::ProviderSettings;
use lychgate_types::{Ambient, ControlPlaneId, GatewayKeyId, ProviderId, ProviderKeyId, Timestamp, TokenId};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// `last_used_at` of a token is written at most this often.
const TOUCH: Duration = Duration::from_secs(60);
/// How many tokens' last touches are remembered; beyond that all are forgotten, which costs one early write each.
const TOUCHES: usize = 10_000;

/// What provider keys are sealed for, beside their row's id and where they go.
const PROVIDER_KEY_COLUMN: &str = "provider_keys.sealed";

/// Where a provider key may go. It is part of what the key is sealed with: a change of the row that the API did not make takes the keys
/// out of use instead of sending them elsewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct KeyHome<'a> {
    pub(crate) provider: ProviderId,
    pub(crate) provider_type: ProviderType,
    /// Only its origin counts.
    pub(crate) base_url: &'a str,
    pub(crate) allow_private: bool,
    pub(crate) settings: &'a ProviderSettings,
}

impl KeyHome<'_> {
    fn context(&self) -> String {
        let Self {
            provider,
            provider_type,
            base_url,
            allow_private,
            settings,
        } = self;
        let origin = origin(base_url);
        let plain = format!("{PROVIDER_KEY_COLUMN} {provider} {provider_type} {allow_private} {origin}");
        match settings.is_empty() {
            true => plain,
            false => format!("{plain} {settings}"),
        }
    }
}

/// Who asks whether there is a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Asker {
    /// A caller of the API.
    Caller(Source),
    /// The replicas of a gateway key.
    Replicas(GatewayKeyId),
    /// The embedded gateway.
    Embedded,
}

/// The shared state; a cheap handle.
#[derive(Clone)]
pub(crate) struct App(Arc<Inner>);

/// What [`App`] points to.
pub(crate) struct Inner {
    pub(crate) store: Store,
    pub(crate) sealer: Sealer,
    pub(crate) ambient: Ambient,
    pub(crate) control_plane_id: ControlPlaneId,
    pub(crate) attachments: Arc<Attachments>,
    pub(crate) feed: Feed,
    pub(crate) failed_auth: FailedAuth,
    /// The marks of the gateway keys' secrets, of those that a rotation replaced too.
    pub(crate) key_marks: Existing<Source>,
    /// The marks of the user tokens, of revoked ones too.
    pub(crate) token_marks: Existing<Asker>,
    pub(crate) key_lookups: Arc<KeyLookups>,
    pub(crate) counts: Arc<Counts>,
    pub(crate) capture_content: bool,
    touches: Mutex<HashMap<TokenId, Timestamp>>,
}

impl Deref for App {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("App")
    }
}

impl App {
    pub(crate) fn new(
        store: Store,
        sealer: Sealer,
        ambient: Ambient,
        attachments: Arc<Attachments>,
        capture_content: bool,
    ) -> Self {
        let (failed_auth, touches) = (FailedAuth::default(), Mutex::default());
        Self(Arc::new(Inner {
            store,
            sealer,
            control_plane_id: ambient.new_id(),
            ambient,
            attachments,
            feed: Feed::default(),
            failed_auth,
            key_marks: Existing::new(UNKNOWN_KEYS),
            token_marks: Existing::new(UNKNOWN_TOKENS),
            key_lookups: Arc::default(),
            counts: Arc::default(),
            capture_content,
            touches,
        }))
    }

    /// Reads which credentials there are, before anybody shows one.
    pub(crate) async fn read_credentials(&self) -> Result<(), StoreError> {
        let caller = Caller::control_plane();
        self.key_marks
            .read(|_| self.store.ai_gateway_key_marks(&caller))
            .await?;
        self.token_marks.read(|_| self.store.token_marks(&caller, None)).await
    }

    /// Whether there is a token with this hash; a flood of others costs the database little.
    pub(crate) async fn token_exists(&self, token: &SecretHash, by: Asker) -> Result<Existence, StoreError> {
        let caller = Caller::control_plane();
        let since = |within| self.ambient.now().minus(within);
        let read = |within: Option<Duration>| self.store.token_marks(&caller, within.map(since));
        self.token_marks.find(token.mark(), by, read).await
    }

    /// Marks a token as used, at most once a minute. A failure does not fail the request.
    pub(crate) async fn touch_token(&self, token: TokenId) {
        let now = self.ambient.now();
        if !self.touch_is_due(token, now) {
            return;
        }
        if let Err(error) = self.store.token_touch(&Caller::control_plane(), token, now).await {
            tracing::warn!(error = %chain(&error), "the last use of a token could not be recorded");
        }
    }

    fn touch_is_due(&self, token: TokenId, now: Timestamp) -> bool {
        let mut touches = self.touches.lock();
        if touches.get(&token).is_some_and(|last| now < last.plus(TOUCH)) {
            return false;
        }
        if touches.len() >= TOUCHES {
            touches.clear();
        }
        touches.insert(token, now);
        true
    }

    /// Seals a provider key for its row and for where it goes.
    pub(crate) fn seal_provider_key(
        &self,
        id: ProviderKeyId,
        home: &KeyHome<'_>,
        key: &ProviderSecret,
    ) -> Result<Sealed, SealError> {
        self.sealer.seal(&self.ambient, key, id.as_uuid(), &home.context())
    }

    /// Opens what [`Self::seal_provider_key`] sealed for the same row and the same destination.
    pub(crate) fn open_provider_key(
        &self,
        id: ProviderKeyId,
        home: &KeyHome<'_>,
        sealed: &Sealed,
    ) -> Result<ProviderSecret, SealError> {
        self.sealer.open(sealed, id.as_uuid(), &home.context())
    }
}
