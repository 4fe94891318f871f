//! Numbers and damage that are the same in every run.

/// A generator of numbers.
pub(crate) struct Random(u64);

impl Random {
    /// One that begins at `seed`.
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// A number below `limit`, 0 where that is 0.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0 =
            self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit.max(1)
    }

    /// A copy of some bytes with one or two places changed, put in, taken out or repeated.
    pub(crate) fn damage(&mut self, bytes: &[u8]) -> Vec<u8> {
        const INTERESTING: [u8; 12] = [0, 1, 2, 8, 0x0a, 0x14, 0x2d, 0x2f, 0x50, 0x7f, 0x80, 0xff];
        let mut bytes = bytes.to_vec();
        if bytes.is_empty() {
            bytes.push(INTERESTING[self.below(INTERESTING.len())]);
        }
        for _ in 0..=self.below(3) / 2 {
            let at = self.below(bytes.len());
            match self.below(8) {
                0 => bytes.insert(at, INTERESTING[self.below(INTERESTING.len())]),
                1 if bytes.len() > 1 => {
                    bytes.remove(at);
                }
                2 => {
                    let end = (at + self.below(40)).min(bytes.len());
                    let piece = bytes[at..end].to_vec();
                    let to = self.below(bytes.len());
                    bytes.splice(to..to, piece);
                }
                3 => bytes[at] ^= 1 << self.below(8),
                4 => bytes[at] = bytes[at].wrapping_add(1),
                _ => bytes[at] = INTERESTING[self.below(INTERESTING.len())],
            }
        }
        bytes
    }
}
