//! Ids that look random but depend only on what they are made from, so that the same request gets the same bytes.

const BASE62: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// A source of repeatable noise (FNV-1a to seed it, SplitMix64 to draw). Nothing secret depends on it.
#[derive(Debug, Clone)]
pub(crate) struct Seed(u64);

impl Seed {
    /// Noise that depends on these texts.
    pub(crate) fn new(parts: &[&str]) -> Self {
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        for part in parts {
            // The 0xff keeps "ab", "c" apart from "a", "bc": no text holds that byte.
            for byte in part.bytes().chain([0xff]) {
                hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
            }
        }
        Self(hash)
    }

    /// The next 64 bits.
    pub(crate) fn draw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The prefix and `length` letters and digits.
    pub(crate) fn id(&mut self, prefix: &str, length: usize) -> String {
        let mut id = prefix.to_owned();
        for _ in 0..length {
            id.push(char::from(BASE62[usize::try_from(self.draw() % 62).unwrap_or(0)]));
        }
        id
    }

    /// The prefix and `length` hexadecimal digits.
    pub(crate) fn hex(&mut self, prefix: &str, length: usize) -> String {
        let mut id = prefix.to_owned();
        for _ in 0..length {
            id.push(char::from(
                b"0123456789abcdef"[usize::try_from(self.draw() % 16).unwrap_or(0)],
            ));
        }
        id
    }
}

#[cfg(test)]
mod tests {
    use super::Seed;

    #[test]
    fn the_same_parts_give_the_same_ids_and_others_give_others() {
        let id = |parts: &[&str]| Seed::new(parts).id("msg_", 20);
        assert_eq!(id(&["a", "b"]), id(&["a", "b"]));
        assert_ne!(id(&["ab", "c"]), id(&["a", "bc"]));
        assert_eq!(id(&["a"]).len(), 24);
    }
}
