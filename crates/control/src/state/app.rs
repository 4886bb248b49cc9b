//! What every handler, the control link and the background work share.

use crate::link::authenticator;
use crate::link::feed::{self, Feed};
use crate::state::attachments::Attachments;
use crate::state::counts::Counts;
use crate::state::failed_auth::FailedAuth;
use lychgate_authz::Caller;
use lychgate_store::Store;
use lychgate_store::seal::Sealer;
use lychgate_types::secret::SecretHash;
use lychgate_types::{Ambient, ControlPlaneId, GatewayKeyId, Timestamp, TokenId};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

/// `last_used_at` of a token is written at most this often.
const TOUCH: Duration = Duration::from_secs(60);
/// So many tokens' last touches are remembered; beyond, all are forgotten, which costs one early write each.
const TOUCHES: usize = 10_000;

/// An answer waits no longer than this until replicas have been told.
const TOLD: Duration = Duration::from_secs(2);

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
            counts: Arc::default(),
            capture_content,
            touches,
        }))
    }

    /// Marks a token as used, once a minute. A failure is no reason to turn its holder away.
    pub(crate) async fn touch_token(&self, token: TokenId) {
        let now = self.ambient.now();
        if !self.touch_is_due(token, now) {
            return;
        }
        if let Err(error) = self.store.token_touch(&Caller::control_plane(), token, now).await {
            tracing::warn!(error = %crate::api::error::chain(&error), "a token's last use could not be noted");
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

    /// Sends providers and routes, as they are now, to every attachment here. Call after the commit, before the answer; other
    /// control planes find the change in the feed.
    ///
    /// The change is committed, so a failure here does not fail the request: the background work sends it a moment later.
    pub(crate) async fn configuration_changed(&self) {
        if let Err(error) = feed::send_configuration(self).await {
            tracing::error!(error = %crate::api::error::chain(&error), "the new configuration can't be read, it is sent later");
        }
    }

    /// Tells every attachment here that these tokens are not to be believed. Call after the commit, before the answer; other
    /// control planes find the change in the feed.
    pub(crate) async fn tokens_revoked(&self, tokens: &[SecretHash]) {
        if !self.told().await {
            self.attachments.push_revoked(tokens);
        }
    }

    /// Tells a replica that is attached here to drain. Call after the commit, before the answer; other control planes find the
    /// change in the feed.
    pub(crate) async fn replica_drained(&self) {
        self.told().await;
    }

    /// Reads the feed on at once; whether it could. If not, the background work tries again.
    async fn told(&self) -> bool {
        matches!(tokio::time::timeout(TOLD, feed::catch_up(self)).await, Ok(Ok(_)))
    }

    /// Closes what hangs on a deleted key. Call after the commit, before the answer.
    pub(crate) fn key_deleted(&self, key: GatewayKeyId) {
        self.attachments.close_key(key);
    }

    /// Closes what a changed key does not let in any longer, and lets in what it does. Call after the commit, before the
    /// answer.
    pub(crate) async fn key_changed(&self, key: GatewayKeyId) {
        authenticator::key_changed(self, key).await;
    }
}
