//! What is said of Lychgate's own credentials: whether a text is one, by a second reader, and what is known of one that is.

use lychgate_types::secret::{Credential, Kind, PREFIX_LENGTH};
use sha2::{Digest, Sha256};

/// The alphabet.
pub const BASE62: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/// Parses the text, which succeeds exactly when [`is_one`] says so, and gives back what was given. Says whether it did.
pub fn check<K: Kind>(text: &str) -> bool {
    let parsed = Credential::<K>::parse(text);
    let one = is_one::<K>(text);
    assert_eq!(parsed.is_ok(), one, "{text}");
    if let Ok(secret) = parsed {
        assert_eq!(secret.expose(), text);
        assert_eq!(secret.prefix(), &text[..PREFIX_LENGTH]);
        assert_eq!(secret.hash().as_bytes(), &hash(text));
        assert_eq!(format!("{secret:?}"), K::NAME);
    }
    one
}

/// Prefix, 36 letters and digits, 6 more that fit them.
pub fn is_one<K: Kind>(text: &str) -> bool {
    let Some((head, sum)) = text.split_at_checked(40) else {
        return false;
    };
    let random = head.strip_prefix(K::PREFIX);
    random.is_some_and(|random| random.bytes().all(|byte| BASE62.contains(&byte))) && sum == checksum(head.as_bytes())
}

/// SHA-256 over the whole text.
pub fn hash(text: &str) -> [u8; 32] {
    Sha256::digest(text.as_bytes()).into()
}

/// CRC-32 bit by bit, in six digits.
pub fn checksum(text: &[u8]) -> String {
    let mut sum = !0u32;
    for byte in text {
        sum ^= u32::from(*byte);
        for _ in 0..8 {
            sum = (sum >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(sum & 1));
        }
    }
    let sum = !sum;
    (0..6)
        .rev()
        .map(|digit| char::from(BASE62[(sum / 62u32.pow(digit) % 62) as usize]))
        .collect()
}
