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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Ambient, UserId};

    #[test]
    fn whose_user_is_known_is_that_user_with_every_token_and_else_one_token() {
        let [one, other] = [[1; 32], [2; 32]].map(SecretHash::from_bytes);
        let user: UserId = Ambient::system().new_id();
        let known = Holder::of(user);
        assert_eq!((known.or_of(&one), known.or_of(&other)), (known, known));
        let nobody = Holder::default();
        assert_eq!(nobody.or_of(&one), nobody.or_of(&one));
        assert_ne!(nobody.or_of(&one), nobody.or_of(&other));
        assert!(nobody.or_of(&one) != nobody && nobody.or_of(&one) != known);
    }
}
