//! Credentials to put into inputs, since no fuzzer finds a checksum. The same in every run.

use lychgate_types::clock::ManualClock;
use lychgate_types::random::SeededRandom;
use lychgate_types::secret::{GatewayKeySecret, UserTokenSecret};
use lychgate_types::{Ambient, Timestamp};
use std::sync::{Arc, LazyLock};

/// What stands for a credential in an input: `$U` and `$V` for user tokens, `$G` for a gateway key, `$P` for a provider's key.
pub struct Tokens {
    /// `$U`
    pub user: UserTokenSecret,
    /// `$V`
    pub other: UserTokenSecret,
    /// `$G`
    pub gateway: GatewayKeySecret,
}

/// `$P`
pub const PROVIDER_KEY: &str = "sk-own-0123456789abcdef";

/// The credentials.
pub static TOKENS: LazyLock<Tokens> = LazyLock::new(|| {
    let clock = ManualClock::new(Timestamp::from_micros(0));
    let ambient = Ambient::new(Arc::new(clock), Arc::new(SeededRandom::new(7)));
    Tokens {
        user: UserTokenSecret::generate(&ambient),
        other: UserTokenSecret::generate(&ambient),
        gateway: GatewayKeySecret::generate(&ambient),
    }
});

impl Tokens {
    /// Lychgate's own.
    pub fn ours(&self) -> [&str; 3] {
        [self.user.expose(), self.other.expose(), self.gateway.expose()]
    }

    /// The text with credentials in place of what stands for them.
    pub fn put_in(&self, text: &[u8]) -> Vec<u8> {
        let [user, other, gateway] = self.ours();
        let mut out = Vec::with_capacity(text.len() + 64);
        let mut bytes = text.iter();
        while let Some(byte) = bytes.next() {
            let found = match (byte, bytes.as_slice().first()) {
                (b'$', Some(b'U')) => user,
                (b'$', Some(b'V')) => other,
                (b'$', Some(b'G')) => gateway,
                (b'$', Some(b'P')) => PROVIDER_KEY,
                _ => {
                    out.push(*byte);
                    continue;
                }
            };
            bytes.next();
            out.extend_from_slice(found.as_bytes());
        }
        out
    }
}
