//! What all control planes of a run share: tokens, users, gateway keys, the feed of changes, committed records.
//!
//! Not here: SQL and transactions; each method is one transaction (crate `store` has the real ones, and tests of its own).

use lychgate_authz::{Role, Scopes};
use lychgate_link::{Configuration, EncodedRecord, ProviderConfig, ProviderKeyConfig, Receipt, Rejected};
use lychgate_store::{
    Change, Changes, KeyAuthentication, KeyState, ReplicaAttachment, SecretState, TokenAuthentication, UserState,
};
use lychgate_types::policy::ProviderPolicy;
use lychgate_types::provider::ProviderType;
use lychgate_types::secret::{GatewayKeySecret, ProviderSecret, SecretHash, SpoolKey, UserTokenSecret};
use lychgate_types::settings::ProviderSettings;
use lychgate_types::{Ambient, GatewayKeyId, InterceptionId, Name, ProviderId, ReplicaId, Timestamp, TokenId, UserId};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use tokio::time::Instant;

/// The provider that all requests go to.
pub(super) const PROVIDER: &str = "claude";
/// A record with such a model makes the database fail.
pub(super) const POISON: &str = "poison";
/// A record with such a model is rejected.
pub(super) const UNFIT: &str = "unfit";

pub(super) struct Database {
    provider: ProviderId,
    /// A change's number is its index plus one.
    feed: Vec<Change>,
    /// Changes up to this number have been deleted.
    pruned: usize,
    pub(super) is_down: bool,
    pub(super) tokens: Vec<Token>,
    by_hash: HashMap<SecretHash, usize>,
    /// Each with whether they are suspended.
    pub(super) users: Vec<(UserId, bool)>,
    pub(super) keys: Vec<Key>,
    version: u64,
    drained: BTreeSet<ReplicaId>,
    /// Each with the hash of its process secret, and the key that it attached with last.
    replicas: BTreeMap<ReplicaId, (Option<SecretHash>, GatewayKeyId)>,
    /// Which gateway keys were told of which tokens.
    grants: BTreeSet<(GatewayKeyId, TokenId)>,
    pub(super) committed: BTreeMap<InterceptionId, String>,
}

pub(super) struct Token {
    id: TokenId,
    pub(super) text: String,
    pub(super) hash: SecretHash,
    pub(super) user: usize,
    pub(super) revoked_at: Option<Timestamp>,
}

pub(super) struct Key {
    pub(super) id: GatewayKeyId,
    /// Each with the end of its grace period; the last one is the current one.
    secrets: Vec<(GatewayKeySecret, Option<Instant>)>,
    changed: Instant,
    pub(super) is_disabled: bool,
    pub(super) is_deleted: bool,
}

fn revoked(change: &Change) -> Option<SecretHash> {
    match change {
        Change::TokenRevoked(hash) => Some(*hash),
        _ => None,
    }
}

impl Database {
    pub(super) fn new(ambient: &Ambient, tokens: usize, users: usize, keys: usize) -> Self {
        let token = |number: usize| {
            let secret = UserTokenSecret::generate(ambient);
            Token {
                id: ambient.new_id(),
                text: secret.expose().to_owned(),
                hash: secret.hash(),
                user: number % users,
                revoked_at: None,
            }
        };
        let tokens: Vec<_> = (0..tokens).map(token).collect();
        let key = |_| Key {
            id: ambient.new_id(),
            secrets: vec![(GatewayKeySecret::generate(ambient), None)],
            changed: Instant::now(),
            is_disabled: false,
            is_deleted: false,
        };
        Self {
            provider: ambient.new_id(),
            feed: Vec::new(),
            pruned: 0,
            is_down: false,
            by_hash: tokens.iter().enumerate().map(|(at, token)| (token.hash, at)).collect(),
            tokens,
            users: (0..users).map(|_| (ambient.new_id(), false)).collect(),
            keys: (0..keys).map(key).collect(),
            version: 1,
            drained: BTreeSet::new(),
            replicas: BTreeMap::new(),
            grants: BTreeSet::new(),
            committed: BTreeMap::new(),
        }
    }

    pub(super) fn last(&self) -> u64 {
        self.feed.len() as u64
    }

    pub(super) fn number(&self, hash: &SecretHash) -> Option<usize> {
        self.by_hash.get(hash).copied()
    }

    pub(super) fn is_good(&self, token: usize) -> bool {
        let token = &self.tokens[token];
        token.revoked_at.is_none() && !self.users[token.user].1
    }

    pub(super) fn prune(&mut self, upto: usize) {
        self.pruned = self.pruned.max(upto.min(self.feed.len()));
    }

    /// The changes after a position in the feed; if there are many, only some of them.
    pub(super) fn since(&self, place: u64, part: usize) -> Changes {
        match self.after(place) {
            Some(after) => {
                let changes: Vec<_> = after.iter().take(part).copied().collect();
                let upto = place + changes.len() as u64;
                let mut granted = HashMap::<_, Vec<_>>::new();
                for hash in changes.iter().filter_map(revoked) {
                    let token = self.tokens[self.by_hash[&hash]].id;
                    for (key, _) in self.grants.iter().filter(|(_, granted)| *granted == token) {
                        granted.entry(*key).or_default().push(hash);
                    }
                }
                Changes::Since { changes, granted, upto }
            }
            None => Changes::Gap { now: self.last() },
        }
    }

    /// The tokens that were revoked after a position in the feed, of those that the key was told of; `None` if that is no longer
    /// known.
    pub(super) fn revoked_since(&self, place: u64, key: GatewayKeyId) -> Option<Vec<SecretHash>> {
        let revoked = self.after(place)?.iter().filter_map(revoked);
        Some(revoked.filter(|hash| self.is_granted(key, hash)).collect())
    }

    fn is_granted(&self, key: GatewayKeyId, hash: &SecretHash) -> bool {
        self.grants.contains(&(key, self.tokens[self.by_hash[hash]].id))
    }

    /// The key is told of the token, and so is the one that the process has attached with meanwhile.
    pub(super) fn grant(&mut self, token: TokenId, key: GatewayKeyId, process: SecretHash) {
        let attached = self.replicas.values().find(|(of, _)| *of == Some(process));
        let keys = attached.map(|(_, key)| *key).into_iter().chain([key]);
        self.grants.extend(keys.map(|key| (key, token)));
    }

    fn after(&self, place: u64) -> Option<&[Change]> {
        let place = usize::try_from(place).unwrap();
        (place >= self.pruned).then(|| self.feed.get(place..)).flatten()
    }

    pub(super) fn revoke(&mut self, token: usize, now: Timestamp) {
        self.tokens[token].revoked_at = Some(now);
        self.feed.push(Change::TokenRevoked(self.tokens[token].hash));
    }

    /// Suspends a user; returns the tokens that become invalid.
    pub(super) fn suspend(&mut self, user: usize) -> Vec<usize> {
        self.users[user].1 = true;
        let whose = |number: &usize| self.tokens[*number].user == user && self.tokens[*number].revoked_at.is_none();
        let tokens: Vec<usize> = (0..self.tokens.len()).filter(whose).collect();
        let hashes = tokens.iter().map(|number| self.tokens[*number].hash);
        self.feed.extend(hashes.map(Change::TokenRevoked));
        tokens
    }

    pub(super) fn drain(&mut self, replica: ReplicaId) {
        self.drained.insert(replica);
        self.feed.push(Change::ReplicaDrain(replica));
    }

    /// Enters an attachment; whether the replica is to drain. `None`: its id belongs to another process.
    pub(super) fn attach(&mut self, attachment: &ReplicaAttachment) -> Option<bool> {
        let (replica, new) = (attachment.replica_id, attachment.gateway_key.id);
        let (process, key) = self.replicas.entry(replica).or_insert((attachment.process, new));
        if *process != attachment.process {
            return None;
        }
        let before = std::mem::replace(key, new);
        let told = self.grants.iter().filter(|(key, _)| *key == before);
        let told: Vec<_> = told.map(|(_, token)| (new, *token)).collect();
        self.grants.extend(told);
        Some(self.drained.contains(&replica))
    }

    pub(super) fn configure(&mut self) {
        self.version += 1;
        self.feed.push(Change::Configuration);
    }

    pub(super) fn configuration(&self) -> Arc<Configuration> {
        let key = ProviderKeyConfig {
            id: lychgate_types::ProviderKeyId::from_uuid(self.provider.as_uuid()),
            secret: ProviderSecret::new("a provider's key".to_owned()),
        };
        Arc::new(Configuration {
            version: self.version,
            capture_content: true,
            providers: vec![ProviderConfig {
                id: self.provider,
                name: Name::parse(PROVIDER).unwrap(),
                provider_type: ProviderType::Anthropic,
                base_url: "https://provider.example".to_owned(),
                enabled: true,
                allow_private: false,
                settings: ProviderSettings::default(),
                policy: ProviderPolicy::default(),
                keys: vec![key],
            }],
            routes: Vec::new(),
        })
    }

    /// Each key has its own, derived from the key's id.
    pub(super) fn spool_key(&self, key: GatewayKeyId) -> SpoolKey {
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(key.as_uuid().as_bytes());
        SpoolKey::from_bytes(bytes)
    }

    pub(super) fn rotate(&mut self, key: usize, secret: GatewayKeySecret, grace: Instant) {
        let key = &mut self.keys[key];
        if let Some((_, until)) = key.secrets.last_mut() {
            *until = Some(grace);
        }
        key.secrets.push((secret, None));
        key.changed = Instant::now();
        self.feed.push(Change::GatewayKey(key.id));
    }

    /// Disables, enables or deletes a key.
    pub(super) fn change_key(&mut self, key: usize, change: impl FnOnce(&mut Key)) {
        change(&mut self.keys[key]);
        self.keys[key].changed = Instant::now();
        self.feed.push(Change::GatewayKey(self.keys[key].id));
    }

    pub(super) fn secret(&self, key: usize) -> GatewayKeySecret {
        self.keys[key].secrets.last().unwrap().0.clone()
    }

    pub(super) fn key(&self, hash: &SecretHash) -> Option<KeyAuthentication> {
        let with = |key: &&Key| key.secrets.iter().any(|(secret, _)| secret.hash() == *hash);
        let key = self.keys.iter().find(with).filter(|key| !key.is_deleted)?;
        let (secret, until) = key.secrets.iter().find(|(secret, _)| secret.hash() == *hash)?;
        Some(KeyAuthentication {
            id: key.id,
            name: "edge".to_owned(),
            secret_prefix: secret.prefix().to_owned(),
            state: if key.is_disabled {
                KeyState::Disabled
            } else {
                KeyState::Active
            },
            secret: match until {
                None => SecretState::Present,
                Some(until) if Instant::now() < *until => SecretState::InGrace {
                    until: Timestamp::from_micros(0),
                },
                Some(_) => SecretState::Rotated,
            },
            allowed_cidrs: None,
        })
    }

    /// Since when at least a secret is valid; `None` if it is not.
    pub(super) fn valid_since(&self, hash: &SecretHash) -> Option<Instant> {
        let found = self.key(hash)?;
        let is_valid = found.state == KeyState::Active && found.secret != SecretState::Rotated;
        let key = self.keys.iter().find(|key| key.id == found.id)?;
        is_valid.then_some(key.changed)
    }

    pub(super) fn token(&self, hash: &SecretHash, key: GatewayKeyId) -> Option<TokenAuthentication> {
        let token = &self.tokens[self.number(hash)?];
        let (user_id, is_suspended) = self.users[token.user];
        Some(TokenAuthentication {
            token_id: token.id,
            user_id,
            username: "ada".to_owned(),
            role: Role::Member,
            user_state: if is_suspended {
                UserState::Suspended
            } else {
                UserState::Active
            },
            scopes: Scopes::all(),
            expires_at: None,
            revoked_at: token.revoked_at,
            is_granted: self.grants.contains(&(key, token.id)),
        })
    }

    /// Stores records, all or none; returns the ids of the new ones, and which are rejected. `None` if it fails.
    pub(super) fn ingest(
        &mut self,
        (key, replica): (GatewayKeyId, ReplicaId),
        records: &[EncodedRecord],
    ) -> Option<(Vec<(InterceptionId, String)>, Receipt)> {
        let decoded: Vec<_> = records.iter().map(|record| record.decode().unwrap()).collect();
        if decoded.iter().any(|record| record.model.starts_with(POISON)) {
            return None;
        }
        let (mut new, mut rejected) = (Vec::new(), Vec::new());
        for record in decoded {
            let keys = self.replicas.get(&replica).map(|(_, attached)| *attached);
            let mut keys = keys.into_iter().chain([key]);
            let is_granted = keys.any(|key| self.is_granted(key, &record.token_hash));
            if record.model.starts_with(UNFIT) || !is_granted {
                let reason = UNFIT.to_owned();
                rejected.push(Rejected { id: record.id, reason });
            } else if self.committed.insert(record.id, record.model.clone()).is_none() {
                new.push((record.id, record.model));
            }
        }
        Some((new, Receipt { rejected }))
    }
}
