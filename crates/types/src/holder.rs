//! Who holds a token, for those who need not know who that is.

use crate::UserId;
use crate::secret::SecretHash;
use sha2::{Digest as _, Sha256};

/// Stands for a user: the same for all tokens of one, and it tells nothing else of that user. The default is nobody. Where the
/// user is not known, it stands for one token ([`Self::or_of`]).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Holder(u64);

impl Holder {
    /// The one that stands for this user.
    pub fn of(user: UserId) -> Self {
        let hash = Sha256::digest(user.as_uuid().as_bytes());
        Self(
            hash.iter()
                .take(8)
                .fold(0, |number, byte| number << 8 | u64::from(*byte)),
        )
    }

    /// From its number.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// The same, or where this is nobody, one that stands for the token with this hash alone.
    #[must_use]
    pub fn or_of(self, token: &SecretHash) -> Self {
        match self.0 {
            0 => Self(token.mark()),
            _ => self,
        }
    }

    /// Its number.
    pub const fn number(self) -> u64 {
        self.0
    }
}
