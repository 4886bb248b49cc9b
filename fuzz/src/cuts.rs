//! Where a body is cut into reads. All that decides it is the input, so that a crash shows itself again.

/// Inputs up to this long are cut in two at every place.
const SHORT: usize = 64;
/// Random ways to cut longer ones.
const ROUNDS: usize = 4;

/// Calls with the bytes in pieces, in many ways: one by one, in two at every place (short ones), in a few at random places.
/// Some pieces are empty. The way "in one piece" is what callers compare with, and not among them.
pub fn each_split(bytes: &[u8], mut check: impl FnMut(&[&[u8]])) {
    let mut pieces: Vec<&[u8]> = bytes.chunks(1).collect();
    check(&pieces);
    if bytes.len() <= SHORT {
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            check(&[head, tail]);
        }
        return;
    }
    let mut chance = Chance::of(bytes);
    for round in 0..ROUNDS {
        let mut at: Vec<usize> = (0..=round * 3).map(|_| chance.below(bytes.len() + 1)).collect();
        at.extend([0, bytes.len()]);
        at.sort_unstable();
        pieces.clear();
        pieces.extend(at.windows(2).map(|pair| &bytes[pair[0]..pair[1]]));
        check(&pieces);
    }
}

/// A few starts of the bytes, the empty one and the whole among them.
pub fn starts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut chance = Chance::of(bytes);
    let random = [(); 3].map(|()| chance.below(bytes.len() + 1));
    [0, bytes.len()].into_iter().chain(random).map(|end| &bytes[..end])
}

/// Repeatable numbers (xorshift), begun from a hash of the input (FNV-1a).
struct Chance(u64);

impl Chance {
    fn of(bytes: &[u8]) -> Self {
        let hash = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        Self(bytes.iter().fold(0xcbf2_9ce4_8422_2325, hash) | 1)
    }

    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 16) as usize % end
    }
}
