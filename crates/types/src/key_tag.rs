//! Which gateway key an interception's id belongs to: its last three bytes are those of a hash of the key's id. So a control plane sees
//! whether whoever delivers a record may use its id, whoever comes first.
//!
//! Not a secret: whoever sees one id of a key can make more, and gains nothing by it. Ids of versions before this one have random bytes there.

use crate::{Ambient, GatewayKeyId, InterceptionId};
use sha2::{Digest, Sha256};
use uuid::Uuid;

const BITS: u32 = 24;

/// What the ids of one gateway key end in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeyTag(u32);

impl KeyTag {
    /// That of a gateway key; `None`: of the embedded gateway.
    pub fn of(key: Option<GatewayKeyId>) -> Self {
        let id = key.map_or(Uuid::nil(), GatewayKeyId::as_uuid);
        let digest = Sha256::new()
            .chain_update(b"lychgate interception id")
            .chain_update(id.as_bytes())
            .finalize();
        Self::from_number(u32::from_be_bytes([0, digest[0], digest[1], digest[2]]))
    }

    /// What [`Self::number`] gave.
    pub const fn from_number(number: u32) -> Self {
        Self(number & ((1 << BITS) - 1))
    }

    /// The three bytes as a number.
    pub const fn number(self) -> u32 {
        self.0
    }

    /// What an id ends in.
    pub const fn in_id(id: InterceptionId) -> Self {
        let [.., a, b, c] = *id.as_uuid().as_bytes();
        Self(u32::from_be_bytes([0, a, b, c]))
    }

    /// The same id, as one of this key.
    pub const fn put_in(self, id: InterceptionId) -> InterceptionId {
        let kept = id.as_uuid().as_u128() & !((1 << BITS) - 1);
        InterceptionId::from_uuid(Uuid::from_u128(kept | self.0 as u128))
    }

    /// A new id of this key; 50 of its bits are random.
    pub fn new_id(self, ambient: &Ambient) -> InterceptionId {
        self.put_in(ambient.new_id())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_tells_its_key_and_is_still_a_uuid_of_its_time() {
        let ambient = Ambient::system();
        let keys = [None, Some(ambient.new_id()), Some(ambient.new_id())];
        for key in keys {
            let tag = KeyTag::of(key);
            assert_eq!(KeyTag::from_number(tag.number()), tag);
            let (id, other): (InterceptionId, _) = (ambient.new_id(), tag.new_id(&ambient));
            let tagged = tag.put_in(id);
            assert_eq!((KeyTag::in_id(tagged), KeyTag::in_id(other)), (tag, tag));
            assert_ne!(tagged, other);
            assert_eq!(tagged.as_uuid().as_bytes()[..13], id.as_uuid().as_bytes()[..13]);
            assert_eq!(tagged.as_uuid().get_version_num(), 7);
            assert_eq!(tagged.as_uuid().get_variant(), uuid::Variant::RFC4122);
            assert!(keys.iter().filter(|key| KeyTag::of(**key) == tag).count() == 1);
        }
    }
}
