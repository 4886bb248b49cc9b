//! The contents as bytes: version, time, position, gateway key, spool keys, configuration, leases; all numbers are little-endian.

use crate::auth::leases::PersistedLease;
use lychgate_link::Configuration;
use lychgate_types::secret::{SecretHash, SpoolKey, SpoolKeys};
use lychgate_types::{GatewayKeyId, Holder, Timestamp};
use std::sync::Arc;
use uuid::Uuid;
use zeroize::Zeroizing;

/// Grows whenever the bytes mean something else. A replica that finds another version starts without a snapshot.
const VERSION: u8 = 4;
/// Bytes of one lease: token hash, whether it may send requests, whose it is, end.
const LEASE: usize = 32 + 1 + 8 + 8;

/// What a replica knew when it was last attached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Snapshot {
    /// When that was.
    pub(crate) attached_at: Timestamp,
    /// The position in the control plane's feed of changes.
    pub(crate) applied: u64,
    pub(crate) configuration: Arc<Configuration>,
    pub(crate) spool_keys: SpoolKeys,
    /// The leases on valid tokens.
    pub(crate) leases: Vec<PersistedLease>,
}

impl Snapshot {
    pub(super) fn encode(&self) -> Zeroizing<Vec<u8>> {
        let configuration = self.configuration.encode();
        // Allocated in its final size: a buffer that grows leaves copies of secrets in memory.
        let replaced = &self.spool_keys.replaced;
        let length =
            1 + 8 + 8 + 16 + 32 + 1 + 32 * replaced.len() + 4 + configuration.len() + self.leases.len() * LEASE;
        let mut bytes = Zeroizing::new(Vec::with_capacity(length));
        bytes.push(VERSION);
        bytes.extend_from_slice(&self.attached_at.as_micros().to_le_bytes());
        bytes.extend_from_slice(&self.applied.to_le_bytes());
        let gateway_key = self.spool_keys.gateway_key.map_or(Uuid::nil(), GatewayKeyId::as_uuid);
        bytes.extend_from_slice(gateway_key.as_bytes());
        bytes.extend_from_slice(self.spool_keys.own.expose());
        let replaced = replaced.iter().take(u8::MAX.into());
        bytes.push(u8::try_from(replaced.len()).unwrap_or(u8::MAX));
        replaced.for_each(|key| bytes.extend_from_slice(key.expose()));
        bytes.extend_from_slice(&u32::try_from(configuration.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend_from_slice(&configuration);
        for lease in &self.leases {
            bytes.extend_from_slice(lease.token.as_bytes());
            bytes.push(lease.allowed.is_some().into());
            bytes.extend_from_slice(&lease.allowed.unwrap_or_default().number().to_le_bytes());
            bytes.extend_from_slice(&lease.until.as_micros().to_le_bytes());
        }
        bytes
    }

    /// `None` if [`Self::encode`] has not made these bytes, or another version of it has.
    pub(super) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut rest = bytes;
        let [VERSION] = take(&mut rest)? else { return None };
        let attached_at = Timestamp::from_micros(i64::from_le_bytes(take(&mut rest)?));
        let applied = u64::from_le_bytes(take(&mut rest)?);
        let gateway_key = Uuid::from_bytes(take(&mut rest)?);
        let gateway_key = (!gateway_key.is_nil()).then(|| GatewayKeyId::from_uuid(gateway_key));
        let own = SpoolKey::from_bytes(take(&mut rest)?);
        let [replaced] = take(&mut rest)?;
        let replaced = (0..replaced).map(|_| take(&mut rest).map(SpoolKey::from_bytes));
        let replaced = replaced.collect::<Option<_>>()?;
        let length = usize::try_from(u32::from_le_bytes(take(&mut rest)?)).ok()?;
        let (configuration, leases) = rest.split_at_checked(length)?;
        let lease = |mut bytes: &[u8]| {
            let token = SecretHash::from_bytes(take(&mut bytes)?);
            let is_allowed = take::<1>(&mut bytes)? == [1];
            let holder = Holder::from_number(u64::from_le_bytes(take(&mut bytes)?));
            Some(PersistedLease {
                token,
                allowed: is_allowed.then_some(holder),
                until: Timestamp::from_micros(i64::from_le_bytes(take(&mut bytes)?)),
            })
        };
        let (leases, []) = leases.as_chunks::<LEASE>() else {
            return None;
        };
        let leases = leases.iter().map(|bytes| lease(bytes)).collect::<Option<_>>()?;
        Some(Self {
            attached_at,
            applied,
            configuration: Arc::new(Configuration::decode(configuration).ok()?),
            spool_keys: SpoolKeys {
                gateway_key,
                own,
                replaced,
            },
            leases,
        })
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (taken, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(*taken)
}
