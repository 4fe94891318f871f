//! SHA-256 (FIPS 180-4) of one message, or of two at the same time.
//!
//! Model layer. In SHA-256 each step waits for the one before, and a processor that has
//! instructions for it is idle half of the time. So where there are two messages, their steps are
//! done in turn, by x86-64's instructions; one message alone, and two on other processors, are left
//! to the crate `sha2`.

use std::slice;

use sha2::block_api::compress256;

/// How many bytes one compression takes.
const BLOCK: usize = 64;
/// Where the message's length stands in the last block.
const LENGTH_AT: usize = BLOCK - size_of::<u64>();

type Words = [u32; 8];
type Block = [u8; BLOCK];

/// What a message of no bytes starts with.
const INITIAL: Words = [
    0x6a09_e667,
    0xbb67_ae85,
    0x3c6e_f372,
    0xa54f_f53a,
    0x510e_527f,
    0x9b05_688c,
    0x1f83_d9ab,
    0x5be0_cd19,
];

/// The SHA-256 of the bytes added so far.
#[derive(Debug, Clone)]
pub struct Sha256 {
    words: Words,
    /// A block that has begun: its first `length % BLOCK` bytes.
    begun: Block,
    /// How many bytes were added.
    length: u64,
}

impl Sha256 {
    /// Starts with no bytes.
    pub fn new() -> Self {
        Self { words: INITIAL, begun: [0; BLOCK], length: 0 }
    }

    /// Adds bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let (blocks, rest) = self.fill(bytes).as_chunks();
        if !blocks.is_empty() {
            compress256(&mut self.words, blocks);
            self.length += (blocks.len() * BLOCK) as u64;
        }
        self.fill(rest);
    }

    /// Adds bytes to two messages.
    pub fn update_both([first, second]: [&mut Self; 2], [for_first, for_second]: [&[u8]; 2]) {
        let bytes = [first.fill(for_first), second.fill(for_second)];
        let [blocks, others] = bytes.map(|bytes| bytes.as_chunks().0);
        let count = blocks.len().min(others.len());
        if count > 0 {
            compress_both(
                &mut first.words,
                &mut second.words,
                [&blocks[..count], &others[..count]],
            );
            first.length += (count * BLOCK) as u64;
            second.length += (count * BLOCK) as u64;
        }
        let [rest, others] = bytes.map(|bytes| &bytes[count * BLOCK..]);
        first.update(rest);
        second.update(others);
    }

    /// The hash of all bytes added.
    pub fn finish(mut self) -> [u8; 32] {
        let filled = self.filled();
        let mut last = [[0; BLOCK]; 2];
        last[0][..filled].copy_from_slice(&self.begun[..filled]);
        last[0][filled] = 0x80;
        let count = if filled < LENGTH_AT { 1 } else { 2 };
        last[count - 1][LENGTH_AT..].copy_from_slice(&self.length.wrapping_mul(8).to_be_bytes());
        compress256(&mut self.words, &last[..count]);
        let mut hash = [0; 32];
        for (bytes, word) in hash.chunks_exact_mut(4).zip(self.words) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
        hash
    }

    fn filled(&self) -> usize {
        (self.length % BLOCK as u64) as usize
    }

    /// Adds to a block that has begun, or begins one with fewer bytes than it takes. Returns the
    /// bytes that are left: if there are any, they begin a block.
    fn fill<'bytes>(&mut self, bytes: &'bytes [u8]) -> &'bytes [u8] {
        let filled = self.filled();
        if filled == 0 && bytes.len() >= BLOCK {
            return bytes;
        }
        let (first, rest) = bytes.split_at(bytes.len().min(BLOCK - filled));
        self.begun[filled..filled + first.len()].copy_from_slice(first);
        self.length += first.len() as u64;
        if filled > 0 && self.filled() == 0 {
            compress256(&mut self.words, slice::from_ref(&self.begun));
        }
        rest
    }
}

impl Default for Sha256 {
    fn default() -> Self {
        Self::new()
    }
}

/// Compresses as many blocks of one message as of another.
fn compress_both(first: &mut Words, second: &mut Words, blocks: [&[Block]; 2]) {
    if !interleaved::compress_both(first, second, blocks) {
        compress256(first, blocks[0]);
        compress256(second, blocks[1]);
    }
}

#[cfg(target_arch = "x86_64")]
mod interleaved {
    use std::arch::x86_64::{
        __m128i, _mm_add_epi32, _mm_alignr_epi8, _mm_extract_epi32, _mm_set_epi32, _mm_set_epi64x,
        _mm_sha256msg1_epu32, _mm_sha256msg2_epu32, _mm_sha256rnds2_epu32, _mm_shuffle_epi8,
        _mm_shuffle_epi32,
    };
    use std::array;

    use super::{Block, Words};

    /// How many messages there are.
    const MESSAGES: usize = 2;

    /// The constants of the 64 rounds, in groups as long as a schedule.
    const CONSTANTS: [[[u32; 4]; 4]; 4] = [
        [
            [0x428a_2f98, 0x7137_4491, 0xb5c0_fbcf, 0xe9b5_dba5],
            [0x3956_c25b, 0x59f1_11f1, 0x923f_82a4, 0xab1c_5ed5],
            [0xd807_aa98, 0x1283_5b01, 0x2431_85be, 0x550c_7dc3],
            [0x72be_5d74, 0x80de_b1fe, 0x9bdc_06a7, 0xc19b_f174],
        ],
        [
            [0xe49b_69c1, 0xefbe_4786, 0x0fc1_9dc6, 0x240c_a1cc],
            [0x2de9_2c6f, 0x4a74_84aa, 0x5cb0_a9dc, 0x76f9_88da],
            [0x983e_5152, 0xa831_c66d, 0xb003_27c8, 0xbf59_7fc7],
            [0xc6e0_0bf3, 0xd5a7_9147, 0x06ca_6351, 0x1429_2967],
        ],
        [
            [0x27b7_0a85, 0x2e1b_2138, 0x4d2c_6dfc, 0x5338_0d13],
            [0x650a_7354, 0x766a_0abb, 0x81c2_c92e, 0x9272_2c85],
            [0xa2bf_e8a1, 0xa81a_664b, 0xc24b_8b70, 0xc76c_51a3],
            [0xd192_e819, 0xd699_0624, 0xf40e_3585, 0x106a_a070],
        ],
        [
            [0x19a4_c116, 0x1e37_6c08, 0x2748_774c, 0x34b0_bcb5],
            [0x391c_0cb3, 0x4ed8_aa4a, 0x5b9c_ca4f, 0x682e_6ff3],
            [0x748f_82ee, 0x78a5_636f, 0x84c8_7814, 0x8cc7_0208],
            [0x90be_fffa, 0xa450_6ceb, 0xbef9_a3f7, 0xc671_78f2],
        ],
    ];

    /// Compresses blocks of two messages, if the processor can; whether it can.
    #[multiversion::multiversion(targets("x86_64+sha+sse2+ssse3+sse4.1"))]
    pub fn compress_both(
        first: &mut Words,
        second: &mut Words,
        blocks: [&[Block]; MESSAGES],
    ) -> bool {
        multiversion::target::match_target! {
            "x86_64+sha+sse2+ssse3+sse4.1" => {
                compress([first, second], blocks);
                true
            }
            _ => {
                let _ = (first, second, blocks);
                false
            }
        }
    }

    /// The state of one message as the instructions want it: words a, b, e, f and words c, d, g, h.
    type State = [__m128i; 2];

    #[target_feature(enable = "sha,sse4.1")]
    fn compress(words: [&mut Words; MESSAGES], blocks: [&[Block]; MESSAGES]) {
        let mut states = array::from_fn(|message| state(words[message]));
        for (first, second) in blocks[0].iter().zip(blocks[1]) {
            compress_block(&mut states, [first, second]);
        }
        for (words, state) in words.into_iter().zip(states) {
            *words = words_of(state);
        }
    }

    /// Four rounds of each message, in turn. What follows is written out where it is used: a loop
    /// over it, or a call, takes half as long again, and compilers that are asked for small programs
    /// leave both as they are.
    macro_rules! rounds {
        ($states:ident, $schedules:ident[$at:literal], $constants:expr) => {
            let constants = vector($constants);
            let first = _mm_add_epi32($schedules[0][$at], constants);
            let second = _mm_add_epi32($schedules[1][$at], constants);
            let [[abef, cdgh], [other_abef, other_cdgh]] = &mut $states;
            *cdgh = _mm_sha256rnds2_epu32(*cdgh, *abef, first);
            *other_cdgh = _mm_sha256rnds2_epu32(*other_cdgh, *other_abef, second);
            let (first, second) =
                (_mm_shuffle_epi32(first, 0b0000_1110), _mm_shuffle_epi32(second, 0b0000_1110));
            *abef = _mm_sha256rnds2_epu32(*abef, *cdgh, first);
            *other_abef = _mm_sha256rnds2_epu32(*other_abef, *other_cdgh, second);
        };
    }

    /// Makes the next four words of a message's schedule in the place of the four oldest, which
    /// `at` names.
    macro_rules! extend {
        ($schedule:expr, $at:literal) => {
            let (oldest, second) = ($schedule[$at], $schedule[($at + 1) % 4]);
            let (third, newest) = ($schedule[($at + 2) % 4], $schedule[($at + 3) % 4]);
            let sum = _mm_add_epi32(
                _mm_sha256msg1_epu32(oldest, second),
                _mm_alignr_epi8(newest, third, 4),
            );
            $schedule[$at] = _mm_sha256msg2_epu32(sum, newest);
        };
    }

    /// Four rounds with words that have to be made.
    macro_rules! further_rounds {
        ($states:ident, $schedules:ident[$at:literal], $constants:expr) => {
            extend!($schedules[0], $at);
            extend!($schedules[1], $at);
            rounds!($states, $schedules[$at], $constants);
        };
    }

    #[inline]
    #[target_feature(enable = "sha,sse4.1")]
    fn compress_block(states: &mut [State; MESSAGES], blocks: [&Block; MESSAGES]) {
        let mut next = *states;
        let mut schedules = [schedule(blocks[0]), schedule(blocks[1])];
        // The first sixteen words of a schedule are the block's.
        let [first, further @ ..] = &CONSTANTS;
        rounds!(next, schedules[0], first[0]);
        rounds!(next, schedules[1], first[1]);
        rounds!(next, schedules[2], first[2]);
        rounds!(next, schedules[3], first[3]);
        for group in further {
            further_rounds!(next, schedules[0], group[0]);
            further_rounds!(next, schedules[1], group[1]);
            further_rounds!(next, schedules[2], group[2]);
            further_rounds!(next, schedules[3], group[3]);
        }
        for (state, next) in states.iter_mut().zip(next) {
            *state = [_mm_add_epi32(state[0], next[0]), _mm_add_epi32(state[1], next[1])];
        }
    }

    /// A block's words, which are big-endian.
    #[inline]
    #[target_feature(enable = "sha,sse4.1")]
    fn schedule(block: &Block) -> [__m128i; 4] {
        let order = _mm_set_epi64x(0x0c0d_0e0f_0809_0a0b, 0x0405_0607_0001_0203);
        let [a, b, c, d, e, f, g, h] = block.as_chunks().0 else {
            unreachable!("a block has eight times eight bytes")
        };
        let two = |low: &[u8; 8], high: &[u8; 8]| {
            let halves = _mm_set_epi64x(i64::from_le_bytes(*high), i64::from_le_bytes(*low));
            _mm_shuffle_epi8(halves, order)
        };
        [two(a, b), two(c, d), two(e, f), two(g, h)]
    }

    #[inline]
    #[target_feature(enable = "sha,sse4.1")]
    fn vector(words: [u32; 4]) -> __m128i {
        let [a, b, c, d] = words.map(u32::cast_signed);
        _mm_set_epi32(d, c, b, a)
    }

    #[inline]
    #[target_feature(enable = "sha,sse4.1")]
    fn state(&[a, b, c, d, e, f, g, h]: &Words) -> State {
        [vector([f, e, b, a]), vector([h, g, d, c])]
    }

    #[inline]
    #[target_feature(enable = "sha,sse4.1")]
    fn words_of([abef, cdgh]: State) -> Words {
        let words = [
            _mm_extract_epi32(abef, 3),
            _mm_extract_epi32(abef, 2),
            _mm_extract_epi32(cdgh, 3),
            _mm_extract_epi32(cdgh, 2),
            _mm_extract_epi32(abef, 1),
            _mm_extract_epi32(abef, 0),
            _mm_extract_epi32(cdgh, 1),
            _mm_extract_epi32(cdgh, 0),
        ];
        words.map(i32::cast_unsigned)
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod interleaved {
    use super::{Block, Words};

    /// No other processor has an own way.
    pub fn compress_both(_: &mut Words, _: &mut Words, _: [&[Block]; 2]) -> bool {
        false
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use sha2::Digest as _;

    use super::*;

    fn message(length: usize, seed: u8) -> Vec<u8> {
        (0..length)
            .map(|index| (index as u8).wrapping_mul(31) ^ (index >> 8) as u8 ^ seed)
            .collect()
    }

    fn expected(bytes: &[u8]) -> [u8; 32] {
        sha2::Sha256::digest(bytes).into()
    }

    #[test]
    fn messages_of_every_length_around_blocks_have_the_hash_of_the_crate() {
        for length in 0..=4 * BLOCK {
            let bytes = message(length, 7);
            let mut hasher = Sha256::new();
            hasher.update(&bytes);
            assert_eq!(hasher.finish(), expected(&bytes), "{length} bytes");
        }
    }

    #[test]
    fn two_messages_have_the_hashes_that_each_has_alone() {
        for first in [0, 1, 63, 64, 65, 128, 1000] {
            for second in [0, 1, 55, 64, 127, 128, 129, 5000] {
                let bytes = [message(first, 1), message(second, 2)];
                let (mut one, mut other) = (Sha256::new(), Sha256::new());
                Sha256::update_both([&mut one, &mut other], [&bytes[0], &bytes[1]]);
                assert_eq!(
                    [one.finish(), other.finish()],
                    [expected(&bytes[0]), expected(&bytes[1])],
                    "{first} and {second} bytes"
                );
            }
        }
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn processors_with_the_instructions_use_them() {
        let able = is_x86_feature_detected!("sha") && is_x86_feature_detected!("sse4.1");
        let (mut one, mut other) = (INITIAL, INITIAL);
        assert_eq!(
            interleaved::compress_both(&mut one, &mut other, [&[[0; BLOCK]], &[[1; BLOCK]]]),
            able
        );
        assert_eq!(one != INITIAL && other != INITIAL, able);
    }

    proptest! {
        #[test]
        fn parts_of_two_messages_in_any_order_give_the_hashes_of_the_whole(
            parts in prop::collection::vec((prop::collection::vec(any::<u8>(), 0..300), prop::collection::vec(any::<u8>(), 0..300), 0..3_u8), 0..12),
        ) {
            let (mut one, mut other) = (Sha256::new(), Sha256::new());
            let mut bytes = [Vec::new(), Vec::new()];
            for (first, second, how) in &parts {
                match how {
                    0 => Sha256::update_both([&mut one, &mut other], [first, second]),
                    1 => Sha256::update_both([&mut other, &mut one], [second, first]),
                    _ => {
                        one.update(first);
                        other.update(second);
                    }
                }
                bytes[0].extend_from_slice(first);
                bytes[1].extend_from_slice(second);
            }
            prop_assert_eq!([one.finish(), other.finish()], [expected(&bytes[0]), expected(&bytes[1])]);
        }
    }
}
