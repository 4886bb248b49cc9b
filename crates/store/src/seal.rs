//! Sealing what the database keeps secret: AES-256-GCM under the master key.
//!
//! A sealed value is a version byte, the master key's id (4 bytes), a random nonce (12), the ciphertext and its tag (16). The
//! row's id and the column's name are authenticated with it, so a value moved to another row does not open.

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use aws_lc_rs::hkdf;
use lychgate_types::secret::{MasterKey, ProviderSecret, SpoolKey};
use lychgate_types::{Ambient, GatewayKeyId};
use uuid::Uuid;
use zeroize::Zeroizing;

/// A sealed secret: version, key id, nonce, ciphertext, tag.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed(Vec<u8>);

impl Sealed {
    /// Wraps what came from the database.
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, for the database.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The bytes, for the database.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealed")
    }
}

/// Why something could not be sealed or opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SealError {
    /// Another master key sealed it.
    #[error("it was sealed with another master key")]
    OtherKey,
    /// It was changed, cut, or moved here from another row.
    #[error("it was altered, or belongs to another row")]
    Damaged,
    /// The cipher refused to work.
    #[error("the cipher failed")]
    Cipher,
}

const VERSION: u8 = 1;
const KEY_ID_LEN: usize = 4;
/// Says what a key made from the master key is for.
const SPOOL_LABEL: &[u8] = b"lychgate spool v1";
const HEAD_LEN: usize = 1 + KEY_ID_LEN + NONCE_LEN;

/// Seals and opens with one master key.
#[derive(Clone)]
pub struct Sealer(MasterKey);

impl std::fmt::Debug for Sealer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sealer")
    }
}

impl Sealer {
    /// A sealer for this master key.
    pub const fn new(master: MasterKey) -> Self {
        Self(master)
    }

    /// Seals a provider key for the row `id` and its column (`provider_keys.sealed`).
    pub fn seal(
        &self,
        ambient: &Ambient,
        secret: &ProviderSecret,
        id: Uuid,
        column: &str,
    ) -> Result<Sealed, SealError> {
        self.seal_bytes(ambient, secret.expose().as_bytes(), id, column)
    }

    /// Opens what [`Self::seal`] made for the same row and column.
    pub fn open(&self, sealed: &Sealed, id: Uuid, column: &str) -> Result<ProviderSecret, SealError> {
        let plain = self.open_bytes(sealed, id, column)?;
        let text = std::str::from_utf8(&plain).map_err(|_| SealError::Damaged)?;
        Ok(ProviderSecret::new(text.to_owned()))
    }

    /// Seals bytes for the row `id` and its column.
    pub fn seal_bytes(&self, ambient: &Ambient, plain: &[u8], id: Uuid, column: &str) -> Result<Sealed, SealError> {
        let mut nonce = [0; NONCE_LEN];
        ambient.fill(&mut nonce);
        let mut out = Vec::with_capacity(HEAD_LEN + plain.len() + AES_256_GCM.tag_len());
        out.push(VERSION);
        out.extend_from_slice(&self.0.key_id().to_be_bytes());
        out.extend_from_slice(&nonce);
        let mut body = Zeroizing::new(plain.to_vec());
        let nonce = Nonce::assume_unique_for_key(nonce);
        let tag = self
            .cipher()?
            .seal_in_place_separate_tag(nonce, aad(id, column), &mut body);
        out.extend_from_slice(&body);
        out.extend_from_slice(tag.map_err(|_| SealError::Cipher)?.as_ref());
        Ok(Sealed(out))
    }

    /// Opens what [`Self::seal_bytes`] made for the same row and column.
    pub fn open_bytes(&self, sealed: &Sealed, id: Uuid, column: &str) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (head, body) = sealed.0.split_at_checked(HEAD_LEN).ok_or(SealError::Damaged)?;
        let (version, rest) = head.split_first().ok_or(SealError::Damaged)?;
        if *version != VERSION {
            return Err(SealError::Damaged);
        }
        let (key_id, nonce) = rest.split_at(KEY_ID_LEN);
        if key_id != self.0.key_id().to_be_bytes() {
            return Err(SealError::OtherKey);
        }
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| SealError::Damaged)?;
        let mut plain = Zeroizing::new(body.to_vec());
        let length = self
            .cipher()?
            .open_in_place(nonce, aad(id, column), &mut plain)
            .map_err(|_| SealError::Damaged)?
            .len();
        plain.truncate(length);
        Ok(plain)
    }

    /// What the replicas of this gateway key (`None`: the embedded gateway) seal their spools with: HKDF-SHA256 of the master
    /// key, for the label `lychgate spool v1` and the key's id, so that a rotation does not change it.
    pub fn spool_key(&self, gateway_key: Option<GatewayKeyId>) -> Result<SpoolKey, SealError> {
        let id = gateway_key.map_or(Uuid::nil(), |key| key.as_uuid());
        let mut bytes = Zeroizing::new([0; 32]);
        hkdf::Salt::new(hkdf::HKDF_SHA256, &[])
            .extract(self.0.expose())
            .expand(&[SPOOL_LABEL, id.as_bytes()], hkdf::HKDF_SHA256)
            .and_then(|key| key.fill(&mut *bytes))
            .map_err(|_| SealError::Cipher)?;
        Ok(SpoolKey::from_bytes(*bytes))
    }

    fn cipher(&self) -> Result<LessSafeKey, SealError> {
        UnboundKey::new(&AES_256_GCM, self.0.expose())
            .map(LessSafeKey::new)
            .map_err(|_| SealError::Cipher)
    }
}

fn aad(id: Uuid, column: &str) -> Aad<Vec<u8>> {
    let mut bytes = id.as_bytes().to_vec();
    bytes.extend_from_slice(column.as_bytes());
    Aad::from(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const COLUMN: &str = "provider_keys.sealed";
    const ID: Uuid = Uuid::from_u128(1);

    fn sealer() -> Sealer {
        Sealer::new(MasterKey::generate(&Ambient::system()))
    }

    #[test]
    fn what_is_sealed_opens_and_does_not_show() {
        let (sealer, ambient) = (sealer(), Ambient::system());
        let secret = ProviderSecret::new("sk-ant-canary-0123456789".into());
        let sealed = sealer.seal(&ambient, &secret, ID, COLUMN).unwrap();
        assert_eq!(sealer.open(&sealed, ID, COLUMN).unwrap().expose(), secret.expose());
        assert!(!sealed.as_bytes().windows(6).any(|part| part == b"canary"));
        assert_ne!(
            sealer.seal(&ambient, &secret, ID, COLUMN).unwrap(),
            sealed,
            "each seal has a nonce of its own"
        );
        assert_eq!(format!("{sealed:?} {sealer:?}"), "Sealed Sealer");
        let empty = sealer.seal_bytes(&ambient, b"", ID, COLUMN).unwrap();
        assert_eq!(*sealer.open_bytes(&empty, ID, COLUMN).unwrap(), b"");
    }

    #[test]
    fn each_gateway_key_has_a_spool_key_that_stays() {
        let (sealer, ambient) = (sealer(), Ambient::system());
        let (one, two) = (Some(ambient.new_id()), Some(ambient.new_id()));
        let key = |sealer: &Sealer, id| *sealer.spool_key(id).unwrap().expose();
        assert_eq!(key(&sealer, one), key(&sealer.clone(), one));
        assert_ne!(key(&sealer, one), key(&sealer, two));
        assert_ne!(key(&sealer, one), key(&sealer, None));
        assert_ne!(key(&sealer, one), key(&self::sealer(), one));
    }

    #[test]
    fn the_spool_key_is_hkdf_sha256_over_label_and_id() {
        let sealer = Sealer::new(MasterKey::parse(&"0b".repeat(32)).unwrap());
        let id = GatewayKeyId::from_uuid(Uuid::from_u128(1));
        let hex: String = sealer
            .spool_key(Some(id))
            .unwrap()
            .expose()
            .iter()
            .map(|b| format!("{b:02x}"))
            .collect();
        assert_eq!(hex, "27c599869e27647f9952eb68d5206337ec214217896411c46c97b81b9ffb2096");
    }

    #[test]
    fn another_master_key_does_not_open_it() {
        let sealed = sealer().seal_bytes(&Ambient::system(), b"secret", ID, COLUMN).unwrap();
        assert_eq!(
            sealer().open_bytes(&sealed, ID, COLUMN).unwrap_err(),
            SealError::OtherKey
        );
    }

    #[test]
    fn another_master_key_does_not_open_it_even_under_the_right_key_id() {
        let (right, wrong) = (sealer(), sealer());
        let mut bytes = right
            .seal_bytes(&Ambient::system(), b"secret", ID, COLUMN)
            .unwrap()
            .into_bytes();
        bytes[1..5].copy_from_slice(&wrong.0.key_id().to_be_bytes());
        assert_eq!(
            wrong.open_bytes(&Sealed::from_bytes(bytes), ID, COLUMN).unwrap_err(),
            SealError::Damaged
        );
    }

    #[test]
    fn another_row_or_column_does_not_open_it() {
        let sealer = sealer();
        let sealed = sealer.seal_bytes(&Ambient::system(), b"secret", ID, COLUMN).unwrap();
        assert_eq!(
            sealer.open_bytes(&sealed, Uuid::from_u128(2), COLUMN).unwrap_err(),
            SealError::Damaged
        );
        assert_eq!(
            sealer.open_bytes(&sealed, ID, "other.sealed").unwrap_err(),
            SealError::Damaged
        );
    }

    #[test]
    fn no_byte_of_it_can_be_changed_or_cut() {
        let sealer = sealer();
        let bytes = sealer
            .seal_bytes(&Ambient::system(), b"secret", ID, COLUMN)
            .unwrap()
            .into_bytes();
        for at in 0..bytes.len() {
            let mut tampered = bytes.clone();
            tampered[at] ^= 1;
            assert!(
                sealer.open_bytes(&Sealed::from_bytes(tampered), ID, COLUMN).is_err(),
                "byte {at}"
            );
            let cut = Sealed::from_bytes(bytes[..at].to_vec());
            assert_eq!(
                sealer.open_bytes(&cut, ID, COLUMN).unwrap_err(),
                SealError::Damaged,
                "cut at {at}"
            );
        }
    }
}
