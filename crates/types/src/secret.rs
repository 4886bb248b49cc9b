//! Secrets as types. `Debug` prints the type's name and nothing of the secret; none of them can be serialised.
//!
//! Credentials that Lychgate itself makes have one form: a prefix that names the kind, 36 random base62 characters, and
//! 6 base62 characters of CRC-32 over what precedes: 46 characters. The checksum tells a typo from a revoked credential
//! without a look-up. They carry over 200 bits of entropy, so their stored hash is a plain SHA-256.

mod scan;

pub use scan::{holds_secret, holds_secret_escaped};

use crate::{Ambient, GatewayKeyId};
use sha2::{Digest, Sha256};
use std::marker::PhantomData;
use zeroize::Zeroizing;

const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const LENGTH: usize = 46;
const CHECKSUM_AT: usize = 40;
/// Length of the public prefix of a secret, for display and audit.
pub const PREFIX_LENGTH: usize = 11;

/// A kind of credential that Lychgate makes.
pub trait Kind {
    /// The four characters that such a credential starts with.
    const PREFIX: &'static str;
    /// The type's name, for `Debug`.
    const NAME: &'static str;
}

/// Marks [`GatewayKeySecret`].
#[derive(Clone, Copy)]
pub enum GatewayKeyKind {}
impl Kind for GatewayKeyKind {
    const PREFIX: &'static str = "lgw_";
    const NAME: &'static str = "GatewayKeySecret";
}

/// Marks [`UserTokenSecret`].
#[derive(Clone, Copy)]
pub enum UserTokenKind {}
impl Kind for UserTokenKind {
    const PREFIX: &'static str = "lgu_";
    const NAME: &'static str = "UserTokenSecret";
}

/// A gateway key in the clear: `lgw_…`.
pub type GatewayKeySecret = Credential<GatewayKeyKind>;
/// A user token in the clear: `lgu_…`.
pub type UserTokenSecret = Credential<UserTokenKind>;

/// Text that can't be a credential of the kind asked for. The text itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CredentialError {
    /// The prefix is another one.
    #[error("it does not start with {expected}")]
    Prefix {
        /// The prefix asked for.
        expected: &'static str,
    },
    /// Not 46 characters of base62.
    #[error("it is not 46 letters and digits long: it was cut or has something added")]
    Shape,
    /// The last six characters do not match the rest.
    #[error("its checksum does not match: a character was mistyped")]
    Checksum,
}

/// A credential made by Lychgate, in the clear. Wiped from memory when dropped.
pub struct Credential<K> {
    text: Zeroizing<String>,
    kind: PhantomData<K>,
}

impl<K: Kind> Credential<K> {
    /// Makes a new one.
    pub fn generate(ambient: &Ambient) -> Self {
        let mut text = Zeroizing::new(String::with_capacity(LENGTH));
        text.push_str(K::PREFIX);
        let mut byte = Zeroizing::new([0u8; 1]);
        while text.len() < CHECKSUM_AT {
            ambient.fill(&mut *byte);
            // 248 = 4 × 62: the bytes above would make some characters likelier than others.
            if byte[0] < 248 {
                text.push(char::from(BASE62[usize::from(byte[0] % 62)]));
            }
        }
        let sum = checksum(&text);
        text.extend(sum.map(char::from));
        Self {
            text,
            kind: PhantomData,
        }
    }

    /// Checks prefix, length, alphabet and checksum; nothing is looked up.
    pub fn parse(text: &str) -> Result<Self, CredentialError> {
        if !text.starts_with(K::PREFIX) {
            return Err(CredentialError::Prefix { expected: K::PREFIX });
        }
        if text.len() != LENGTH || !text[K::PREFIX.len()..].bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(CredentialError::Shape);
        }
        if checksum(&text[..CHECKSUM_AT]) != text.as_bytes()[CHECKSUM_AT..] {
            return Err(CredentialError::Checksum);
        }
        Ok(Self {
            text: Zeroizing::new(text.to_owned()),
            kind: PhantomData,
        })
    }

    /// The secret itself. Call this only where it is shown once or sent.
    pub fn expose(&self) -> &str {
        &self.text
    }

    /// The first 11 characters: public, for display and audit, never for authentication.
    pub fn prefix(&self) -> &str {
        &self.text[..PREFIX_LENGTH]
    }

    /// SHA-256 over the whole text: what is stored and looked up.
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.text.as_bytes()).into())
    }
}

impl<K: Kind> std::fmt::Debug for Credential<K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(K::NAME)
    }
}

impl<K: Kind> Clone for Credential<K> {
    fn clone(&self) -> Self {
        Self {
            text: self.text.clone(),
            kind: PhantomData,
        }
    }
}

fn checksum(text: &str) -> [u8; 6] {
    let mut sum = crc32fast::hash(text.as_bytes());
    let mut out = [b'0'; 6];
    for digit in out.iter_mut().rev() {
        *digit = BASE62[(sum % 62) as usize];
        sum /= 62;
    }
    out
}

/// SHA-256 of a credential. Not a secret in the sense that it can be used, but nothing prints it either.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct SecretHash([u8; 32]);

impl SecretHash {
    /// Wraps 32 bytes from the link or a test.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes, for binding and encoding.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// What tells credentials apart for who has no use for their hashes: the first eight bytes.
    pub const fn mark(&self) -> u64 {
        let [a, b, c, d, e, f, g, h, ..] = self.0;
        u64::from_be_bytes([a, b, c, d, e, f, g, h])
    }
}

impl std::fmt::Debug for SecretHash {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SecretHash")
    }
}

/// A provider's API key in the clear (central or a user's own). Wiped from memory when dropped.
#[derive(Clone)]
pub struct ProviderSecret(secrecy::SecretString);

impl ProviderSecret {
    /// Takes the text over.
    pub fn new(text: String) -> Self {
        Self(text.into())
    }

    /// The secret itself. Call this only where it is sealed or sent upstream.
    pub fn expose(&self) -> &str {
        secrecy::ExposeSecret::expose_secret(&self.0)
    }

    /// First and last four characters (counted in characters) of a secret of 20 characters or more, else nothing of it:
    /// `sk-a…6789`, or `…`.
    pub fn masked(&self) -> String {
        let hint = self.hint();
        if hint.is_empty() { "…".to_owned() } else { hint }
    }

    /// Like [`Self::masked`], but empty for short secrets.
    pub fn hint(&self) -> String {
        let text = self.expose();
        let count = text.chars().count();
        if count < 20 {
            return String::new();
        }
        let head: String = text.chars().take(4).collect();
        let tail: String = text.chars().skip(count - 4).collect();
        format!("{head}…{tail}")
    }
}

impl std::fmt::Debug for ProviderSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProviderSecret")
    }
}

/// The 32 bytes that seal what the database keeps sealed. Wiped from memory when dropped.
#[derive(Clone)]
pub struct MasterKey(Zeroizing<[u8; 32]>);

/// Text that is not a master key. The text itself is not repeated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a master key is 64 hexadecimal digits (32 bytes); make one with: openssl rand -hex 32")]
pub struct MasterKeyError;

impl MasterKey {
    /// Makes a new one.
    pub fn generate(ambient: &Ambient) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        ambient.fill(&mut *bytes);
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits, white space around them ignored.
    pub fn parse(text: &str) -> Result<Self, MasterKeyError> {
        read_hex(text.trim()).map(Self).ok_or(MasterKeyError)
    }

    /// The key as 64 hexadecimal digits, for the one file that keeps it.
    pub fn to_hex(&self) -> Zeroizing<String> {
        write_hex(&self.0)
    }

    /// The bytes, for the cipher.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }

    /// Names this key without telling it: the first four bytes of a hash over it.
    pub fn key_id(&self) -> u32 {
        let digest = Sha256::new()
            .chain_update(b"lychgate master key id")
            .chain_update(self.0.as_slice())
            .finalize();
        u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]])
    }
}

impl std::fmt::Debug for MasterKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKey")
    }
}

/// The 32 bytes that a replica seals its spool with. Made by the control plane for each gateway key. Wiped from memory when
/// dropped.
#[derive(Clone, PartialEq, Eq)]
pub struct SpoolKey(Zeroizing<[u8; 32]>);

impl SpoolKey {
    /// Takes the bytes over.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(Zeroizing::new(bytes))
    }

    /// The bytes, for the cipher and the link.
    pub fn expose(&self) -> &[u8; 32] {
        &self.0
    }
}

impl std::fmt::Debug for SpoolKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SpoolKey")
    }
}

/// What a gateway key's replicas seal their spools with, and what they can open beside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpoolKeys {
    /// Whose they are; `None`: the embedded gateway's.
    pub gateway_key: Option<GatewayKeyId>,
    /// The key's own. Seals, and opens.
    pub own: SpoolKey,
    /// Those of the gateway keys that it replaces. They only open.
    pub replaced: Vec<SpoolKey>,
}

impl From<SpoolKey> for SpoolKeys {
    fn from(own: SpoolKey) -> Self {
        Self {
            gateway_key: None,
            own,
            replaced: Vec::new(),
        }
    }
}

/// The 32 bytes by which a process of a replica shows that it is the one that an id belongs to. Made at its start, and never written
/// down by it. Wiped from memory when dropped.
#[derive(Clone)]
pub struct ProcessSecret(Zeroizing<[u8; 32]>);

impl ProcessSecret {
    /// Makes a new one.
    pub fn generate(ambient: &Ambient) -> Self {
        let mut bytes = Zeroizing::new([0; 32]);
        ambient.fill(&mut *bytes);
        Self(bytes)
    }

    /// Reads 64 hexadecimal digits; `None` where it is anything else.
    pub fn parse(text: &str) -> Option<Self> {
        read_hex(text).map(Self)
    }

    /// The secret as 64 hexadecimal digits, for the control link.
    pub fn to_hex(&self) -> Zeroizing<String> {
        write_hex(&self.0)
    }

    /// SHA-256 over the bytes: what is stored and compared.
    pub fn hash(&self) -> SecretHash {
        SecretHash(Sha256::digest(self.0.as_slice()).into())
    }
}

impl std::fmt::Debug for ProcessSecret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("ProcessSecret")
    }
}

fn read_hex(text: &str) -> Option<Zeroizing<[u8; 32]>> {
    let text = text.as_bytes();
    if text.len() != 64 {
        return None;
    }
    let mut bytes = Zeroizing::new([0; 32]);
    for (byte, pair) in bytes.iter_mut().zip(text.chunks(2)) {
        let digit = |b: u8| char::from(b).to_digit(16);
        *byte = u8::try_from(digit(pair[0])? * 16 + digit(pair[1])?).ok()?;
    }
    Some(bytes)
}

fn write_hex(bytes: &[u8; 32]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(64));
    for byte in bytes {
        text.push(char::from(b"0123456789abcdef"[usize::from(byte >> 4)]));
        text.push(char::from(b"0123456789abcdef"[usize::from(byte & 15)]));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_credential_round_trips_and_detects_typos() {
        let secret = GatewayKeySecret::generate(&Ambient::system());
        let text = secret.expose().to_owned();
        assert_eq!(text.len(), 46);
        assert_eq!(secret.prefix(), &text[..11]);
        assert_eq!(GatewayKeySecret::parse(&text).unwrap().hash(), secret.hash());
        for at in 4..46 {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'x' { b'y' } else { b'x' };
            let typo = String::from_utf8(bytes).unwrap();
            assert_eq!(
                GatewayKeySecret::parse(&typo).unwrap_err(),
                CredentialError::Checksum,
                "at {at}"
            );
        }
        assert_eq!(
            GatewayKeySecret::parse(&text[..45]).unwrap_err(),
            CredentialError::Shape
        );
        assert_eq!(
            GatewayKeySecret::parse(&format!("lgw_{}", "é".repeat(21))).unwrap_err(),
            CredentialError::Shape
        );
        assert!(matches!(
            UserTokenSecret::parse(&text).unwrap_err(),
            CredentialError::Prefix { .. }
        ));
    }

    #[test]
    fn debug_shows_nothing() {
        let secret = UserTokenSecret::generate(&Ambient::system());
        assert_eq!(format!("{secret:?}"), "UserTokenSecret");
        assert_eq!(format!("{:?}", secret.hash()), "SecretHash");
        assert_eq!(format!("{:?}", ProviderSecret::new("sk-1".into())), "ProviderSecret");
        assert_eq!(format!("{:?}", MasterKey::generate(&Ambient::system())), "MasterKey");
        assert_eq!(format!("{:?}", SpoolKey::from_bytes([7; 32])), "SpoolKey");
        assert_eq!(
            format!("{:?}", ProcessSecret::generate(&Ambient::system())),
            "ProcessSecret"
        );
    }

    #[test]
    fn hints_are_counted_in_characters() {
        assert_eq!(
            ProviderSecret::new("sk-ant-0123456789abcdef".into()).masked(),
            "sk-a…cdef"
        );
        assert_eq!(ProviderSecret::new("ééé-0123456789abcdéé".into()).hint(), "ééé-…cdéé");
        assert_eq!(ProviderSecret::new("short".into()).masked(), "…");
    }

    #[test]
    fn what_is_written_in_hexadecimal_digits_round_trips() {
        let key = MasterKey::generate(&Ambient::system());
        assert_eq!(
            MasterKey::parse(&format!(" {}\n", *key.to_hex())).unwrap().expose(),
            key.expose()
        );
        let process = ProcessSecret::generate(&Ambient::system());
        let again = ProcessSecret::parse(&process.to_hex()).unwrap();
        assert_eq!(again.hash(), process.hash());
        assert_ne!(process.hash(), ProcessSecret::generate(&Ambient::system()).hash());
        assert!(ProcessSecret::parse("abc").is_none());
        assert!(MasterKey::parse("abc").is_err());
        assert!(MasterKey::parse(&"g".repeat(64)).is_err());
    }
}
