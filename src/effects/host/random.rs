//! Numbers that nobody can guess or repeat: names of temporaries, identifiers of uploads, jitter
//! between attempts.
//!
//! Effects layer. Nothing that is built depends on them.

use std::hash::{BuildHasher, Hasher};
use std::sync::atomic::{AtomicU64, Ordering};

/// A number that no other call, thread or process is likely to get.
pub fn number() -> u64 {
    static COUNTER: AtomicU64 = AtomicU64::new(0);
    // `RandomState` is seeded by the operating system; the counter makes every value another one.
    let mut hasher = std::hash::RandomState::new().build_hasher();
    hasher.write_u64(COUNTER.fetch_add(1, Ordering::Relaxed));
    hasher.write_u32(std::process::id());
    hasher.finish()
}

/// A random (version 4) UUID in its usual text form, RFC 9562.
#[cfg(feature = "remote")]
pub fn uuid() -> String {
    let (high, low) = (number(), number());
    let high = high & 0xffff_ffff_ffff_0fff | 0x4000;
    let low = low & 0x3fff_ffff_ffff_ffff | 0x8000_0000_0000_0000;
    format!(
        "{:08x}-{:04x}-{:04x}-{:04x}-{:012x}",
        high >> 32,
        high >> 16 & 0xffff,
        high & 0xffff,
        low >> 48,
        low & 0xffff_ffff_ffff
    )
}

/// A number from 0 to 1.
#[cfg(feature = "remote")]
pub fn fraction() -> f64 {
    f64::from(u32::try_from(number() >> 32).expect("32 bits are left")) / f64::from(u32::MAX)
}

#[cfg(all(test, feature = "remote"))]
mod tests {
    use super::*;

    #[test]
    fn uuids_have_their_form_and_are_never_the_same() {
        let (one, two) = (uuid(), uuid());
        assert_ne!(one, two);
        assert_eq!(one.len(), 36);
        assert_eq!(&one[14..15], "4");
        assert!("89ab".contains(&one[19..20]), "{one}");
        assert_eq!(
            one.match_indices('-').map(|(index, _)| index).collect::<Vec<_>>(),
            [8, 13, 18, 23]
        );
    }
}
